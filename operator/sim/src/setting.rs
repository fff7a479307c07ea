//! What a scaler is told of its fleet before it starts: the bounds and figures that an operator would put into its
//! configuration. The same for every scaler.

/// The fleet as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Lower bound of the size.
    pub min_replicas: u32,
    /// Upper bound of the size, at least 1.
    pub max_replicas: u32,
    /// Replicas at the start.
    pub start_replicas: u32,
    /// Slots per pod, one entry per queue of the fleet.
    pub slots: Vec<u32>,
    /// Task type per queue of the fleet, as `fleet_autoscale` names it.
    pub types: Vec<fleet_autoscale::TaskType>,
    /// CPU request of a pod [cores].
    pub cpu_request: f64,
    /// CPU limit of a pod [cores].
    pub cpu_limit: f64,
    /// Typical (median) time from the creation of a pod to its first poll [s].
    pub pod_start_seconds: f64,
    /// T of the objective [s].
    pub objective_seconds: f64,
    /// Percentile of the objective, such as 99.
    pub objective_percentile: f64,
    /// The pods' grace period where the fleet's owner sets one, as he does for ours [s].
    pub grace_seconds: f64,
    /// The policy of our scalers, if the fleet has one; the peers have no use for it.
    pub policy: Option<fleet_autoscale::Policy>,
}
