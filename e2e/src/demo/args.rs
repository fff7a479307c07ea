//! Command line of the demo.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

use crate::fleet::operator::OperatorImage;

/// The whole loop on a real cluster: installs the operator, applies a fleet, loads it, and judges what happened.
///
/// Exits with 0 only if everything was shown, 1 if something was not, 2 if the demo could not be run.
#[derive(Debug, Clone, Parser)]
#[command(version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on a command line"
)]
pub struct Args {
    /// Kubeconfig of the cluster; else KUBECONFIG, else the local cluster's
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Use the operator that is installed already
    #[arg(long)]
    pub no_install: bool,
    /// Turn the fleet's autoscaler off: the run must then fail
    #[arg(long)]
    pub autoscaler_off: bool,
    /// Temporal's address as seen from here, host:port; else its Service directly or through the API server
    #[arg(long)]
    pub temporal_address: Option<String>,
    /// Leave the fleet in the cluster afterwards, to look at; `--keep=false` deletes it
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub keep: bool,
    /// Manifests of the fleet; else examples/demo of this source tree
    #[arg(long)]
    pub manifests: Option<PathBuf>,
    /// Operator image without tag
    #[arg(long, default_value_t = OperatorImage::default().repository)]
    pub image_repository: String,
    /// Its tag
    #[arg(long, default_value_t = OperatorImage::default().tag)]
    pub image_tag: String,
    /// Its pull policy: Always, `IfNotPresent` or Never; else Never on the local cluster and `IfNotPresent` elsewhere
    #[arg(long)]
    pub image_pull_policy: Option<String>,
    /// Where summary.json and record.json go; else target/demo of this source tree
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub plain: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_kept_unless_said_otherwise() {
        let keep = |args: &[&str]| Args::try_parse_from([&["demo"], args].concat()).map(|args| args.keep);
        assert_eq!(keep(&[]).ok(), Some(true));
        assert_eq!(keep(&["--keep"]).ok(), Some(true));
        assert_eq!(keep(&["--keep=false"]).ok(), Some(false));
    }
}
