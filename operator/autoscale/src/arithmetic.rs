//! The arithmetic of a decision as lines of data: what was measured, what each step made of it, and what would change the answer.
//! Readers lay the lines out; nothing is computed from them.

use crate::decision::{LINES_MAX, Line, RESULT_MAX, Step, TEXT_MAX};
use crate::explain::{Facts, memory_formula, silent};
use crate::needs::{CpuNeed, KindNeed, Needs};
use crate::num::{ceil, elapsed, ratio, whole_pods};
use crate::simple::SimpleNeed;
use crate::words::{fixed, goal, millis, number, percent, time};
use crate::{Limited, Profile, Target, threshold};

/// Share of a pod's CPU that its slots should fill: beyond the fleet's target, so that slots are not what binds first.
const FILLED: f64 = 0.9;

/// All lines, in the order in which they are read.
pub(crate) fn lines(facts: &Facts<'_>) -> Vec<Line> {
    let mut lines = Vec::with_capacity(12);
    if silent(facts) || facts.needs.kinds.is_empty() {
        lines.push(nothing(facts));
    } else {
        demand(facts, &mut lines);
        headroom(facts, &mut lines);
        lines.extend(facts.needs.kinds.iter().map(|kind| per_pod(facts, kind)));
    }
    if !silent(facts) {
        targets(facts, &mut lines);
    }
    lines.push(behavior(facts));
    lines.push(bounds(facts));
    if !silent(facts) {
        lines.extend(slots(facts));
        lines.extend(threshold::sentence(facts).map(|text| line(Step::Change, text, String::new(), String::new())));
    }
    lines.truncate(LINES_MAX);
    lines
}

fn line(step: Step, text: String, result: String, note: String) -> Line {
    Line {
        step,
        text: cut(text, TEXT_MAX),
        result: cut(result, RESULT_MAX),
        note: cut(note, TEXT_MAX),
    }
}

/// At most `most` characters; reasons of gaps carry words of others.
fn cut(text: String, most: usize) -> String {
    if text.len() <= most || text.chars().count() <= most {
        return text;
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// How many pods and queues speak, and how old what they say is.
fn signals(facts: &Facts<'_>) -> String {
    let observed = facts.observed;
    let (ready, reporting) = (observed.workers.ready, observed.workers.reporting);
    let at = facts
        .sample
        .pods
        .iter()
        .filter_map(|pod| Some(pod.report.known()?.at))
        .min();
    let age = |at| format!("{:.0} s old", elapsed(facts.now, at).max(0.0));
    let mut words = Vec::with_capacity(2);
    if ready > 0 {
        let old = at.filter(|_| reporting > 0).map(|at| format!(" {}", age(at)));
        words.push(format!("{reporting}/{ready} pods{}", old.unwrap_or_default()));
    }
    let queues = if facts.sample.queues.len() == 1 {
        "queue"
    } else {
        "queues"
    };
    words.push(match &observed.queues.gap {
        None => format!("{queues} {}", age(observed.queues.oldest)),
        Some(_) => format!("{queues} not known"),
    });
    words.join(", ")
}

/// Where there is nothing to compute with.
fn nothing(facts: &Facts<'_>) -> Line {
    let (text, result) = match &facts.observed.queues.gap {
        Some(gap) => (gap.clone(), "not known".to_owned()),
        None => ("no task waits, runs or arrives".to_owned(), "0 busy slots".to_owned()),
    };
    line(Step::Demand, text, result, signals(facts))
}

/// The name of a kind, where there are several.
fn named(facts: &Facts<'_>, kind: &KindNeed) -> String {
    if facts.needs.kinds.len() > 1 {
        format!("{}: ", kind.kind)
    } else {
        String::new()
    }
}

fn demand(facts: &Facts<'_>, lines: &mut Vec<Line>) {
    for kind in &facts.needs.kinds {
        let (name, arrivals, service) = (named(facts, kind), number(kind.arrivals), time(kind.service));
        let text = if kind.steady() {
            format!("{name}{arrivals} tasks/s x {service}")
        } else {
            let (tasks, drain) = (number(kind.tasks), time(facts.needs.drain));
            format!("{name}({tasks} tasks + {arrivals}/s x {drain}) x {service} / ({service} + {drain})")
        };
        let note = if lines.is_empty() {
            signals(facts)
        } else {
            String::new()
        };
        let result = format!("{} busy slots", number(kind.demand));
        lines.push(line(Step::Demand, text, result, note));
    }
}

fn headroom(facts: &Facts<'_>, lines: &mut Vec<Line>) {
    let text = match facts.observed.policy.profile {
        Profile::Cost => "Cost, nothing is kept ready",
        Profile::Balanced => "Balanced, by forecast errors of the last hour",
        Profile::Latency => "Latency, by forecast errors of the last hour",
    };
    let result = format!("+ {}", percent(facts.needs.headroom));
    lines.push(line(Step::Headroom, text.to_owned(), result, String::new()));
    if facts.needs.trim > 1.0 {
        let text = "trim, the objective was missed at this size".to_owned();
        let result = format!("x {}", number(facts.needs.trim));
        lines.push(line(Step::Headroom, text, result, String::new()));
    }
}

fn per_pod(facts: &Facts<'_>, kind: &KindNeed) -> Line {
    let estimates = &facts.observed.estimates;
    let (name, slots) = (named(facts, kind), estimates.slots[kind.kind.index()]);
    let result = format!("{} slots", number(kind.per_pod));
    let (text, note) = match (estimates.capacity, estimates.cpu_per_slot) {
        (Some(capacity), Some(per_slot)) if kind.cpu_limited => (
            format!("{name}{} CPU / {} per busy slot", millis(capacity), millis(per_slot)),
            format!("limit of {} not reached", number(slots)),
        ),
        (Some(capacity), Some(per_slot)) => (
            format!("{name}limit of a pod"),
            format!("CPU alone would carry {}", number(ratio(capacity, per_slot))),
        ),
        _ => (
            format!("{name}limit of a pod"),
            "CPU per busy slot is not known yet".to_owned(),
        ),
    };
    line(Step::PerPod, text, result, note)
}

/// One line per target that is on; the text begins with its name.
fn targets(facts: &Facts<'_>, lines: &mut Vec<Line>) {
    let (policy, needs) = (facts.observed.policy, facts.needs);
    let cpu = policy.cpu_utilization.map(|share| cpu(facts, share));
    let memory = policy.memory_utilization.map(|_| match needs.memory {
        Some(need) => (memory_formula(facts, need), Some(need.pods)),
        None => (
            "neither the pods' memory nor a limit or request of it is known, or not for a minute yet".to_owned(),
            None,
        ),
    });
    let slots = policy.slot_utilization.map(|goal| {
        simple(needs.slot_use, |need| {
            format!("{} of the slots busy / {}", percent(need.measured), percent(goal))
        })
    });
    let backlog = policy.backlog_per_replica.map(|goal| {
        simple(needs.backlog, |need| {
            format!("{} waiting tasks / {goal}", number(need.measured))
        })
    });
    let all = [
        (Target::ScheduleToStart, latency(facts)),
        (Target::CpuUtilization, cpu),
        (Target::MemoryUtilization, memory),
        (Target::SlotUtilization, slots),
        (Target::BacklogPerReplica, backlog),
    ];
    let on = || all.iter().filter_map(|(target, part)| Some((*target, part.as_ref()?)));
    let several = on().filter(|(_, (_, pods))| pods.is_some()).count() > 1;
    for (target, (text, pods)) in on() {
        let result = pods.map_or_else(
            || "Unavailable".to_owned(),
            |pods| {
                let whole = match target {
                    Target::CpuUtilization => needs.cpu.map_or(0, CpuNeed::whole),
                    _ => whole_pods(pods),
                };
                format!("{} -> {whole}", fixed(pods))
            },
        );
        let leads = several && target == needs.decider();
        let note = if leads { "largest" } else { "" };
        lines.push(line(Step::Target, format!("{target} {text}"), result, note.to_owned()));
    }
}

/// How a target comes to its answer, and the answer [pods].
type Part = (String, Option<f64>);

fn trim(needs: &Needs) -> String {
    if needs.trim > 1.0 {
        format!(" x {} trim", number(needs.trim))
    } else {
        String::new()
    }
}

fn reserve(needs: &Needs) -> String {
    if needs.headroom >= 0.005 {
        format!(" + {}", percent(needs.headroom))
    } else {
        String::new()
    }
}

fn latency(facts: &Facts<'_>) -> Option<Part> {
    let needs = facts.needs;
    let pods = needs.latency?;
    let aim = match facts.observed.policy.schedule_to_start {
        Some(objective) => goal(objective.percentile, objective.seconds),
        None => "95% of slots".to_owned(),
    };
    let text = match needs.leading() {
        Some(kind) => {
            let (slots, per_pod) = (number(kind.slots), number(kind.per_pod));
            format!("{aim}: {}{slots} slots / {per_pod}{}", named(facts, kind), trim(needs))
        }
        None => format!("{aim}: no load"),
    };
    Some((text, Some(pods)))
}

fn cpu(facts: &Facts<'_>, share: f64) -> Part {
    let (needs, estimates) = (facts.needs, &facts.observed.estimates);
    match needs.cpu {
        Some(CpuNeed::Modelled { cores, pods }) => {
            let with_headroom: f64 = needs.kinds.iter().map(|kind| kind.busy).sum();
            let busy: f64 = needs.kinds.iter().map(|kind| kind.demand).sum();
            let idle = if estimates.idle_cores >= 0.0005 {
                format!(" - {}", millis(estimates.idle_cores))
            } else {
                String::new()
            };
            let text = format!(
                "{} busy slots{} x {} / ({} x {}{idle}){}",
                number(busy),
                reserve(needs),
                millis(ratio(cores, with_headroom)),
                millis(estimates.capacity.unwrap_or(0.0)),
                percent(share),
                trim(needs)
            );
            (text, Some(pods))
        }
        Some(CpuNeed::Measured { used, pods }) => {
            let ready = facts.observed.workers.ready;
            (
                format!("{} of {ready} pods / {}", percent(used), percent(share)),
                Some(pods),
            )
        }
        Some(CpuNeed::Unavailable) | None => ("neither CPU use nor a CPU limit or request is known".to_owned(), None),
    }
}

fn simple(need: Option<SimpleNeed>, text: impl FnOnce(SimpleNeed) -> String) -> Part {
    match need {
        Some(need) => (text(need), Some(need.pods)),
        None => ("not measured".to_owned(), None),
    }
}

/// Bounds say for themselves what they do.
fn by_bounds(limited: Limited) -> bool {
    matches!(limited, Limited::AtMaxReplicas | Limited::AtMinReplicas)
}

fn behavior(facts: &Facts<'_>) -> Line {
    let (choice, present) = (facts.choice, facts.sample.replicas);
    let limit = choice.limited.as_ref().filter(|(by, _)| !by_bounds(*by));
    let words: Vec<&str> = choice
        .note
        .as_deref()
        .into_iter()
        .chain(limit.map(|(_, message)| message.as_str()))
        .collect();
    let text = if !words.is_empty() {
        words.join("; ")
    } else if choice.replicas > present {
        "out at once".to_owned()
    } else if choice.replicas < present {
        "in, as window and rates allow".to_owned()
    } else {
        "no change".to_owned()
    };
    let result = if choice.limited.as_ref().is_some_and(|(by, _)| by_bounds(*by)) {
        String::new()
    } else {
        choice.replicas.to_string()
    };
    line(Step::Behavior, text, result, String::new())
}

fn bounds(facts: &Facts<'_>) -> Line {
    let (min, max) = facts.bounds;
    let limit = facts.choice.limited.as_ref().filter(|(by, _)| by_bounds(*by));
    let note = limit.map_or_else(String::new, |(_, message)| message.clone());
    line(
        Step::Bounds,
        format!("{min}..{max}"),
        facts.choice.replicas.to_string(),
        note,
    )
}

/// The number of slots with which a pod of this CPU runs out of both at once. Slots without a number have no better one.
fn slots(facts: &Facts<'_>) -> Option<Line> {
    let (estimates, workers) = (&facts.observed.estimates, &facts.observed.workers);
    let kind = facts.needs.leading()?;
    let k = kind.kind.index();
    let (capacity, per_slot) = (estimates.capacity?, estimates.cpu_per_slot?);
    if workers.room[k] <= 0.0 {
        return None;
    }
    let best = ceil(ratio(FILLED * capacity, per_slot)).max(1);
    let now = number(estimates.slots[k]);
    let note = if facts.needs.kinds.len() > 1 {
        format!("of all kinds together; {} has {now}", kind.kind)
    } else {
        format!("now {now}")
    };
    let text = format!(
        "slots that fill {} of {} CPU at {} per busy slot",
        percent(FILLED),
        millis(capacity),
        millis(per_slot)
    );
    Some(line(Step::Slots, text, format!("{best} slots"), note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_say_so() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("längeres".into(), 5), "läng…");
        assert_eq!(cut("äöüäö".into(), 5), "äöüäö", "counted in characters");
    }
}
