//! The words of a decision: its arithmetic in one line that ends in `-> N`, and one report per target.

use jiff::Timestamp;

use crate::choose::Choice;
use crate::footprint::Footprint;
use crate::latency::LastMinute;
use crate::needs::{CpuNeed, KindNeed, MemoryNeed, Needs, Observed};
use crate::num::whole_pods;
use crate::simple::SimpleNeed;
use crate::words::{fixed, goal, mebi, millis, number, percent, time};
use crate::{Reason, Sample, Target, TargetReport};

/// What there is to explain.
pub(crate) struct Facts<'a> {
    pub(crate) observed: &'a Observed<'a>,
    pub(crate) sample: &'a Sample,
    pub(crate) needs: &'a Needs,
    pub(crate) minute: LastMinute,
    pub(crate) choice: &'a Choice,
    /// Lower and upper bound of the size [pods].
    pub(crate) bounds: (u32, u32),
    pub(crate) now: Timestamp,
}

/// One report per target that is on.
pub(crate) fn targets(facts: &Facts<'_>) -> Vec<TargetReport> {
    let mut targets = Vec::new();
    if let Some(objective) = facts.observed.policy.schedule_to_start {
        let current = match facts.minute.p99 {
            Some(p99) => format!("{}s", number(p99)),
            None if facts.observed.queues.gap.is_some() => "Unavailable".into(),
            // Nothing was taken: what waits has waited this long.
            None => format!("{}s", number(facts.observed.queues.oldest_task())),
        };
        targets.push(TargetReport {
            target: Target::ScheduleToStart,
            current,
            goal: goal(objective.percentile, objective.seconds),
            recommended: whole_pods(facts.needs.latency.unwrap_or(0.0)),
        });
    }
    if let (Some(share), Some(cpu)) = (facts.observed.policy.cpu_utilization, facts.needs.cpu) {
        let measured = match (facts.observed.workers.cpu, cpu) {
            (Some(used), _) | (None, CpuNeed::Measured { used, .. }) => Some(used),
            (None, CpuNeed::Modelled { .. } | CpuNeed::Unavailable) => None,
        };
        targets.push(TargetReport {
            target: Target::CpuUtilization,
            current: measured.map_or_else(|| "Unavailable".into(), percent),
            goal: percent(share),
            recommended: cpu.whole(),
        });
    }
    if let Some(share) = facts.observed.policy.memory_utilization {
        let need = facts.needs.memory;
        let measured = facts.observed.memory_used.filter(|_| need.is_some());
        targets.push(TargetReport {
            target: Target::MemoryUtilization,
            current: measured.map_or_else(|| "Unavailable".into(), percent),
            goal: percent(share),
            recommended: need.map_or(0, |need| whole_pods(need.pods)),
        });
    }
    if let Some(share) = facts.observed.policy.slot_utilization {
        let need = facts.needs.slot_use;
        targets.push(TargetReport {
            target: Target::SlotUtilization,
            current: need.map_or_else(|| "Unavailable".into(), |need| percent(need.measured)),
            goal: percent(share),
            recommended: need.map_or(0, |need| whole_pods(need.pods)),
        });
    }
    if let Some(tasks) = facts.observed.policy.backlog_per_replica {
        let need = facts.needs.backlog;
        let pods = f64::from(facts.sample.replicas.max(1));
        targets.push(TargetReport {
            target: Target::BacklogPerReplica,
            current: need.map_or_else(|| "Unavailable".into(), |need| number(need.measured / pods)),
            goal: tasks.to_string(),
            recommended: need.map_or(0, |need| whole_pods(need.pods)),
        });
    }
    targets
}

/// A fleet that is told nothing has no arithmetic to show.
pub(crate) fn silent(facts: &Facts<'_>) -> bool {
    let Choice { reason, note, .. } = facts.choice;
    matches!(reason, Reason::IdleToZero | Reason::Fallback)
        || (*reason == Reason::Hold && facts.observed.queues.gap.is_some())
        || (*reason == Reason::WokenFromZero && note.is_some())
}

/// The arithmetic, in one line that ends in `-> N`.
pub(crate) fn message(facts: &Facts<'_>) -> String {
    let Facts { needs, choice, .. } = facts;
    let Choice {
        replicas,
        reason: _,
        limited,
        note,
    } = choice;
    let mut parts = Vec::with_capacity(5);
    let mut last = None;
    // What decided stands last, beside the answer.
    let mut targets = vec![
        (Target::CpuUtilization, cpu(facts)),
        (Target::MemoryUtilization, memory(facts)),
        (Target::ScheduleToStart, latency(facts)),
        (Target::SlotUtilization, needs.slot_use.map(slot_use)),
        (Target::BacklogPerReplica, needs.backlog.map(backlog)),
    ];
    targets.sort_by_key(|(target, _)| *target == needs.decider());
    let silent = silent(facts);
    for (text, pods) in targets.into_iter().filter_map(|(_, part)| part).filter(|_| !silent) {
        last = Some(pods);
        parts.push(format!("{text} -> {pods}"));
    }
    let bound = limited.as_ref().map(|(_, message)| message.clone());
    let words: Vec<String> = note.iter().cloned().chain(bound).collect();
    if !words.is_empty() {
        parts.push(format!("{} -> {replicas}", words.join("; ")));
    } else if last != Some(*replicas) {
        parts.push(format!("{} -> {replicas}", facts.sample.replicas));
    }
    parts.join("; ")
}

/// Demand in busy slots, in its simplest true form.
fn demand(kind: &KindNeed, needs: &Needs) -> String {
    let (arrivals, service, busy) = (number(kind.arrivals), time(kind.service), number(kind.demand));
    let reserve = headroom(needs);
    if kind.steady() {
        return format!("{arrivals}/s x {service} = {busy} busy slots{reserve}");
    }
    let (tasks, drain) = (number(kind.tasks), time(needs.drain));
    format!("({tasks} tasks + {arrivals}/s x {drain}) x {service} / ({service} + {drain}) = {busy} busy slots{reserve}")
}

/// What is added for surprises, where it shows.
fn headroom(needs: &Needs) -> String {
    if needs.headroom >= 0.005 {
        format!(" + {} headroom", percent(needs.headroom))
    } else {
        String::new()
    }
}

/// The correction of the model, where there is one.
fn trim(needs: &Needs) -> String {
    if needs.trim > 1.0 {
        format!(" x {} trim", number(needs.trim))
    } else {
        String::new()
    }
}

fn latency(facts: &Facts<'_>) -> Option<(String, u32)> {
    let pods = facts.needs.latency?;
    let Some(kind) = facts.needs.leading() else {
        return Some(("no load".into(), whole_pods(pods)));
    };
    let aim = match facts.observed.policy.schedule_to_start {
        Some(objective) => goal(objective.percentile, objective.seconds),
        None => "95% of slots".into(),
    };
    let (slots, per_pod, raw) = (number(kind.slots), number(kind.per_pod), fixed(pods));
    let trim = trim(facts.needs);
    let arithmetic = format!("{aim}: {slots} slots / {per_pod}{trim} = {raw}");
    let cpu_tells =
        matches!(facts.needs.cpu, Some(CpuNeed::Modelled { .. })) && facts.needs.decider() == Target::CpuUtilization;
    let text = if cpu_tells {
        arithmetic
    } else {
        format!("{}, {arithmetic}", demand(kind, facts.needs))
    };
    Some((text, whole_pods(pods)))
}

fn cpu(facts: &Facts<'_>) -> Option<(String, u32)> {
    let share = facts.observed.policy.cpu_utilization?;
    if facts.needs.kinds.is_empty() {
        return None;
    }
    let need = facts.needs.cpu?;
    match need {
        CpuNeed::Modelled { cores, pods } => {
            let busy: f64 = facts.needs.kinds.iter().map(|kind| kind.demand).sum();
            let with_headroom: f64 = facts.needs.kinds.iter().map(|kind| kind.busy).sum();
            let capacity = facts.observed.estimates.capacity.unwrap_or(0.0);
            let idle = facts.observed.estimates.idle_cores;
            let idle = if idle >= 0.0005 {
                format!(" - {}", millis(idle))
            } else {
                String::new()
            };
            let per_pod = format!("({} x {}{idle})", millis(capacity), percent(share));
            let mut text = format!(
                "{} busy slots{} x {} CPU = {} cores / {per_pod}{} = {}",
                number(busy),
                headroom(facts.needs),
                millis(if with_headroom > 0.0 {
                    cores / with_headroom
                } else {
                    0.0
                }),
                number(cores),
                trim(facts.needs),
                fixed(pods)
            );
            if facts.needs.decider() == Target::CpuUtilization
                && let ([kind], 0.98..=1.02) = (
                    &facts.needs.kinds[..],
                    facts.needs.kinds.iter().map(|k| k.arrivals * k.service).sum::<f64>() / busy.max(1e-9),
                )
            {
                text = format!("{}/s x {} = {text}", number(kind.arrivals), time(kind.service));
            }
            Some((text, need.whole()))
        }
        CpuNeed::Measured { used, pods } => {
            let ready = facts.observed.workers.ready;
            Some((
                format!(
                    "CPU {} of {ready} pods / {} = {}",
                    percent(used),
                    percent(share),
                    fixed(pods)
                ),
                need.whole(),
            ))
        }
        CpuNeed::Unavailable => None,
    }
}

fn memory(facts: &Facts<'_>) -> Option<(String, u32)> {
    let need = facts.needs.memory.filter(|_| !facts.needs.kinds.is_empty())?;
    Some((
        format!("{} = {}", memory_formula(facts, need), fixed(need.pods)),
        whole_pods(need.pods),
    ))
}

/// How the memory target comes to its answer, without the answer.
pub(crate) fn memory_formula(facts: &Facts<'_>, need: MemoryNeed) -> String {
    let Footprint {
        capacity,
        base,
        per_slot,
    } = need.footprint;
    let share = facts.observed.policy.memory_utilization.unwrap_or(1.0);
    let busy: f64 = facts.needs.kinds.iter().map(|kind| kind.demand).sum();
    let (target, idle) = (format!("{} x {}", mebi(capacity), percent(share)), mebi(base));
    let left = if need.out_of_reach {
        format!("(a tenth of {target}, since an idle pod holds {idle})")
    } else {
        format!("({target} - {idle})")
    };
    format!(
        "{} busy slots{} x {} / {left}{}",
        number(busy),
        headroom(facts.needs),
        mebi(per_slot),
        trim(facts.needs),
    )
}

fn slot_use(need: SimpleNeed) -> (String, u32) {
    let (used, goal, pods) = (percent(need.measured), percent(need.goal), fixed(need.pods));
    (
        format!("{used} of the slots busy, goal {goal}: {pods}"),
        whole_pods(need.pods),
    )
}

fn backlog(need: SimpleNeed) -> (String, u32) {
    let (waiting, goal, pods) = (number(need.measured), number(need.goal), fixed(need.pods));
    (
        format!("{waiting} waiting tasks / {goal} = {pods}"),
        whole_pods(need.pods),
    )
}
