//! `bench-live`: scalers compared on the local cluster. `make bench-live` calls it with everything it needs in place.

use clap::Parser as _;
use fleet_e2e::live;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    live::run(live::Args::parse()).await
}
