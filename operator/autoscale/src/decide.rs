//! The decision: signals to estimates, estimates to needs, needs to a size; with the gate before growth, the conditions before
//! shrinking, and holding where something is unknown. Each rule lives in its own file; their order lives here.

use jiff::{SignedDuration, Timestamp};

use crate::explain::{self, Facts};
use crate::gate;
use crate::latency::{self, LastMinute};
use crate::memory::Memory;
use crate::needs::{self, Missing, Needs, Observed};
use crate::num::{ceil, elapsed, seconds, whole_pods};
use crate::queues::{self, Queues};
use crate::scale_in::{self, Conditions};
use crate::workers::{self, PodStart, Workers};
use crate::zero::{self, Idle};
use crate::{Active, Decision, Limited, LimitedBy, Mode, Policy, Reason, Sample, ScalingActive, Target, arrivals};

/// Interval between samples when hot or at zero [s]: the server's own cache makes a shorter one useless.
const HOT: i64 = 5;
/// A gap of this many intervals ends what was watched.
const GAP: f64 = 4.0;
/// Slots or CPU from which workers show by themselves that they are too few.
const FULL_SLOTS: f64 = 0.95;
const FULL_CPU: f64 = 0.9;

/// The size, what decided it, what limits it, and the words for it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) replicas: u32,
    pub(crate) reason: Reason,
    pub(crate) limited: Option<(Limited, String)>,
    /// What the arithmetic of the targets does not say.
    pub(crate) note: Option<String>,
}

impl Choice {
    fn new(replicas: u32, reason: Reason) -> Self {
        Self {
            replicas,
            reason,
            limited: None,
            note: None,
        }
    }

    fn because(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }

    fn limited(self, by: Limited, message: impl Into<String>) -> Self {
        Self {
            limited: Some((by, message.into())),
            ..self
        }
    }
}

/// Everything a choice is made from.
struct Situation<'a> {
    policy: &'a Policy,
    sample: &'a Sample,
    queues: &'a Queues,
    workers: &'a Workers,
    needs: &'a Needs,
    slots: &'a [f64; 4],
    start: PodStart,
    minute: LastMinute,
    gate: Option<(Limited, String)>,
    idle: Idle,
    min: u32,
    max: u32,
    reports: bool,
    now: Timestamp,
}

pub(crate) fn decide(policy: &Policy, memory: &Memory, sample: &Sample, now: Timestamp) -> (Decision, Memory) {
    let mut memory = memory.clone();
    let max = policy.max_replicas.max(1);
    let min = policy.min_replicas.min(max);
    let interval = policy
        .polling_interval
        .clamp(SignedDuration::from_secs(10), SignedDuration::from_secs(300));
    watch(&mut memory, interval, now);
    memory.note_replicas(sample.replicas, now);

    let start = workers::pod_start(policy, &mut memory, sample, now);
    let queues = queues::observe(sample, interval, now);
    let workers = workers::observe(&mut memory, sample, start, interval, now);
    let rates = arrivals::advance(&mut memory, &queues, &workers, start.median, now);
    let slots = needs::estimates(policy, &memory, sample).slots;
    needs::learn_from_outside(policy, &mut memory, &queues, &workers, &slots);
    let estimates = needs::estimates(policy, &memory, sample);
    let observed = Observed {
        policy,
        estimates: &estimates,
        queues: &queues,
        workers: &workers,
        rates: &rates,
        start,
        reports: memory.reports,
        outside_cpu: workers::outside_cpu(sample),
    };
    let needs = needs::needs(&observed, Missing::Idle);
    let cautious = if workers.missing() > 0 {
        needs::needs(&observed, Missing::Full)
    } else {
        needs.clone()
    };

    let known = queues.gap.is_none();
    let window = scale_in::window(policy, start);
    // What is not known is not low: the present size stands in for it.
    let demand = if known {
        cautious.raw()
    } else {
        f64::from(sample.replicas)
    };
    scale_in::remember(&mut memory, window, demand, now);
    memory.held_at = if known {
        None
    } else {
        memory.held_at.or(Some(sample.replicas))
    };

    let minute = latency::last_minute(&memory, policy.schedule_to_start.map(|target| target.seconds));
    let gate = gate::diagnose(policy, &mut memory, &queues, &workers, interval, now);
    let idle = zero::idle(policy, &mut memory, sample, &queues, &workers, start, now);
    memory.transient.last = Some(now);

    let reports = memory.reports;
    let situation = Situation {
        policy,
        sample,
        queues: &queues,
        workers: &workers,
        needs: &needs,
        slots: &slots,
        start,
        minute,
        gate,
        idle,
        min,
        max,
        reports,
        now,
    };
    let choice = situation.choose(&memory, window);
    let recommended = situation.recommended(&choice);
    let acts = policy.mode == Mode::Auto;
    let facts = Facts {
        policy,
        sample,
        needs: &needs,
        estimates: &estimates,
        queues: &queues,
        workers: &workers,
        minute,
        reports,
        choice: &choice,
    };
    let (replicas, reason) = if acts {
        (choice.replicas, choice.reason)
    } else {
        (sample.replicas, choice.reason)
    };
    let decision = Decision {
        replicas,
        recommended,
        reason,
        active: situation.active(),
        limited: match &choice.limited {
            Some((reason, message)) => LimitedBy {
                reason: *reason,
                message: message.clone(),
            },
            None => LimitedBy {
                reason: Limited::WithinBounds,
                message: format!("within {min}..{max}"),
            },
        },
        targets: explain::targets(&facts),
        message: explain::message(&facts),
        next_poll: situation.next_poll(&memory, replicas),
        offered_load: needs.kinds.iter().map(|kind| (kind.kind, kind.busy)).collect(),
        schedule_to_start_p99_seconds: minute.p99,
        cpu_utilization: workers.cpu.or(observed.outside_cpu),
        busy_slots: workers.busy_slots,
    };
    (decision, memory)
}

/// Keeps track of how long the fleet was watched without a gap. A clock that went back is a gap.
fn watch(memory: &mut Memory, interval: SignedDuration, now: Timestamp) {
    let longest = (GAP * seconds(interval)).max(60.0);
    let unbroken = memory
        .transient
        .last
        .is_some_and(|last| (-5.0..=longest).contains(&elapsed(now, last)));
    if !unbroken {
        let transient = &mut memory.transient;
        transient.since = Some(now);
        transient.window.clear();
        transient.idle_since = None;
        transient.pollers_since = None;
        transient.silent_since = None;
        transient.arrivals_from = None;
        transient.arrivals.clear();
        transient.bins.clear();
        transient.latency.clear();
        transient.rate = None;
        transient.changed = [None; 4];
        transient.cpu = None;
    }
    memory.last_change = memory.last_change.min(now.as_second());
}

impl Situation<'_> {
    /// Demand in whole pods; what the gate forbids asks for no more than there is.
    fn wanted(&self) -> u32 {
        let raw = self.needs.raw();
        if self.gate.is_none() {
            return whole_pods(raw);
        }
        let latency = self.needs.latency.unwrap_or(0.0).min(f64::from(self.sample.replicas));
        let cpu = self.needs.cpu.and_then(needs::CpuNeed::pods).unwrap_or(0.0);
        whole_pods(latency.max(cpu))
    }

    fn decider(&self) -> Reason {
        match self.needs.decider() {
            Target::ScheduleToStart => Reason::ScheduleToStart,
            Target::CpuUtilization => Reason::CpuUtilization,
        }
    }

    fn choose(&self, memory: &Memory, window: f64) -> Choice {
        let current = self.sample.replicas;
        if current == 0 {
            return self.from_zero(memory);
        }
        if self.queues.gap.is_some() {
            return self.blind(memory);
        }
        if let Idle::Enough { seconds, cooldown } = self.idle {
            return Choice::new(0, Reason::IdleToZero).because(format!(
                "nothing waits, arrives or runs for {seconds:.0} s (cooldown {cooldown:.0} s)"
            ));
        }
        let wanted = self.wanted();
        if wanted > current || current < self.min {
            return self.out(wanted);
        }
        if current > self.max {
            return Choice::new(self.max, Reason::Bounds).limited(
                Limited::AtMaxReplicas,
                format!("{current} pods are more than maxReplicas {}", self.max),
            );
        }
        self.inward(memory, window, wanted)
    }

    /// At zero: any task wakes the fleet, to the size that demand asks for.
    fn from_zero(&self, memory: &Memory) -> Choice {
        let woken = !self.queues.still();
        let wanted = if woken { ceil(self.needs.raw()).max(1) } else { 0 };
        if self.min > 0 && wanted <= self.min {
            return Choice::new(self.min, Reason::Bounds).because(format!("minReplicas {}", self.min));
        }
        if woken {
            let choice = Choice::new(wanted.min(self.max), Reason::WokenFromZero);
            return if wanted > self.max {
                self.at_max(choice, wanted)
            } else {
                choice
            };
        }
        if let Some(gap) = &self.queues.gap {
            return Choice::new(0, Reason::Hold).because(gap.clone());
        }
        if !memory.registered {
            return Choice::new(1, Reason::WokenFromZero).because("a first pod makes the queues known to the server");
        }
        Choice::new(0, Reason::IdleToZero).because("nothing waits or arrives")
    }

    /// Without the server's statistics: hold. Workers that are visibly full may get half as many again, no more.
    fn blind(&self, memory: &Memory) -> Choice {
        let current = self.sample.replicas;
        let gap = self.queues.gap.clone().unwrap_or_default();
        if current < self.min {
            return Choice::new(self.min, Reason::Bounds).because(format!("minReplicas {}; {gap}", self.min));
        }
        let room: f64 = self.workers.room.iter().sum();
        let used: f64 = self.workers.used.iter().sum();
        let full = (0..4)
            .any(|k| self.workers.room[k] > 0.0 && self.workers.used[k] >= FULL_SLOTS * self.workers.room[k])
            || self.workers.cpu.is_some_and(|cpu| cpu >= FULL_CPU);
        let base = f64::from(memory.held_at.unwrap_or(current));
        let most = (ceil(1.5 * base)).min(self.max);
        let wanted = self.wanted().max(current.saturating_add(1)).min(most);
        if full && self.workers.coverage() >= 0.5 && self.workers.starting.is_empty() && wanted > current {
            return Choice::new(wanted, self.decider()).because(format!(
                "workers are full ({used:.0}/{room:.0} slots), at most 1.5 x {base} while {gap}"
            ));
        }
        Choice::new(current, Reason::Hold).because(format!("hold: {gap}"))
    }

    /// Growth: at once, as an absolute number.
    fn out(&self, wanted: u32) -> Choice {
        let current = self.sample.replicas;
        let replicas = wanted.max(self.min).min(self.max).max(current.min(self.max));
        let reason = if wanted > current {
            self.decider()
        } else {
            Reason::Bounds
        };
        let choice = Choice::new(replicas, if wanted < self.min { Reason::Bounds } else { reason });
        if wanted > self.max {
            self.at_max(choice, wanted)
        } else if wanted < self.min {
            self.at_min(choice, wanted)
        } else {
            self.gated(choice)
        }
    }

    /// Shrinking: late, in steps, if nothing forbids it.
    fn inward(&self, memory: &Memory, window: f64, wanted: u32) -> Choice {
        let current = self.sample.replicas;
        let work = scale_in::floor_of_work(self.workers, self.slots, self.reports);
        let demand = scale_in::floor_of_demand(memory).unwrap_or(current).max(wanted);
        let floor = demand.max(work).max(self.min).max(1);
        let stay = |reason| Choice::new(current, reason);
        if floor >= current {
            let choice = stay(self.decider());
            return if current == self.min && demand.max(work) < self.min {
                self.at_min(
                    Choice {
                        reason: Reason::Bounds,
                        ..choice
                    },
                    wanted,
                )
            } else {
                self.gated(choice)
            };
        }
        let conditions = Conditions {
            queues: self.queues,
            workers: self.workers,
            rolling: self.sample.rolling,
            reports: self.reports,
            late: (
                self.minute.late,
                self.policy
                    .schedule_to_start
                    .map_or(1.0, |t| 1.0 - t.percentile / 100.0),
            ),
            objective: self.policy.schedule_to_start.map(|target| target.seconds),
            window,
        };
        if let Some(why) = scale_in::forbidden(self.policy, memory, &conditions, self.now) {
            return self.gated(stay(Reason::Hold).because(format!("no scale-in to {floor}: {why}")));
        }
        let lowest = scale_in::lowest_by_rate(self.policy, memory, current, self.now);
        let next = floor.max(lowest).min(current);
        if lowest > floor {
            let rule = format!("demand asks for {floor}, the rate of scale-in allows {next}");
            return Choice::new(next, Reason::Behavior).limited(Limited::LimitedByBehavior, rule);
        }
        let reason = if floor == self.min && demand.max(work) < self.min {
            Reason::Bounds
        } else {
            self.decider()
        };
        let choice = Choice::new(next, reason);
        if reason == Reason::Bounds {
            return self.at_min(choice, wanted);
        }
        let choice = if work > demand {
            choice.because(format!("{} running tasks need {work} pods", self.workers.busy_slots))
        } else if demand > wanted {
            choice.because(format!("95 % of {window:.0} s asked for {demand} or less"))
        } else {
            choice
        };
        self.gated(choice)
    }

    fn gated(&self, choice: Choice) -> Choice {
        match &self.gate {
            Some((by, message)) => choice.limited(*by, message.clone()),
            None => choice,
        }
    }

    fn at_max(&self, choice: Choice, wanted: u32) -> Choice {
        let unmet = self
            .needs
            .leading()
            .map_or(0.0, |kind| (kind.slots - f64::from(self.max) * kind.per_pod).max(0.0));
        let text = format!(
            "demand asks for {wanted} pods, maxReplicas is {} ({unmet:.0} slots unmet)",
            self.max
        );
        choice.limited(Limited::AtMaxReplicas, text)
    }

    fn at_min(&self, choice: Choice, wanted: u32) -> Choice {
        choice.limited(
            Limited::AtMinReplicas,
            format!("demand asks for {wanted} pods, minReplicas is {}", self.min),
        )
    }

    /// Where demand leads within the bounds, without windows and rates.
    fn recommended(&self, choice: &Choice) -> u32 {
        if self.sample.replicas == 0 || self.queues.gap.is_some() || matches!(self.idle, Idle::Enough { .. }) {
            return choice.replicas;
        }
        let work = scale_in::floor_of_work(self.workers, self.slots, self.reports);
        self.wanted().max(work).max(1).clamp(self.min, self.max)
    }

    fn active(&self) -> Active {
        let (reason, message) = if self.policy.mode == Mode::Off {
            (
                ScalingActive::TurnedOff,
                "autoscaling.mode is Off: recommendations only".to_owned(),
            )
        } else if self.policy.mode == Mode::DryRun {
            (
                ScalingActive::DryRun,
                "autoscaling.mode is DryRun: recommendations only".to_owned(),
            )
        } else if let Some(gap) = &self.queues.gap {
            (ScalingActive::SignalsUnknown, format!("the size is held: {gap}"))
        } else if self.workers.missing() > 0 {
            let Workers { ready, reporting, .. } = self.workers;
            let gap = self.workers.gap.as_deref().unwrap_or("no report");
            (
                ScalingActive::SignalsDegraded,
                format!("{reporting} of {ready} pods report; {gap}"),
            )
        } else {
            let (queues, pods) = (self.sample.queues.len(), self.workers.ready);
            (
                ScalingActive::SignalsValid,
                format!("{queues} queues and {pods} pods report"),
            )
        };
        Active { reason, message }
    }

    /// Often while something happens and at zero, else at the policy's interval.
    fn next_poll(&self, memory: &Memory, replicas: u32) -> SignedDuration {
        let calm = self
            .policy
            .polling_interval
            .clamp(SignedDuration::from_secs(HOT), SignedDuration::from_secs(300));
        let busy = (0..4).any(|k| self.workers.room[k] > 0.0 && self.workers.used[k] >= 0.8 * self.workers.room[k]);
        let changing = replicas != self.sample.replicas || self.now.as_second() - memory.last_change < 60;
        let waiting = self.queues.waiting() > 0.0 || !self.workers.starting.is_empty();
        let late = self.minute.late > 0.01;
        let ending = matches!(self.idle, Idle::For { seconds, cooldown } if cooldown - seconds < 2.0 * self.start.slow);
        if self.sample.replicas == 0 || busy || changing || waiting || late || ending {
            SignedDuration::from_secs(HOT)
        } else {
            calm
        }
    }
}
