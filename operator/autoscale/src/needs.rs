//! Needs: pods that each target asks for, from tasks, rates and estimates. The one place where slots become pods.

use crate::arrivals::Rates;
use crate::demand::{self, Load, Supply};
use crate::erlang::{self, Objective, Traffic};
use crate::footprint::Footprint;
use crate::memory::{Book, Memory};
use crate::num::{PerKind, finite, ratio, whole_pods};
use crate::queues::Queues;
use crate::simple::{self, SimpleNeed};
use crate::workers::{ENOUGH, PodStart, Workers};
use crate::{Policy, Sample, SlotKind, Target};

/// Latency objective that stands in where the target is off: only the drain time hangs on it [s].
const NO_OBJECTIVE: f64 = 10.0;

/// CPU beyond the target that asks for no further pod (share), from and up to a part of a pod. The target leaves room for it; a
/// fleet at its limit of slots has none.
const TOLERANCE: f64 = 0.05;
const SPARE: f64 = 0.1;
const HALF: f64 = 0.5;

/// The estimates that a demand is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimates {
    /// S per kind [s].
    pub(crate) service: PerKind,
    /// Slots of a pod per kind.
    pub(crate) slots: PerKind,
    /// CPU per ended task [core-s], if known.
    pub(crate) cpu_per_task: Option<f64>,
    /// CPU per busy slot [cores], if known.
    pub(crate) cpu_per_slot: Option<f64>,
    /// CPU capacity of a pod [cores], if known.
    pub(crate) capacity: Option<f64>,
    /// CPU use of an idle pod [cores].
    pub(crate) idle_cores: f64,
}

/// The demand of one slot kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KindNeed {
    pub(crate) kind: SlotKind,
    /// X: tasks in the system at the horizon.
    pub(crate) tasks: f64,
    /// λ [tasks/s].
    pub(crate) arrivals: f64,
    /// S [s].
    pub(crate) service: f64,
    /// m: demand [busy slots].
    pub(crate) demand: f64,
    /// m′: demand with headroom [busy slots].
    pub(crate) busy: f64,
    /// Slots that meet the objective.
    pub(crate) slots: f64,
    /// The same without what only works off a pile: what arrives, or runs already [busy slots], and its slots.
    pub(crate) lasting: (f64, f64),
    /// Slots of a pod that CPU can keep at full speed.
    pub(crate) per_pod: f64,
    /// A pod has more slots than its CPU can keep at full speed.
    pub(crate) cpu_limited: bool,
}

impl KindNeed {
    /// Pods this kind asks for.
    pub(crate) fn pods(&self) -> f64 {
        ratio(self.slots, self.per_pod)
    }

    /// What arrives accounts for the demand: nothing has piled up, nothing runs out.
    pub(crate) fn steady(&self) -> bool {
        let steady = self.arrivals * self.service;
        (self.demand - steady).abs() <= 0.02 * self.demand.max(steady)
    }
}

/// How the CPU target came to its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CpuNeed {
    /// Demand times CPU per task.
    Modelled {
        /// Cores that the demand uses.
        cores: f64,
        /// Pods.
        pods: f64,
    },
    /// Measured use alone: nothing is known about tasks.
    Measured {
        /// Mean use of the Ready pods (share of capacity).
        used: f64,
        /// Pods.
        pods: f64,
    },
    /// Neither capacity nor use is known.
    Unavailable,
}

impl CpuNeed {
    /// Pods, if there is an answer: with a target of 80 % a twentieth more CPU, up to half a pod's, is not worth one more.
    pub(crate) fn pods(self) -> Option<f64> {
        match self {
            Self::Modelled { pods, .. } | Self::Measured { pods, .. } => {
                Some(pods - (TOLERANCE * pods - SPARE).clamp(0.0, HALF - SPARE))
            }
            Self::Unavailable => None,
        }
    }

    /// The answer in whole pods.
    pub(crate) fn whole(self) -> u32 {
        self.pods().map_or(0, whole_pods)
    }
}

/// What the memory target asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryNeed {
    /// An idle pod leaves less than a tenth of the target, and that tenth stands for what it leaves.
    pub(crate) out_of_reach: bool,
    /// What a pod and a busy slot hold.
    pub(crate) footprint: Footprint,
    /// Pods.
    pub(crate) pods: f64,
}

/// What all targets ask for.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    /// Kinds with a demand.
    pub(crate) kinds: Vec<KindNeed>,
    /// The latency target [pods]; `None` if it is off.
    pub(crate) latency: Option<f64>,
    /// The CPU target; `None` if it is off.
    pub(crate) cpu: Option<CpuNeed>,
    /// The memory target; `None` if it is off, or nothing is known of the pods' memory.
    pub(crate) memory: Option<MemoryNeed>,
    /// The slot target; `None` if it is off, or no pod has a number of slots.
    pub(crate) slot_use: Option<SimpleNeed>,
    /// The backlog target; `None` if it is off.
    pub(crate) backlog: Option<SimpleNeed>,
    /// Time to drain in [s].
    pub(crate) drain: f64,
    /// Share of demand that is added for what nobody foresaw.
    pub(crate) headroom: f64,
    /// g: factor on the answers of both targets.
    pub(crate) trim: f64,
}

impl Needs {
    /// The largest answer [pods].
    pub(crate) fn raw(&self) -> f64 {
        let simple = self.slot_use.into_iter().chain(self.backlog).map(|need| need.pods);
        self.modelled().chain(simple).fold(0.0, f64::max)
    }

    /// The answers that rest on the model [pods].
    fn modelled(&self) -> impl Iterator<Item = f64> {
        let memory = self.memory.map(|need| need.pods);
        self.latency
            .into_iter()
            .chain(self.cpu.and_then(CpuNeed::pods))
            .chain(memory)
    }

    /// What the model asks for where nothing has piled up [pods].
    pub(crate) fn lasting(&self) -> f64 {
        let slots = self.kinds.iter().map(|kind| ratio(kind.lasting.1, kind.per_pod));
        let by_slots = self.latency.map_or(0.0, |_| self.trim * slots.fold(0.0, f64::max));
        let all: f64 = self.kinds.iter().map(|kind| kind.busy / kind.service).sum();
        let lasting: f64 = self.kinds.iter().map(|kind| kind.lasting.0 / kind.service).sum();
        let by_cpu = self.cpu.and_then(CpuNeed::pods).unwrap_or(0.0) * ratio(lasting, all).min(1.0);
        let busy: f64 = self.kinds.iter().map(|kind| kind.busy).sum();
        let lasting: f64 = self.kinds.iter().map(|kind| kind.lasting.0).sum();
        let by_memory = self.memory.map_or(0.0, |need| need.pods) * ratio(lasting, busy).min(1.0);
        let simple = self.slot_use.into_iter().chain(self.backlog).map(|need| need.pods);
        simple.fold(by_slots.max(by_cpu).max(by_memory), f64::max)
    }

    /// What the model asks for by itself [pods].
    pub(crate) fn without_headroom(&self) -> f64 {
        self.modelled().fold(0.0, f64::max) / (self.trim.max(1.0) * (1.0 + self.headroom))
    }

    /// Pods that the demand would keep busy altogether: fewer cannot carry it, however long a task may wait. `share` is the CPU target.
    pub(crate) fn full(&self, share: f64) -> f64 {
        let slots = self.kinds.iter().map(|kind| ratio(kind.demand, kind.per_pod));
        let margins = self.trim.max(1.0) * (1.0 + self.headroom);
        let cpu = share * self.cpu.and_then(CpuNeed::pods).unwrap_or(0.0) / margins;
        slots.fold(cpu, f64::max)
    }

    /// The kind that the latency target hangs on.
    pub(crate) fn leading(&self) -> Option<&KindNeed> {
        self.kinds.iter().reduce(|a, b| if b.pods() > a.pods() { b } else { a })
    }

    /// The target with the largest answer. In whole pods a tie goes to CPU where CPU is what limits the slots.
    pub(crate) fn decider(&self) -> Target {
        let latency = self.latency.unwrap_or(-1.0);
        let cpu = self.cpu.and_then(CpuNeed::pods).unwrap_or(-1.0);
        let others = [
            (Target::MemoryUtilization, self.memory.map(|need| need.pods)),
            (Target::SlotUtilization, self.slot_use.map(|need| need.pods)),
            (Target::BacklogPerReplica, self.backlog.map(|need| need.pods)),
        ];
        let asked = others.into_iter().filter_map(|(target, pods)| Some((target, pods?)));
        if let Some((target, pods)) = asked.reduce(|a, b| if b.1 > a.1 { b } else { a })
            && whole_pods(pods) > whole_pods(latency.max(cpu))
        {
            return target;
        }
        let tie = whole_pods(latency) == whole_pods(cpu);
        let limited = self.leading().is_some_and(|kind| kind.cpu_limited);
        if (tie && limited && cpu >= 0.0) || (!(tie && limited) && cpu > latency) {
            Target::CpuUtilization
        } else {
            Target::ScheduleToStart
        }
    }
}

/// Estimates from what is remembered, with the policy's prior where nothing is.
pub(crate) fn estimates(policy: &Policy, memory: &Memory, sample: &Sample) -> Estimates {
    let prior = finite(policy.prior.service_seconds).clamp(1e-3, 86_400.0);
    let mut service = [prior; 4];
    let mut slots = [f64::from(policy.prior.slots.max(1)); 4];
    let (mut busy, mut completions) = (0.0, 0.0);
    for kind in SlotKind::ALL {
        let k = kind.index();
        let known = memory.kinds[k];
        service[k] = if known.completions >= ENOUGH {
            ratio(known.busy, known.completions)
        } else if !memory.reports {
            crate::outside::service(policy, memory, k)
        } else {
            // The prior weighs as much as one task; tasks that run long without an end raise the estimate.
            (prior + finite(known.busy)) / (1.0 + finite(known.completions))
        }
        .clamp(1e-3, 30.0 * 86_400.0);
        busy += finite(known.busy);
        completions += finite(known.completions);
        let option = sample.default_slots.get(&kind).copied().unwrap_or(0);
        for candidate in [option, known.slots] {
            if candidate > 0 {
                slots[k] = f64::from(candidate);
            }
        }
    }
    let cpu = memory.cpu;
    let cpu_per_task = (cpu.completions >= ENOUGH).then(|| ratio(cpu.core_seconds, cpu.completions));
    // By way of the task, since CPU per task does not change under contention and service times are frozen then.
    let cpu_per_slot = match cpu_per_task {
        Some(per_task) if busy > 0.0 && completions >= ENOUGH => Some(per_task * completions / busy),
        _ if cpu.busy >= 30.0 => Some(ratio(cpu.core_seconds, cpu.busy)),
        _ => None,
    };
    Estimates {
        service,
        slots,
        cpu_per_task,
        cpu_per_slot: cpu_per_slot.filter(|cores| *cores > 0.0),
        capacity: Some(finite(cpu.capacity)).filter(|cores| *cores > 0.0),
        idle_cores: finite(cpu.idle_cores),
    }
}

/// What a pod that does not report is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Idle: to decide whether to grow.
    Idle,
    /// Full: to decide whether to shrink.
    Full,
}

/// Everything a demand is computed from.
pub(crate) struct Observed<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) estimates: Estimates,
    pub(crate) queues: Queues,
    pub(crate) workers: Workers,
    pub(crate) rates: Rates,
    pub(crate) start: PodStart,
    /// Share of demand to add for what nobody foresaw.
    pub(crate) headroom: f64,
    /// Factor on what the targets ask for, 1 to 1.5.
    pub(crate) trim: f64,
    /// Pods of this fleet report; where one does not, that is a gap.
    pub(crate) reports: bool,
    /// Running tasks of images without a report.
    pub(crate) books: [Option<Book>; 4],
    /// Mean CPU use by the metrics API, of pods that do not report their own.
    pub(crate) outside_cpu: Option<f64>,
    /// What pods hold in memory, if known.
    pub(crate) footprint: Option<Footprint>,
    /// Mean memory of the Ready pods now (share of what they may use).
    pub(crate) memory_used: Option<f64>,
}

/// Computes what the targets ask for.
pub(crate) fn needs(observed: &Observed<'_>, missing: Missing) -> Needs {
    let Observed {
        policy, headroom, trim, ..
    } = observed;
    let objective = policy.schedule_to_start.map(|target| Objective {
        seconds: finite(target.seconds).max(0.001),
        late: (1.0 - finite(target.percentile) / 100.0).clamp(1e-4, 0.5),
    });
    let drain = demand::drain_time(objective.map_or(NO_OBJECTIVE, |objective| objective.seconds));
    let kinds: Vec<KindNeed> = SlotKind::ALL
        .into_iter()
        .filter_map(|kind| kind_need(observed, kind, objective, drain, missing))
        .collect();
    let cpu = policy
        .cpu_utilization
        .map(|share| cpu_need(observed, &kinds, share.clamp(0.05, 1.0), missing));
    let by_slots = trim * kinds.iter().map(KindNeed::pods).fold(0.0, f64::max);
    // With the latency target off and no CPU figure the slots still have to carry the load.
    let wanted = objective.is_some() || cpu.and_then(CpuNeed::pods).is_none();
    Needs {
        latency: wanted.then_some(by_slots),
        memory: policy
            .memory_utilization
            .and_then(|share| memory_need(observed, &kinds, share.clamp(0.05, 1.0))),
        cpu,
        slot_use: policy
            .slot_utilization
            .and_then(|goal| simple::slot_utilization(observed, goal, missing)),
        backlog: policy
            .backlog_per_replica
            .and_then(|goal| simple::backlog_per_replica(observed, goal)),
        drain,
        headroom: *headroom,
        trim: *trim,
        kinds,
    }
}

/// The demand of one kind; `None` where there is none.
fn kind_need(
    observed: &Observed<'_>,
    kind: SlotKind,
    objective: Option<Objective>,
    drain: f64,
    missing: Missing,
) -> Option<KindNeed> {
    let Observed {
        estimates,
        queues,
        workers,
        rates,
        start,
        headroom,
        reports,
        ..
    } = observed;
    let k = kind.index();
    let (service, arrivals, slots) = (estimates.service[k], rates.arrivals[k], estimates.slots[k]);
    let speed = match (estimates.capacity, estimates.cpu_per_slot) {
        (Some(capacity), Some(per_slot)) => ratio(capacity, per_slot).max(1.0),
        _ => slots,
    };
    let per_pod = slots.min(speed);
    // Below half the pods the reports say too little: the steady state of the arrivals stands in for what runs.
    let running = if let Some(book) = observed.books[k].filter(|_| !reports) {
        book.running
    } else if workers.coverage() < 0.5 {
        arrivals * service
    } else {
        workers.used[k]
    };
    let full = if missing == Missing::Full && *reports && queues.present[k] {
        f64::from(workers.missing()) * slots
    } else {
        0.0
    };
    let load = Load {
        tasks: running + full + queues.backlog[k],
        arrivals,
        service,
    };
    if load.tasks <= 0.0 && arrivals <= 0.0 {
        return None;
    }
    let supply = Supply {
        per_pod,
        ready: f64::from(workers.ready),
        starting: &workers.starting,
    };
    let tasks = demand::tasks_at_horizon(load, supply, start.median);
    let demand = demand::busy_slots(tasks, arrivals, service, drain);
    let busy = demand * (1.0 + headroom);
    let traffic = Traffic {
        busy,
        service,
        burstiness: rates.burstiness[k],
        room: ratio(slots, per_pod),
    };
    let waits = objective.filter(|_| queues.present[k]);
    let spread = observed.books[k]
        .filter(|_| !reports)
        .map_or(1.0, |book| book.spread(service));
    let staffed = |busy| {
        let slots = erlang::slots(Traffic { busy, ..traffic }, waits);
        slots + (spread - 1.0) * (slots - busy)
    };
    let slots_needed = staffed(busy);
    // What lasts is what arrives or runs, as far as it is there already: nothing is looked ahead at.
    let lasting = demand
        .min((rates.level[k] * service).max(running + full))
        .min(load.tasks + rates.level[k] * drain)
        * (1.0 + headroom);
    let lasting_slots = if lasting < busy { staffed(lasting) } else { slots_needed };
    Some(KindNeed {
        kind,
        tasks,
        arrivals,
        service,
        demand,
        busy,
        slots: slots_needed,
        lasting: (lasting, lasting_slots),
        per_pod,
        cpu_limited: per_pod < slots,
    })
}

fn cpu_need(observed: &Observed<'_>, kinds: &[KindNeed], share: f64, missing: Missing) -> CpuNeed {
    let Observed {
        estimates,
        workers,
        outside_cpu,
        trim,
        ..
    } = observed;
    let modelled = match (estimates.cpu_per_task, estimates.cpu_per_slot) {
        (Some(per_task), _) => Some(per_task * kinds.iter().map(|kind| kind.busy / kind.service).sum::<f64>()),
        (None, Some(per_slot)) => Some(per_slot * kinds.iter().map(|kind| kind.busy).sum::<f64>()),
        (None, None) => None,
    };
    if let (Some(mut cores), Some(capacity)) = (modelled, estimates.capacity) {
        // What the pods use now far beyond what the model says is work the model has not learned yet: the larger one counts.
        // A quarter more is beyond what chance makes of 15 s.
        let seen = f64::from(workers.ready.saturating_sub(workers.cpu_missing));
        let measured = seen * (workers.cpu.unwrap_or(0.0) * capacity - estimates.idle_cores);
        if measured > 1.25 * cores {
            cores = measured;
        }
        // What an idle pod uses is not available to tasks.
        let available = (share * capacity - estimates.idle_cores).max(0.1 * share * capacity);
        return CpuNeed::Modelled {
            cores: finite(cores),
            pods: trim * ratio(cores, available),
        };
    }
    let unseen = if missing == Missing::Full {
        f64::from(workers.cpu_missing)
    } else {
        0.0
    };
    match workers.cpu.or(*outside_cpu) {
        Some(used) => {
            let seen = f64::from(workers.ready.saturating_sub(workers.cpu_missing));
            CpuNeed::Measured {
                used,
                pods: used * seen / share + unseen,
            }
        }
        None => CpuNeed::Unavailable,
    }
}

fn memory_need(observed: &Observed<'_>, kinds: &[KindNeed], share: f64) -> Option<MemoryNeed> {
    let footprint = observed.footprint?;
    let busy: f64 = kinds.iter().map(|kind| kind.busy).sum();
    // What an idle pod holds is not there for tasks. A target near or below that is not to be met by any number of pods.
    let aim = share * footprint.capacity;
    let (left, least) = (aim - footprint.base, 0.1 * aim);
    let available = left.max(least);
    Some(MemoryNeed {
        footprint,
        out_of_reach: left < least,
        pods: observed.trim * ratio(busy * footprint.per_slot, available),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_more_cpu_than_the_target_asks_for_no_pod() {
        let whole = |pods| CpuNeed::Modelled { cores: 1.0, pods }.whole();
        assert_eq!([0.0, 1.1, 2.09, 2.11].map(whole), [0, 1, 2, 3], "a tenth of a pod");
        assert_eq!([4.2, 4.22, 10.45, 10.55].map(whole), [4, 5, 10, 11], "a twentieth");
        assert_eq!([100.45, 100.55].map(whole), [100, 101], "half a pod");
    }
}
