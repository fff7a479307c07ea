//! Logs on standard output: JSON in a pod, plain text on a terminal. `RUST_LOG` filters; the default is `info`.

use std::io::{IsTerminal, stdout};

use tracing_subscriber::EnvFilter;

/// Installs the subscriber, unless the program has one.
pub(crate) fn init(in_pod: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stdout().is_terminal());
    let _ = if in_pod {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
}
