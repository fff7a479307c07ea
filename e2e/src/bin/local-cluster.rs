//! `local-cluster`: a real Kubernetes and a real Temporal on this machine, up and down. Diagnosis goes to standard error;
//! standard output carries what a shell evaluates.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fleet_e2e::cluster::residue::Snapshot;
use fleet_e2e::cluster::{self, Layout};
use fleet_e2e::image::catalog;
use fleet_e2e::load::{self, command::LoadArgs};

/// A real Kubernetes of one node and a real Temporal, on this machine.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start what does not run yet, and wait until it serves. Needs root. Prints the `export` lines of KUBECONFIG and PATH.
    Up,
    /// Stop everything and leave the machine as it was. Keeps certificates, imported images and logs.
    Down {
        /// Remove those, too.
        #[arg(long)]
        purge: bool,
    },
    /// Say what runs and what does not. Exits 1 unless all is well.
    Status,
    /// Import image archives into the running cluster, if they changed.
    Images {
        /// Folder with archives (*.tar); by default the one that `make images` fills.
        dir: Option<PathBuf>,
    },
    /// A steady load by hand on a task queue, and what became of it. Exits 1 unless every workflow completed.
    Load(LoadArgs),
    /// Keep the file of Prometheus' targets fresh; `up` starts this.
    #[command(hide = true)]
    DiscoverPods,
    /// Write what the machine looks like, or compare it with what was written.
    #[command(hide = true)]
    Residue {
        /// The file.
        file: PathBuf,
        /// Compare instead of writing.
        #[arg(long)]
        compare: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { verb } = Args::parse();
    match run(verb).await {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes, and no backtrace: what failed is a step of the cluster, not this program.
            eprintln!(
                "error: {}",
                error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            );
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    // Two installs can only race in a test; here it is the first line.
    rustls::crypto::ring::default_provider().install_default().ok();
    let layout = Layout::of_user()?;
    match verb {
        Verb::Up => {
            let ports = cluster::up(&layout, &std::env::current_exe()?, lap).await?;
            let images = catalog::target_dir().join("images");
            if cluster::holds_archives(&images) {
                let imported = cluster::import_folder(&layout, &images)?;
                eprintln!("images        {} imported from {}", imported.len(), images.display());
            }
            eprintln!("Temporal      {}", cluster::temporal::address());
            eprintln!("Temporal UI   http://127.0.0.1:{}", ports.ui);
            eprintln!("Prometheus    http://127.0.0.1:{}", ports.prometheus);
            println!("export KUBECONFIG={}", layout.kubeconfig().display());
            println!("export PATH={}:$PATH", layout.cache().join("bin").display());
        }
        Verb::Down { purge } => cluster::down(&layout, purge, lap)?,
        Verb::Status => {
            let status = cluster::status(&layout).await;
            print!("{status}");
            if !status.healthy() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::Images { dir } => {
            let dir = dir.unwrap_or_else(|| catalog::target_dir().join("images"));
            for image in cluster::import_folder(&layout, &dir)? {
                println!("{} {}", image.reference, image.digest);
            }
        }
        Verb::Load(args) => load::command::run(args).await?,
        Verb::DiscoverPods => cluster::discovery::run(&layout).await?,
        Verb::Residue { file, compare } => return residue(&layout, &file, compare),
    }
    Ok(ExitCode::SUCCESS)
}

fn residue(layout: &Layout, file: &std::path::Path, compare: bool) -> anyhow::Result<ExitCode> {
    let now = Snapshot::take(layout);
    if !compare {
        std::fs::write(file, serde_json::to_vec(&now)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let before: Snapshot = serde_json::from_slice(&std::fs::read(file)?)?;
    let found = now.difference(&before);
    for line in &found {
        println!("{line}");
    }
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lap(after: Duration, what: &str) {
    eprintln!("{:6.1} s  {what}", after.as_secs_f64());
}
