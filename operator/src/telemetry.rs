//! Logs: JSON lines in a cluster, text for people.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, TelemetryArgs};

/// Starts logging, once per process.
pub fn start(args: &TelemetryArgs) -> anyhow::Result<()> {
    let TelemetryArgs { log_level, log_format } = args;
    let filter = EnvFilter::try_new(log_level).context("--log-level is not a filter")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log_format {
        LogFormat::Json => logs
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => logs.try_init(),
    }
    .map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
