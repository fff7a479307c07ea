//! The process that holds a pod's namespaces open: it sleeps until it is told to go, and reaps orphans where a pod shares
//! its process namespace. Without a handler a process 1 would ignore SIGTERM.

use std::process::ExitCode;

use rustix::process::{WaitOptions, wait};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGCHLD]) else {
        return ExitCode::FAILURE;
    };
    for signal in &mut signals {
        if signal != SIGCHLD {
            return ExitCode::SUCCESS;
        }
        // One signal may stand for several dead children.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
    ExitCode::FAILURE
}
