//! The command line: verbs, and the options that every kubectl user expects.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Fleets of Temporal workers, as `kubectl` shows other things. Reads Kubernetes only: no Secret, no call to Temporal.
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
    /// Where to look.
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which cluster, as whom, and which Kubernetes namespace.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Kubernetes namespace; the context's if left out.
    #[arg(short, long, conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// Look in all Kubernetes namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub(crate) all_namespaces: bool,
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

    use super::{Cli, Verb};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_where_kubectl_users_put_them() {
        let Verb::Get(get) = Cli::parse_from(["x", "get", "orders", "-n", "shop", "-w", "--context", "prod"]).verb;
        assert_eq!(get.name.as_deref(), Some("orders"));
        assert_eq!(get.target.namespace.as_deref(), Some("shop"));
        assert!(get.watch && !get.target.all_namespaces);
    }

    #[test]
    fn one_name_in_all_namespaces_is_refused() {
        assert!(Cli::try_parse_from(["x", "get", "orders", "-A"]).is_err());
        assert!(Cli::try_parse_from(["x", "get", "-A", "-n", "shop"]).is_err());
    }
}
