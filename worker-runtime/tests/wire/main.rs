//! Real SDK Workers against a Temporal frontend within the test process.

// Tests may panic. The SDK's macros want inputs by value and results of one shape, and add constants that only workflows use.
#![allow(
    dead_code,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::single_match_else,
    clippy::struct_excessive_bools,
    clippy::unnecessary_wraps
)]

mod activities;
#[path = "../../examples/encryption/codec.rs"]
mod codec;
mod encryption;
mod ending;
mod fake;
mod process;
mod support;
mod worker;
