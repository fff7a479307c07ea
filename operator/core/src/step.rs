//! The steps of a plan. Each is idempotent and carries its precondition; they run in order and stop at the first failure.
//!
//! The order: the Secret that pods mount, then the Deployment, then its budget, then marks on pods, then the size. So a pod
//! never waits for a Secret that comes later, and no size is lowered before its victims are named. A victim that leaves by quarantine
//! is drained first and relabelled then: a pod that cannot be told to drain stays where it is. What is left to do for pods in
//! quarantine comes after the size, then what the cluster autoscaler may evict. Limits of queues come last: they are the server's
//! business, and its refusal must not hold up the pods.

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make the fleet's `WorkerControl` Secret: it is missing, or its content was lost.
    MakeControlSecret,
    /// Apply the Deployment as rendered.
    ApplyDeployment {
        /// Its replicas, as long as the scale manager does not own the field; afterwards the field is left out.
        replicas: Option<u32>,
    },
    /// Apply the disruption budget as rendered.
    ApplyBudget,
    /// Set or take back `pod-deletion-cost` of a pod.
    MarkPod {
        /// Pod.
        name: String,
        /// Precondition.
        uid: String,
        /// Becomes a victim (true), or is one no more.
        victim: bool,
    },
    /// Tell a pod to take no new task, for good. To ask twice changes nothing.
    Drain {
        /// Pod.
        name: String,
        /// Precondition.
        uid: String,
    },
    /// Take a pod out of its `ReplicaSet` by its label, and make the fleet its owner.
    Quarantine {
        /// Pod.
        name: String,
        /// Precondition.
        uid: String,
        /// The fleet becomes its controller: only once its `ReplicaSet` is that no more, as a pod has one controller.
        controller: bool,
        /// What for, when it leaves; `None` once it is out.
        why: Option<String>,
    },
    /// Delete a pod in quarantine that has nothing left to do.
    DeletePod {
        /// Pod.
        name: String,
        /// Precondition.
        uid: String,
    },
    /// Forbid the cluster autoscaler to evict a pod, or take that back. What somebody else says of it stays.
    BarEviction {
        /// Pod.
        name: String,
        /// Precondition.
        uid: String,
        /// Forbidden (true), or no more.
        barred: bool,
    },
    /// Set the Deployment's replicas.
    Scale {
        /// Size seen.
        from: u32,
        /// Size wanted.
        to: u32,
        /// Precondition: UID of the Deployment.
        uid: String,
        /// Precondition: its version.
        resource_version: String,
        /// Why, from the closed set of decision reasons; `None` only takes the field over.
        why: Option<Why>,
    },
    /// Set or remove the rate limit of an Activity queue at the server.
    LimitQueue {
        /// Name of the queue.
        queue: String,
        /// Tasks per second; `None` removes the limit.
        per_second: Option<f64>,
        /// Names the fleet: a limit with this reason is its own.
        reason: String,
    },
}

/// Why a size changes: goes into status, event and metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Reason of the decision.
    pub reason: String,
    /// The arithmetic.
    pub message: String,
}
