//! The choice of a size: growth at once, shrinking late and in steps, zero only when sure, and holding where something is
//! unknown. The rules live in their own files; their order lives here.

use jiff::Timestamp;

use crate::downstream;
use crate::erlang;
use crate::latency::LastMinute;
use crate::memory::Memory;
use crate::needs::{Needs, Observed};
use crate::num::{ceil, ratio, whole_pods};
use crate::policy::Fallback;
use crate::scale_in::{self, Conditions};
use crate::zero::Idle;
use crate::{Limited, Reason, Sample};

/// Slots or CPU from which workers show by themselves that they are too few.
const FULL_SLOTS: f64 = 0.95;
const FULL_CPU: f64 = 0.9;
/// Most CPU beyond the target that is put down to chance (share).
const ROOM: f64 = 0.05;
/// Share of the slots that are kept free against chance that are not worth a pod.
const SPARE: f64 = 0.2;

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
pub(crate) struct Situation<'a> {
    pub(crate) observed: &'a Observed<'a>,
    pub(crate) sample: &'a Sample,
    pub(crate) needs: &'a Needs,
    pub(crate) minute: LastMinute,
    pub(crate) gate: Option<(Limited, String)>,
    pub(crate) idle: Idle,
    /// The owner's size, if the server says nothing for long enough.
    pub(crate) fallback: Option<Fallback>,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) now: Timestamp,
}

/// A part of the slots that are kept free against chance, never of those that a fleet needs to be 95 % full [pods].
fn spare(slots: f64, busy: f64, per_pod: f64) -> f64 {
    SPARE * ratio(slots - erlang::slots_by_load(busy), per_pod)
}

impl Situation<'_> {
    /// Demand in whole pods; what the gate forbids asks for no more than there is.
    fn wanted(&self) -> u32 {
        let present = f64::from(self.sample.replicas);
        let wanted = self.ungated(present);
        // The CPU target leaves room to wait until it is more than chance; the objective leaves none.
        let sure = self.needs.raw() * (1.0 - self.chance());
        if wanted > self.sample.replicas
            && self.decider() == Reason::CpuUtilization
            && whole_pods(sure) <= self.sample.replicas
        {
            return self.sample.replicas;
        }
        if wanted > self.sample.replicas && whole_pods(self.needs.raw() - self.spare()) <= self.sample.replicas {
            return self.sample.replicas;
        }
        wanted
    }

    /// Part of a pod that slots may lack while nothing waits [pods].
    fn spare(&self) -> f64 {
        let leading = self
            .needs
            .leading()
            .filter(|_| self.decider() == Reason::ScheduleToStart);
        let calm = self.sample.replicas > 0 && self.observed.queues.waiting() <= 0.0;
        leading
            .filter(|_| calm)
            .map_or(0.0, |kind| spare(kind.slots, kind.busy, kind.per_pod))
    }

    /// What chance alone makes of the rate, as far as the CPU target leaves room for it (share).
    fn chance(&self) -> f64 {
        let noise = self
            .needs
            .leading()
            .map_or(0.0, |kind| self.observed.rates.noise[kind.kind.index()]);
        noise.min(ROOM)
    }

    fn ungated(&self, present: f64) -> u32 {
        whole_pods(match &self.gate {
            None => self.needs.raw(),
            Some((Limited::NewPodsFailing, _)) => self.needs.raw().min(present),
            // What is held back would need more; what runs may do so too.
            Some(_) => self.needs.raw().min(present.max(self.measured_by_cpu())),
        })
    }

    /// Pods for the CPU that is used now, with the target on.
    fn measured_by_cpu(&self) -> f64 {
        let workers = &self.observed.workers;
        let share = self.observed.policy.cpu_utilization.unwrap_or(f64::INFINITY);
        ratio(f64::from(workers.ready) * workers.cpu.unwrap_or(0.0), share)
    }

    fn decider(&self) -> Reason {
        self.needs.decider().into()
    }

    pub(crate) fn choose(&self, memory: &Memory, window: f64) -> Choice {
        let choice = self.ghostly(self.by_signals(memory, window));
        let Some(fallback) = self.fallback else { return choice };
        let least = fallback.replicas.min(self.max).max(self.min).max(self.sample.replicas);
        if choice.replicas == least || (choice.replicas > least && !fallback.fixed) {
            return choice;
        }
        let gap = self.observed.queues.gap.clone().unwrap_or_default();
        Choice::new(least, Reason::Fallback).because(format!("fallback: at least {} pods; {gap}", fallback.replicas))
    }

    /// Says what was left out of demand, beside whatever else there is to say.
    fn ghostly(&self, choice: Choice) -> Choice {
        match (&self.observed.queues.ghosts, &choice.limited) {
            (None, _) => choice,
            (Some(ghosts), None) => choice.limited(Limited::GhostBacklog, ghosts.clone()),
            (Some(ghosts), Some(_)) => {
                let words = choice.note.iter().chain([ghosts]).map(String::as_str);
                let note = words.collect::<Vec<_>>().join("; ");
                choice.because(note)
            }
        }
    }

    /// What signals and bounds make of it.
    fn by_signals(&self, memory: &Memory, window: f64) -> Choice {
        let current = self.sample.replicas;
        if current == 0 {
            return self.at_zero(memory);
        }
        if self.observed.queues.gap.is_some() {
            return self.blind(memory);
        }
        if let Idle::Enough { seconds, cooldown } = self.idle {
            return Choice::new(0, Reason::IdleToZero).because(format!(
                "nothing waits, arrives or runs for {seconds:.0} s (cooldown {cooldown:.0} s)"
            ));
        }
        let wanted = self.wanted();
        if current > self.max && self.observed.queues.recent {
            return Choice::new(self.max, Reason::Bounds).limited(
                Limited::AtMaxReplicas,
                format!("{current} pods are more than maxReplicas {}", self.max),
            );
        }
        if current <= self.max && wanted.max(self.min) > current {
            return self.out(self.carefully(memory, wanted));
        }
        self.inward(memory, window, wanted)
    }

    /// At zero: any task wakes the fleet, to the size that demand asks for.
    fn at_zero(&self, memory: &Memory) -> Choice {
        let woken = !self.observed.queues.still() || self.observed.queues.ghosts.is_some();
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
        if let Some(gap) = &self.observed.queues.gap {
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
        let gap = self.observed.queues.gap.clone().unwrap_or_default();
        if current < self.min {
            return Choice::new(self.min, Reason::Bounds).because(format!("minReplicas {}; {gap}", self.min));
        }
        let room: f64 = self.observed.workers.room.iter().sum();
        let used: f64 = self.observed.workers.used.iter().sum();
        let full = (0..4).any(|k| {
            self.observed.workers.room[k] > 0.0
                && self.observed.workers.used[k] >= FULL_SLOTS * self.observed.workers.room[k]
        }) || self.observed.workers.cpu.is_some_and(|cpu| cpu >= FULL_CPU);
        let given = self.fallback.map_or(0, |fallback| fallback.replicas.min(self.max));
        let base = f64::from(memory.held_at.unwrap_or(current).max(given));
        let most = (ceil(1.5 * base)).min(self.max);
        let wanted = self.wanted().max(current.saturating_add(1)).min(most);
        if full
            && self.observed.workers.coverage() >= 0.5
            && self.observed.workers.starting.is_empty()
            && wanted > current
        {
            return Choice::new(wanted, self.decider()).because(format!(
                "workers are full ({used:.0}/{room:.0} slots), at most 1.5 x {base} while {gap}"
            ));
        }
        Choice::new(current, Reason::Hold).because(format!("hold: {gap}"))
    }

    /// Where the last attempts did not help, the next one adds half of what is asked for.
    fn carefully(&self, memory: &Memory, wanted: u32) -> u32 {
        let current = self.sample.replicas;
        if downstream::careful(memory) && wanted > current {
            current + (wanted - current).div_ceil(2)
        } else {
            wanted
        }
    }

    /// Growth: at once, as an absolute number.
    fn out(&self, wanted: u32) -> Choice {
        let current = self.sample.replicas;
        let replicas = wanted.max(self.min).min(self.max).max(current.min(self.max));
        let reason = if wanted < self.min {
            Reason::Bounds
        } else {
            self.decider()
        };
        let choice = Choice::new(replicas, reason);
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
        let work = scale_in::floor_of_work(
            &self.observed.workers,
            &self.observed.estimates.slots,
            self.observed.reports,
        );
        let demand = scale_in::floor_of_demand(memory, self.decider() == Reason::CpuUtilization)
            .unwrap_or(current)
            .max(wanted);
        let floor = demand.max(work).max(self.min).max(1);
        let stay = |reason| Choice::new(current, reason);
        let why = if work > demand {
            let running = self.observed.workers.used.iter().sum::<f64>();
            Some(format!("{running:.0} running tasks need {work} pods"))
        } else if demand > wanted.max(self.min).max(1) {
            let fall = self.observed.queues.fall.clone();
            Some(fall.unwrap_or_else(|| format!("95 % of {window:.0} s asked for {demand} or less")))
        } else {
            None
        };
        if floor >= current {
            let note = why.filter(|_| wanted < current);
            let choice = Choice {
                note,
                ..stay(self.decider())
            };
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
            queues: &self.observed.queues,
            workers: &self.observed.workers,
            rolling: self.sample.rolling,
            reports: self.observed.reports,
            late: (
                self.minute.late,
                self.observed
                    .policy
                    .schedule_to_start
                    .map_or(1.0, |t| 1.0 - t.percentile / 100.0),
            ),
            objective: self.observed.policy.schedule_to_start.map(|target| target.seconds),
            window,
        };
        if let Some(why) = scale_in::forbidden(self.observed.policy, memory, &conditions, self.now) {
            return self.gated(stay(Reason::Hold).because(format!("no scale-in to {floor}: {why}")));
        }
        let lowest = scale_in::lowest_by_rate(self.observed.policy, memory, current, self.now);
        let next = floor.max(lowest).min(current);
        if lowest > floor {
            let rule = format!("demand asks for {floor}, the rate of scale-in allows {next}");
            // The owner's rule decides in the owner's name; the law's own steps serve the target that asked.
            let ruled = self
                .observed
                .policy
                .scale_down
                .as_ref()
                .is_some_and(|own| !own.policies.is_empty());
            let reason = if ruled { Reason::Behavior } else { self.decider() };
            return Choice::new(next, reason).limited(Limited::LimitedByBehavior, rule);
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
        let choice = Choice { note: why, ..choice };
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
    pub(crate) fn recommended(&self, choice: &Choice) -> u32 {
        if self.sample.replicas == 0 || self.observed.queues.gap.is_some() || matches!(self.idle, Idle::Enough { .. }) {
            return choice.replicas;
        }
        let work = scale_in::floor_of_work(
            &self.observed.workers,
            &self.observed.estimates.slots,
            self.observed.reports,
        );
        self.wanted().max(work).max(1).clamp(self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_what_is_kept_free_is_worth_no_pod_and_what_is_needed_always_is() {
        // 90 busy slots of a minute ask for 112; 95 is the least.
        assert!((spare(112.0, 90.0, 10.0) - 0.34).abs() < 1e-9);
        // Short tasks in a large fleet have nothing that is kept free.
        assert!(spare(106.0, 100.0, 10.0).abs() < 1e-9);
        assert!(spare(0.0, 0.0, 0.0).abs() < 1e-9);
    }
}
