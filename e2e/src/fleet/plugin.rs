//! `kubectl temporal-worker`, as a user calls it.

use anyhow::Result;

use super::Fleet;
use crate::program;

/// What a verb of the plugin prints about a fleet; an error with its words if it fails.
pub async fn plugin(fleet: &Fleet, verb: &str, options: &[&str]) -> Result<String> {
    let mut args = vec![verb, &fleet.name, "-n", &fleet.namespace];
    args.extend(options);
    let kubeconfig = fleet.access.kubeconfig();
    program::run("kubectl-temporal_worker", &args, &[("KUBECONFIG", kubeconfig.as_ref())]).await
}
