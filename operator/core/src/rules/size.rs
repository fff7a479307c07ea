//! The size a fleet should have: `spec.replicas` or the scaling law, and the moments when one takes over from the other.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::autoscale::{
    self, Decision, PodPhase, PodSample, QueueSample, Sample, ScalingActive, Seen, SlotKind, decide,
};
use crate::desired::{Desired, Size};
use crate::memory::Memory;
use crate::notice::{Notice, NoticeReason};
use crate::readiness::Reason;
use crate::step::Why;
use crate::world::{Child, DeploymentView, PodView, Scales, Trouble, World};

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Sized {
    /// Pods the fleet has, by what was seen and decided before; `None` before there is one.
    pub present: Option<u32>,
    /// Pods the fleet should have.
    pub replicas: u32,
    /// Why, for the moment when it is written.
    pub why: Why,
    /// The scaling law's decision, also when it only publishes.
    pub decision: Option<Decision>,
    /// What it was made from.
    pub sample: Option<Sample>,
    /// Whether the fleet may go down to that.
    pub shrink: Shrink,
    /// What the scaling law remembers.
    pub autoscale: autoscale::Memory,
    /// Memory of the hand-over between the two.
    pub auto: bool,
    /// See [`Memory::held`].
    pub held: bool,
    /// Events.
    pub notices: Vec<Notice>,
}

/// Whether a fleet may shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrink {
    /// The law keeps the size. What it announced before goes on: it steps at intervals.
    Keep,
    /// The law asks for it.
    ByLaw,
    /// A person asks for it.
    ByHand,
    /// An annotation keeps the fleet from shrinking, or from growing as it should.
    Barred,
}

impl Sized {
    /// The law answered and its signals are good enough to act on.
    pub fn holds_no_doubt(&self) -> bool {
        self.decision.as_ref().is_none_or(|decision| {
            !matches!(
                decision.active.reason,
                ScalingActive::SignalsUnknown | ScalingActive::FallbackActive
            )
        })
    }
}

/// Decides the size.
pub fn size(desired: &Desired, world: &World, memory: &Memory, now: Timestamp) -> Sized {
    let deployment = match &world.deployment {
        Seen::Known(child) => child.ours(),
        Seen::Unknown { .. } => None,
    };
    let spec = desired.size.spec_replicas();
    // What we decided last counts as present when somebody lowered the Deployment by hand: put right at once. What somebody
    // raised is present as it stands, and leaves by the scale-in rules.
    let seen = present(deployment, memory);
    let present = seen.unwrap_or(spec);
    let claimed = world.claimed_by.is_some();

    // Without the pods nothing can be said: not even how many there are. The law is not asked, the size stays.
    let evaluated = desired
        .size
        .policy()
        .zip(world.pods.known())
        .filter(|_| !claimed)
        .map(|(policy, pods)| {
            let sample = sample(world, present, pods, deployment, &desired.default_slots);
            (decide(policy, &memory.autoscale, &sample, now), sample)
        });
    let (decision, autoscale, sample) = match evaluated {
        Some(((decision, memory), sample)) => (Some(decision), memory, Some(sample)),
        None => (None, memory.autoscale.clone(), None),
    };
    let mut notices = Vec::new();
    let spec_changed = memory.spec_replicas.is_some_and(|seen| seen != spec);

    // Another autoscaler writes `spec.replicas`: that is the size, as for a fleet without one of its own.
    let followed = world.rival_on(Scales::Worker).is_some();

    match (&desired.size, &decision) {
        (Size::Auto { policy, .. }, Some(decided)) if !followed => {
            if spec_changed {
                notices.push(Notice::warning(
                    NoticeReason::ReplicasIgnored,
                    format!("spec.replicas is now {spec}; the autoscaler keeps deciding the size: set autoscaling.minReplicas, or mode: \"Off\""),
                ));
            }
            // Nothing runs yet: the seed, inside the bounds.
            let (replicas, why) = if deployment.is_none() && memory.desired.is_none() {
                let seed = spec.clamp(policy.min_replicas, policy.max_replicas);
                (
                    seed,
                    Why {
                        reason: "Bounds".into(),
                        message: format!("spec.replicas {spec} at creation -> {seed}"),
                    },
                )
            } else {
                (
                    decided.replicas,
                    Why {
                        reason: decided.reason.to_string(),
                        message: decided.message.clone(),
                    },
                )
            };
            let shrink = if decided.replicas < present {
                Shrink::ByLaw
            } else {
                Shrink::Keep
            };
            Sized {
                present: seen,
                replicas,
                why,
                shrink,
                decision,
                sample,
                autoscale,
                auto: true,
                held: false,
                notices,
            }
        }
        (Size::Auto { .. }, None) if !claimed && !followed => {
            let why = Why {
                reason: "Hold".into(),
                message: format!("the pods are not known -> {present}"),
            };
            Sized {
                present: seen,
                replicas: present,
                why,
                shrink: Shrink::Keep,
                decision,
                sample,
                autoscale,
                auto: true,
                held: false,
                notices,
            }
        }
        (Size::Auto { replicas, .. } | Size::Fixed { replicas, .. }, _) => fixed(
            *replicas,
            Evaluated {
                decision,
                sample,
                autoscale,
                notices,
            },
            memory,
            seen,
            claimed,
            spec_changed,
        ),
    }
}

/// What the law said, on its way into [`Sized`].
struct Evaluated {
    decision: Option<Decision>,
    sample: Option<Sample>,
    autoscale: autoscale::Memory,
    notices: Vec<Notice>,
}

/// `spec.replicas` is the size; or, where autoscaling just ended, the present size until it changes.
fn fixed(
    replicas: u32,
    evaluated: Evaluated,
    memory: &Memory,
    seen: Option<u32>,
    claimed: bool,
    spec_changed: bool,
) -> Sized {
    let present = seen.unwrap_or(replicas);
    let Evaluated {
        decision,
        sample,
        autoscale,
        mut notices,
    } = evaluated;
    let leaves_auto = memory.auto && !claimed;
    let held = (leaves_auto || memory.held) && !spec_changed && !claimed;
    if leaves_auto && held {
        notices.push(Notice::normal(
            NoticeReason::ReplicasHeld,
            format!("autoscaling ended; the fleet stays at {present} pods until spec.replicas changes"),
        ));
    }
    let replicas = if held {
        memory.desired.unwrap_or(present)
    } else {
        replicas
    };
    let why = Why {
        reason: "Bounds".into(),
        message: format!("spec.replicas -> {replicas}"),
    };
    Sized {
        present: seen,
        replicas,
        why,
        shrink: Shrink::ByHand,
        decision,
        sample,
        autoscale,
        auto: memory.auto && claimed,
        held,
        notices,
    }
}

fn present(deployment: Option<&DeploymentView>, memory: &Memory) -> Option<u32> {
    match (deployment.map(|view| view.replicas), memory.desired) {
        (Some(seen), Some(decided)) => Some(seen.max(decided)),
        (seen, decided) => seen.or(decided),
    }
}

/// The world in the scaling law's terms.
fn sample(
    world: &World,
    replicas: u32,
    pods: &[PodView],
    deployment: Option<&DeploymentView>,
    slots: &BTreeMap<SlotKind, u32>,
) -> Sample {
    let queues = world
        .queues
        .iter()
        .map(|view| QueueSample {
            queue: view.queue.name.clone(),
            task_type: view.queue.task_type,
            stats: view.stats.clone(),
            at: view.at,
        })
        .collect();
    let pods = pods.iter().filter(|pod| !pod.finished).map(pod_sample).collect();
    Sample {
        replicas,
        queues,
        pods,
        rolling: deployment.is_some_and(DeploymentView::rolling),
        default_slots: slots.clone(),
    }
}

fn pod_sample(pod: &PodView) -> PodSample {
    let draining = match &pod.report {
        Seen::Known(report) => report.draining,
        Seen::Unknown { .. } => false,
    };
    let phase = if pod.deleting || draining || pod.quarantined() {
        PodPhase::Draining
    } else if pod.ready.is_some() {
        PodPhase::Ready
    } else if matches!(
        pod.trouble,
        Some(Trouble {
            reason: Reason::Unschedulable,
            ..
        })
    ) {
        PodPhase::Pending
    } else {
        PodPhase::Starting
    };
    PodSample {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        phase,
        created: pod.created,
        ready: pod.ready,
        cpu_capacity_cores: pod.cpu_capacity,
        report: pod.report.as_ref().map(|report| report.pod.clone()),
        cpu_cores: pod.cpu.clone(),
        memory_capacity_bytes: pod.memory_capacity,
        memory_bytes: pod.memory.known().copied(),
    }
}

/// Whether the Deployment is ours and on record.
pub fn ours(world: &World) -> Option<&DeploymentView> {
    match &world.deployment {
        Seen::Known(Child::Ours(view)) => Some(view),
        Seen::Known(Child::Absent | Child::Foreign { .. }) | Seen::Unknown { .. } => None,
    }
}
