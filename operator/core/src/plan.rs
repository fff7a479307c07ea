//! The plan of one pass: calls the rules, merges and orders what they propose. Pure: the same input gives the same plan, and
//! the plan of the world after a plan is empty.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::{Decision, Sample, ScalingActive, Seen};
use crate::desired::Desired;
use crate::memory::Memory;
use crate::notice::{Notice, NoticeReason};
use crate::readiness::{Input, Scaling, Truth, Verdict, verdicts};
use crate::rules::{ensure, evict, hold, quarantine, queue_rate, rival, scale, size};
use crate::step::Step;
use crate::world::{Connection, World};

/// What to do, what to say and what to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Writes, in order.
    pub steps: Vec<Step>,
    /// Conditions.
    pub verdicts: Vec<Verdict>,
    /// Events.
    pub notices: Vec<Notice>,
    /// Look again no later than this.
    pub next_check: SignedDuration,
    /// Memory after this pass.
    pub memory: Memory,
    /// Size that the fleet should have.
    pub replicas: u32,
    /// The scaling law's decision, if it was asked.
    pub decision: Option<Decision>,
    /// What that decision was made from: with the memory before this pass, a line of a recording.
    pub sample: Option<Sample>,
}

/// The longest time between two looks at a fleet.
const RESYNC: SignedDuration = SignedDuration::from_secs(30);
/// While something is on its way the next look comes this soon, whatever the watches say.
const WAITING: SignedDuration = SignedDuration::from_secs(5);

/// Facts of the pass that are neither wanted nor seen in the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The object's generation differs from the one observed last.
    pub new_generation: bool,
    /// The pod template carries changed credentials.
    pub credential_restart: bool,
}

impl Plan {
    /// A step failed before a smaller size was written: what was announced to the victims in the pass before stands, and goes on. Some
    /// of them may have left by now, for good.
    pub fn not_scaled_in(&mut self, before: &Memory) {
        let smaller = |step: &Step| matches!(step, Step::Scale { from, to, .. } if to < from);
        if self.steps.iter().any(smaller) {
            self.memory.scale_in.clone_from(&before.scale_in);
            self.memory.desired = before.desired;
            self.replicas = before.desired.unwrap_or(self.replicas);
        }
    }
}

/// Plans one pass.
pub fn plan(desired: &Desired, world: &World, memory: &Memory, pass: Pass, now: Timestamp) -> Plan {
    let sized = hold::hold(desired, world, size::size(desired, world, memory, now));
    let writers = rival::writers(world, memory, now);
    let owner = rival::owner(world, &writers);
    let mut steps = ensure::ensure(desired, world, sized.replicas);
    let mut next = RESYNC;
    let mut remembered = Memory {
        desired: Some(sized.replicas),
        spec_replicas: Some(desired.size.spec_replicas()),
        auto: sized.auto,
        held: sized.held,
        hold: desired.pause.hold,
        scale_in: None,
        writers,
        yielded_to: owner.clone(),
        autoscale: sized.autoscale.clone(),
    };
    // A size is written only where the Deployment needs nothing else first: the template's own step changes its version.
    let ready_to_scale = steps.is_empty();
    match size::ours(world) {
        Some(view) if !view.object.deleting => {
            if owner.is_some() {
                steps.extend(scale::hands_off(world));
                remembered.desired = Some(view.replicas);
            } else if ready_to_scale {
                let scaling = scale::scale(desired, world, memory, &sized, view, now);
                steps.extend(scaling.steps);
                remembered.scale_in = scaling.scale_in;
                remembered.desired = Some(scaling.desired);
                next = scaling.again.map_or(next, |again| next.min(again));
            } else {
                remembered.desired = memory.desired.or(Some(view.replicas));
                remembered.scale_in.clone_from(&memory.scale_in);
            }
        }
        Some(_) | None => {}
    }
    steps.extend(quarantine::tend(world, remembered.scale_in.as_ref(), now));
    if quarantine::waits(world) {
        next = next.min(WAITING);
    }
    let (limits, conflicts) = queue_rate::queue_rate(desired, world);
    let replicas = remembered.desired.unwrap_or(sized.replicas);
    let input = Input {
        desired,
        world,
        replicas,
        new_generation: pass.new_generation && !steps.is_empty(),
        credential_restart: pass.credential_restart,
        owner: owner.as_deref(),
        scaling: sized.decision.as_ref().map(|decision| Scaling {
            active: decision.active.reason,
            active_message: &decision.active.message,
            limited: decision.limited.reason,
            limited_message: &decision.limited.message,
        }),
    };
    let verdicts = verdicts(&input);
    if verdicts
        .iter()
        .any(|v| v.condition == crate::readiness::ConditionType::Ready && v.truth != Truth::True)
    {
        next = next.min(WAITING);
    }
    if let Some(decision) = &sized.decision {
        next = next.min(decision.next_poll);
    }
    let barred = evict::evict(desired, world, &steps, now);
    steps.extend(barred);
    steps.extend(limits);
    let mut notices = sized.notices.clone();
    notices.extend(desired.pause.complaints());
    notices.extend(desired.pause.hold.change_from(memory.hold));
    notices.extend(conflicts);
    notices.extend(yielded(memory, owner.as_deref()));
    notices.extend(observed_notices(
        desired,
        world,
        &remembered,
        memory,
        sized.decision.as_ref(),
    ));
    Plan {
        steps,
        verdicts,
        notices,
        next_check: next,
        memory: remembered,
        replicas,
        decision: sized.decision,
        sample: sized.sample,
    }
}

/// That the size is somebody else's is told once.
fn yielded(memory: &Memory, owner: Option<&str>) -> Option<Notice> {
    let owner = owner.filter(|owner| memory.yielded_to.as_deref() != Some(*owner))?;
    let message = format!("{owner} sizes the Deployment; the operator writes no size while that lasts");
    Some(Notice::warning(NoticeReason::ReplicasConflict, message))
}

fn observed_notices(
    desired: &Desired,
    world: &World,
    remembered: &Memory,
    memory: &Memory,
    decision: Option<&Decision>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Connection::Failed { reason, message, .. } = &world.connection {
        notices.push(Notice::warning(
            NoticeReason::ConnectionFailed,
            format!("{}: {message}", reason.name()),
        ));
    }
    if let (Some(view), Some(decided)) = (size::ours(world), memory.desired)
        && !view.scale_managed
        && view.replicas != decided
        && memory.scale_in.is_none()
        && remembered.yielded_to.is_none()
    {
        notices.push(Notice::warning(
                NoticeReason::ReplicasConflict,
                format!("somebody set the Deployment to {} replicas; the fleet's size is {decided}: scale the TemporalWorker instead", view.replicas),
            ));
    }
    if let Some(decision) = decision {
        if decision.active.reason == ScalingActive::SignalsUnknown && world.connection != Connection::Pending {
            notices.push(Notice::warning(
                NoticeReason::ScalingSignalFailed,
                decision.active.message.clone(),
            ));
        }
        if decision.active.reason == ScalingActive::FallbackActive {
            notices.push(Notice::warning(
                NoticeReason::FallbackActive,
                decision.active.message.clone(),
            ));
        }
        if decision.limited.reason == crate::autoscale::Limited::AtMaxReplicas {
            notices.push(Notice::warning(
                NoticeReason::AtMaxReplicas,
                decision.limited.message.clone(),
            ));
        }
    }
    if let Seen::Known(pods) = &world.pods {
        // In quarantine a task has all the time it needs.
        let oldest = pods
            .iter()
            .filter(|pod| !pod.quarantined())
            .filter_map(|pod| match &pod.report {
                Seen::Known(report) => report.oldest_task,
                Seen::Unknown { .. } => None,
            })
            .max();
        if let Some(oldest) = oldest.filter(|oldest| *oldest > desired.graceful) {
            notices.push(Notice::warning(
                NoticeReason::ShutdownBudgetTooSmall,
                format!(
                    "a task runs for {} s; a pod gets {} s to finish: raise workerOptions.gracefulShutdownSeconds, or let the task heartbeat",
                    oldest.as_secs(),
                    desired.graceful.as_secs()
                ),
            ));
        }
    }
    notices
}
