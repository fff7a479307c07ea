//! `kubectl temporal-worker`: see a fleet as a tree, see why it has its size, hold that size. The binary only parses, connects and
//! prints; what is shown is made by [`model`], [`view`], [`top`], [`explain`] and [`pause`], which are pure. [`simulate`] needs files alone.

mod args;
mod cluster;
mod explain;
mod model;
mod pause;
mod simulate;
#[cfg(test)]
mod tests;
mod top;
mod view;
mod watch;

use std::process::ExitCode;

use args::{Cli, Get, Named, Pause, Top, Verb};
use clap::Parser as _;
use cluster::Cluster;
use fleet_core::Hold;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain in one line, as kubectl does; a backtrace helps no user.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    match cli.verb {
        Verb::Get(get) => self::get(&get).await,
        Verb::Top(options) => self::top(&options).await,
        Verb::Explain(Named { name, target }) => {
            let fleet = Cluster::connect(&target, false).await?.fleet(&name).await?;
            print!("{}", explain::text(&fleet));
            Ok(())
        }
        Verb::Pause(pause) => self::pause(&pause).await,
        Verb::Resume(fleet) => hold(&fleet, Hold::No).await,
        Verb::Simulate(options) => {
            print!("{}", simulate::run(&options)?);
            Ok(())
        }
    }
}

async fn get(get: &Get) -> anyhow::Result<()> {
    let cluster = Cluster::connect(&get.target, get.all_namespaces).await?;
    // Also before a watch: a wrong name or a missing kind is said at once instead of shown as emptiness.
    let snapshot = cluster.snapshot(get.name.as_deref()).await?;
    if get.watch {
        return watch::run(&cluster, get.name.as_deref(), get.pods).await;
    }
    if snapshot.workers.is_empty() {
        eprintln!("{}", cluster.nothing());
    }
    print!("{}", view::tree(&model::fleets(&snapshot, watch::now()), get.pods));
    Ok(())
}

async fn top(options: &Top) -> anyhow::Result<()> {
    let cluster = Cluster::connect(&options.target, options.all_namespaces).await?;
    let fleets = cluster.fleets().await?;
    if fleets.is_empty() {
        eprintln!("{}", cluster.nothing());
    } else {
        print!("{}", top::table(&fleets, options.sort_by));
    }
    Ok(())
}

async fn pause(options: &Pause) -> anyhow::Result<()> {
    hold(&options.fleet, pause::wanted(options)?).await
}

/// Sets what is held of a fleet's size, and says what it was and is.
async fn hold(fleet: &Named, wanted: Hold) -> anyhow::Result<()> {
    let cluster = Cluster::connect(&fleet.target, false).await?;
    let before = cluster.fleet(&fleet.name).await?;
    cluster.annotate(&fleet.name, &pause::annotations(wanted)).await?;
    println!("{}", pause::told(&before, wanted));
    Ok(())
}
