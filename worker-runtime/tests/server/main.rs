//! Real workers against a real Temporal server, started for the tests: `make test-worker`.
//!
//! The server is the pinned one that `make setup` provides, a plain child process on free ports of this machine, its state in a file
//! that goes with it. No cluster, no root, nothing outside this machine.

// Tests may panic. The SDK's macros want inputs by value and results of one shape, and add constants that only workflows use.
#![allow(
    dead_code,
    clippy::default_trait_access,
    clippy::float_cmp,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::ptr_arg,
    clippy::redundant_closure_for_method_calls,
    clippy::single_match_else,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self
)]

mod activities;
mod api_key;
mod bed;
mod blocked;
#[path = "../../examples/encryption/codec.rs"]
mod codec;
mod data;
mod determinism;
mod dynamic;
mod ending;
mod interop;
mod keeper;
mod outage;
mod pool;
mod process;
mod proxy;
mod queues;
#[path = "../../examples/data_processing.rs"]
#[allow(unreachable_pub, missing_debug_implementations)]
mod sample;
mod seed;
mod signals;
mod temporal;
mod tls;
mod values;
mod workflows;
