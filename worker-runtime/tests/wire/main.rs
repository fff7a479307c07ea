//! Real SDK Workers against a Temporal frontend within the test process.

// Tests may panic. The SDK's macros want inputs by value and results of one shape, and add constants that only workflows use.
#![allow(
    dead_code,
    clippy::cast_possible_wrap,
    clippy::default_trait_access,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::ptr_arg,
    clippy::redundant_closure_for_method_calls,
    clippy::single_match_else,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self
)]

mod activities;
mod client;
#[path = "../../examples/encryption/codec.rs"]
mod codec;
mod combined;
mod control;
mod drain;
mod encryption;
mod ending;
mod fake;
mod history;
mod process;
mod recycle;
mod register;
mod start;
mod support;
mod tuner;
mod watchdog;
mod worker;
mod workflows;
