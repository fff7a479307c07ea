//! The command line: verbs, and the options that every kubectl user expects.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::model::cores;
use crate::top::SortBy;

/// Fleets of Temporal workers, as `kubectl` shows other things. Talks to Kubernetes only: no Secret, no call to Temporal.
#[derive(Debug, Parser)]
#[command(name = "kubectl temporal-worker", bin_name = "kubectl temporal-worker", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show fleets as trees: fleet, Deployment, pods.
    Get(Get),
    /// Show one line per fleet: pods, backlog, latency, CPU, and what bound the size.
    Top(Top),
    /// Show the last evaluation of a fleet as arithmetic, and what would change it.
    Explain(Named),
    /// Hold the size of a fleet, or one direction of its changes, until it is resumed.
    Pause(Pause),
    /// Let a paused fleet change its size again.
    Resume(Named),
    /// Run the autoscaling of a manifest over a recorded load, beside other scalers. Needs files and no cluster.
    Simulate(Simulate),
}

/// Options of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Manifest with one TemporalWorker, or a scenario of fleet-sim; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: PathBuf,
    /// The load: a CSV file with the header `seconds,tasks_per_second` or `arrival_seconds`. A scenario may bring its own.
    #[arg(long, value_name = "CSV")]
    pub(crate) trace: Option<PathBuf>,
    /// Scalers to run beside the fleet's own, comma-separated: keda, hpa, twc, wci, oracle and others.
    #[arg(long, value_name = "SCALERS", value_delimiter = ',')]
    pub(crate) compare: Vec<String>,
    /// Write a picture of the first run: backlog, age, pods and cost over time.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Runs, each with chances of its own; 5 if left out, or those of the scenario.
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<NonZeroUsize>,
    /// What a manifest does not say of its tasks and pods.
    #[command(flatten)]
    pub(crate) beyond: Beyond,
}

/// What a manifest does not say and a simulation needs.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Beyond {
    /// Mean time that a task runs; 2 if left out. Of Workflow tasks only where the fleet takes no others.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) task_seconds: Option<f64>,
    /// CPU that a running task uses, such as 50m; 20m if left out. Of Workflow tasks only where the fleet takes no others.
    #[arg(long, value_name = "CPU", value_parser = cpu)]
    pub(crate) task_cpu: Option<f64>,
    /// Time from the creation of a pod to its first poll; 20 if left out.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) pod_start_seconds: Option<f64>,
}

/// A quantity of CPU in cores.
fn cpu(text: &str) -> Result<f64, String> {
    cores(text).ok_or_else(|| "write it as in a pod: 50m, 0.05 or 2".to_owned())
}

/// One fleet.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name of the TemporalWorker.
    pub(crate) name: String,
    /// Where it is.
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Options of `pause`. Without one the size stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Which fleet.
    #[command(flatten)]
    pub(crate) fleet: Named,
    /// Set the size to N pods and keep it there, whatever the bounds and the load say.
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<u32>,
    /// Only keep the fleet from shrinking.
    #[arg(long)]
    pub(crate) scale_in: bool,
    /// Only keep the fleet from growing.
    #[arg(long)]
    pub(crate) scale_out: bool,
}

/// Options of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Name of one TemporalWorker; all of the namespace if left out.
    pub(crate) name: Option<String>,
    /// Keep showing, as things change.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Most pods to list for each Deployment; those that need attention come first.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) pods: usize,
    /// Look in all Kubernetes namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub(crate) all_namespaces: bool,
    /// Where to look.
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Options of `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// What to sort by: the largest first, what is not known last.
    #[arg(long, value_enum, default_value_t, value_name = "COLUMN")]
    pub(crate) sort_by: SortBy,
    /// Look in all Kubernetes namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Where to look.
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which cluster, as whom, and which Kubernetes namespace.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Kubernetes namespace; the context's if left out.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Path of the kubeconfig; $KUBECONFIG or ~/.kube/config if left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// User to impersonate.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) impersonate: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, SortBy, Verb};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_where_kubectl_users_put_them() {
        let verb = Cli::parse_from(["x", "get", "orders", "-n", "shop", "-w", "--context", "prod"]).verb;
        let Verb::Get(get) = verb else { panic!("{verb:?}") };
        assert_eq!(get.name.as_deref(), Some("orders"));
        assert_eq!(get.target.namespace.as_deref(), Some("shop"));
        assert!(get.watch && !get.all_namespaces);
    }

    #[test]
    fn one_name_in_all_namespaces_is_refused() {
        assert!(Cli::try_parse_from(["x", "get", "orders", "-A"]).is_err());
        assert!(Cli::try_parse_from(["x", "get", "-A", "-n", "shop"]).is_err());
    }

    #[test]
    fn all_fleets_are_sorted_by_a_column_that_there_is() {
        let verb = Cli::parse_from(["x", "top", "-A", "--sort-by", "backlog"]).verb;
        let Verb::Top(top) = verb else { panic!("{verb:?}") };
        assert!(top.all_namespaces && top.sort_by == SortBy::Backlog);
        let verb = Cli::parse_from(["x", "top", "-n", "shop"]).verb;
        assert!(matches!(verb, Verb::Top(top) if top.sort_by == SortBy::Age));
        assert!(Cli::try_parse_from(["x", "top", "--sort-by", "weather"]).is_err());
        assert!(Cli::try_parse_from(["x", "top", "-A", "-n", "shop"]).is_err());
    }

    #[test]
    fn what_concerns_one_fleet_needs_its_name() {
        for verb in ["explain", "pause", "resume"] {
            assert!(Cli::try_parse_from(["x", verb]).is_err());
            assert!(Cli::try_parse_from(["x", verb, "orders", "-A"]).is_err());
            assert!(Cli::try_parse_from(["x", verb, "orders", "-n", "shop"]).is_ok());
        }
        assert!(Cli::try_parse_from(["x", "pause", "orders", "--at", "-1"]).is_err());
    }

    #[test]
    fn a_simulation_takes_files_and_what_they_leave_open() {
        let line = "x simulate -f worker.yaml --trace load.csv --compare keda,hpa --svg out.svg --task-cpu 500m";
        let verb = Cli::parse_from(line.split(' ').chain(["--task-seconds", "2.5"])).verb;
        let Verb::Simulate(simulate) = verb else {
            panic!("{verb:?}")
        };
        assert_eq!(simulate.compare, ["keda", "hpa"]);
        assert_eq!(simulate.beyond.task_cpu, Some(0.5));
        assert_eq!(simulate.beyond.task_seconds, Some(2.5));
        let wrong = Cli::try_parse_from(["x", "simulate", "-f", "worker.yaml", "--task-cpu", "much"]);
        assert!(wrong.expect_err("no quantity").to_string().contains("50m"));
        assert!(Cli::try_parse_from(["x", "simulate"]).is_err());
    }
}
