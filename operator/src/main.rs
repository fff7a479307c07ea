//! The operator's binary: parses its arguments and runs the library.

use clap::Parser;
use fleet_operator::args::Args;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    // One provider for everything; before the first TLS configuration is made.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider was installed already");
    }
    let args = Args::parse();
    fleet_operator::telemetry::start(&args.telemetry)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(fleet_operator::run::run(args))
}
