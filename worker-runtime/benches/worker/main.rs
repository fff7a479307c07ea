//! The programs that `make bench-runtime` measures, in one: it is built like an image (static, mimalloc), started as a process of its
//! own for each measurement, and says what it found as one line of JSON.
//!
//! `split`, `combined`, `bare`, `exporting`: the same workflows on both shapes of this runtime, on the bare SDK and on the bare SDK with its own metrics
//! exporter, served by the in-process frontend of the tests.
//! `seed`: a worker of the guide's workflow with an empty activity and with one that computes, on the server that the environment names.
//! `reports`: calls `Report` of a worker once a second, as the operator does.

// The shared frontend is for tests: it may panic, and not all of it is used here. The SDK's macros want inputs by value, and add constants.
#![allow(
    dead_code,
    missing_docs,
    clippy::cast_possible_wrap,
    clippy::default_trait_access,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    clippy::unused_async
)]

mod drive;
#[path = "../../tests/wire/fake.rs"]
mod fake;
#[path = "../../tests/wire/history.rs"]
mod history;
mod reports;
mod seed;
mod sides;

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: bench_worker split|combined|bare|exporting WORKFLOWS PACED PER_SECOND | seed | reports PORT DIRECTORY SECONDS";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match *args {
        ["seed"] => return seed::run(),
        [
            side @ ("split" | "combined" | "bare" | "exporting"),
            workflows,
            paced,
            per_second,
        ] => drive::Plan::parse(workflows, paced, per_second).and_then(|plan| sides::run(side, plan)),
        ["reports", port, directory, seconds] => reports::run(port, directory, seconds),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            // What still polls the frontend need not be waited for.
            std::process::exit(0)
        }
        Err(error) => {
            eprintln!("bench_worker: {error}");
            ExitCode::FAILURE
        }
    }
}
