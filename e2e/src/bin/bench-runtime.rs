//! `bench-runtime`: what the worker runtime costs. `make bench-runtime` calls it with everything it needs in place.

use clap::Parser as _;
use fleet_e2e::bench;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    bench::run(bench::Args::parse()).await
}
