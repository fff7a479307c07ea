//! Scale-in: late, in steps, and never below what runs. The window over past demand, the floor under it, the rates, and the
//! list of conditions that forbid it altogether.

use jiff::{SignedDuration, Timestamp};

use crate::memory::{Memory, Step};
use crate::num::{ceil, elapsed, quantile, seconds, whole_pods};
use crate::queues::Queues;
use crate::workers::{PodStart, Workers};
use crate::{Policy, RuleKind, ScaleDownBehavior, ScalingRule, SelectPolicy};

/// The law's own window [s].
const WINDOW: f64 = 300.0;
/// Slices of the window that are kept.
const SLICES: f64 = 120.0;
/// Time between steps [s]: by the law's own rate, and by the owner's.
const OWN_STEP: f64 = 30.0;
const RULED_STEP: f64 = 15.0;
/// Largest step by the law's own rate (share of the fleet).
const OWN_SHARE: f64 = 0.15;

/// Length of the window [s]: the law's own spans three slow pod starts; the owner's at least one, since what a shorter
/// window takes away could not be back in time.
pub(crate) fn window(policy: &Policy, start: PodStart) -> f64 {
    match &policy.scale_down {
        Some(behavior) => seconds(behavior.stabilization_window)
            .clamp(0.0, 3600.0)
            .max(start.slow),
        None => WINDOW.max(3.0 * start.slow),
    }
}

/// Adds a demand [pods] to the window.
pub(crate) fn remember(memory: &mut Memory, window: f64, raw: f64, now: Timestamp) {
    let slice = (window / SLICES).max(1.0);
    let ring = &mut memory.transient.window;
    match ring.back_mut() {
        Some((start, largest)) if (0.0..slice).contains(&elapsed(now, *start)) => *largest = largest.max(raw),
        _ => ring.push_back((now, raw)),
    }
    while ring
        .front()
        .is_some_and(|(start, _)| elapsed(now, *start) > window + slice)
    {
        ring.pop_front();
    }
}

/// The size that 95 % of the window asked for, or less. Where CPU leads (`by_cpu`), growth waits for more than chance; elsewhere a
/// fifth of a pod keeps the size from going to and fro.
pub(crate) fn floor_of_demand(memory: &Memory, by_cpu: bool) -> Option<u32> {
    demand_of_window(memory).map(|raw| if by_cpu { whole_pods(raw) } else { ceil(raw + 0.2) })
}

/// The demand that 95 % of the window stayed below [pods].
pub(crate) fn demand_of_window(memory: &Memory) -> Option<f64> {
    let mut demands: Vec<f64> = memory.transient.window.iter().map(|(_, raw)| *raw).collect();
    quantile(&mut demands, 0.95)
}

/// The smallest size that holds what runs now, with pods that do not report taken for full.
pub(crate) fn floor_of_work(workers: &Workers, slots: &[f64; 4], reports: bool) -> u32 {
    if !reports {
        // Images without a report: only their grace period protects what runs.
        return 0;
    }
    let missing = f64::from(workers.missing());
    let mut floor = 0;
    for (k, slots) in slots.iter().enumerate() {
        let unlimited = workers.used[k] > 0.0 && workers.room[k] <= 0.0;
        floor = floor.max(if unlimited {
            // Without fixed slots nothing says that two pods' work fits one.
            workers.busy_pods.saturating_add(workers.missing())
        } else {
            ceil((workers.used[k] + missing * slots) / (0.95 * slots.max(1.0)))
        });
    }
    floor
}

/// Everything that is asked before a scale-in.
pub(crate) struct Conditions<'a> {
    pub(crate) queues: &'a Queues,
    pub(crate) workers: &'a Workers,
    pub(crate) rolling: bool,
    pub(crate) reports: bool,
    /// Share of the last minute's tasks that came late, and the share that may.
    pub(crate) late: (f64, f64),
    /// T [s], if the latency target is on.
    pub(crate) objective: Option<f64>,
    pub(crate) window: f64,
}

/// The first reason against a scale-in now.
pub(crate) fn forbidden(
    policy: &Policy,
    memory: &Memory,
    conditions: &Conditions<'_>,
    now: Timestamp,
) -> Option<String> {
    let Conditions {
        queues,
        workers,
        rolling,
        reports,
        late,
        objective,
        window,
    } = *conditions;
    if let Some(gap) = &queues.gap {
        return Some(gap.clone());
    }
    if !queues.recent {
        return Some("statistics of a queue are too old".into());
    }
    if let Some(fall) = &queues.fall {
        return Some(fall.clone());
    }
    if reports && workers.recent < workers.ready {
        return Some(
            workers
                .gap
                .clone()
                .unwrap_or_else(|| "the report of a pod is too old".into()),
        );
    }
    if rolling {
        return Some("pods are being replaced".into());
    }
    if !workers.starting.is_empty() {
        return Some(format!("{} pods are starting", workers.starting.len()));
    }
    if policy
        .scale_down
        .as_ref()
        .is_some_and(|behavior| behavior.select_policy == SelectPolicy::Disabled)
    {
        return Some("scaleDown is Disabled".into());
    }
    if let Some(limit) = objective {
        let age = queues.oldest_task();
        if age > limit {
            return Some(format!("a task waits {age:.0} s"));
        }
        if late.0 > late.1 {
            return Some(format!(
                "{:.1} % of the last minute's tasks waited longer than {limit} s",
                100.0 * late.0
            ));
        }
    }
    let watched = memory.transient.since.map_or(0.0, |since| elapsed(now, since));
    if watched < window {
        return Some(format!("{watched:.0} s of {window:.0} s watched"));
    }
    let ruled = policy
        .scale_down
        .as_ref()
        .is_some_and(|behavior| !behavior.policies.is_empty());
    let pause = if ruled { RULED_STEP } else { OWN_STEP };
    let last = memory
        .steps
        .last()
        .map(|Step(at, _, _)| now.as_second().saturating_sub(*at));
    last.filter(|ago| (0..pause as i64).contains(ago))
        .map(|ago| format!("last step {ago} s ago"))
}

/// The smallest size that the rates of scale-in allow now.
pub(crate) fn lowest_by_rate(policy: &Policy, memory: &Memory, current: u32, now: Timestamp) -> u32 {
    let own = current.saturating_sub(libm::floor(f64::from(current) * OWN_SHARE).max(1.0) as u32);
    let Some(ScaleDownBehavior {
        stabilization_window: _,
        select_policy,
        policies,
    }) = &policy.scale_down
    else {
        return own;
    };
    let allowed = policies.iter().map(|rule| by_rule(rule, memory, current, now));
    match select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Max => allowed.min().unwrap_or(own),
        SelectPolicy::Min => allowed.max().unwrap_or(own),
    }
    .min(current)
}

/// As the HPA has it: from the size at the start of the period.
fn by_rule(rule: &ScalingRule, memory: &Memory, current: u32, now: Timestamp) -> u32 {
    let ScalingRule { kind, value, period } = *rule;
    let oldest = now
        .as_second()
        .saturating_sub(period.max(SignedDuration::from_secs(1)).as_secs());
    let recent = memory.steps.iter().filter(|Step(at, _, _)| *at > oldest);
    let left: u32 = recent
        .map(|Step(_, from, to)| from.saturating_sub(*to))
        .fold(0, u32::saturating_add);
    let start = current.saturating_add(left);
    match kind {
        RuleKind::Pods => start.saturating_sub(value),
        RuleKind::Percent => {
            let share = 1.0 - (f64::from(value) / 100.0).min(1.0);
            libm::floor(f64::from(start) * share) as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(NOW + second).expect("in range")
    }

    fn ruled(select_policy: SelectPolicy, rules: &[(RuleKind, u32, i64)]) -> Policy {
        let policies = rules.iter().map(|(kind, value, period)| ScalingRule {
            kind: *kind,
            value: *value,
            period: SignedDuration::from_secs(*period),
        });
        let scale_down = Some(ScaleDownBehavior {
            stabilization_window: SignedDuration::from_secs(45),
            select_policy,
            policies: policies.collect(),
        });
        Policy {
            scale_down,
            ..Policy::new(0, 100).expect("valid")
        }
    }

    #[test]
    fn the_laws_own_step_is_15_percent_and_at_least_one_pod() {
        let policy = Policy::new(0, 100).expect("valid");
        let lowest = |current| lowest_by_rate(&policy, &Memory::default(), current, at(0));
        assert_eq!([1, 2, 4, 8, 41].map(lowest), [0, 1, 3, 7, 35]);
    }

    #[test]
    fn rules_count_from_the_start_of_their_period() {
        let memory = Memory {
            steps: vec![Step(NOW - 100, 30, 20), Step(NOW - 20, 20, 16)],
            ..Memory::default()
        };
        let pods = ruled(SelectPolicy::Max, &[(RuleKind::Pods, 5, 60)]);
        assert_eq!(
            lowest_by_rate(&pods, &memory, 16, at(0)),
            15,
            "4 of 5 are gone within the minute"
        );
        let percent = ruled(SelectPolicy::Max, &[(RuleKind::Percent, 25, 60)]);
        assert_eq!(lowest_by_rate(&percent, &memory, 16, at(0)), 15, "20 - 25 %");
        assert_eq!(lowest_by_rate(&percent, &memory, 16, at(60)), 12);
        let both = [(RuleKind::Pods, 1, 60), (RuleKind::Percent, 100, 15)];
        assert_eq!(lowest_by_rate(&ruled(SelectPolicy::Max, &both), &memory, 16, at(0)), 0);
        assert_eq!(lowest_by_rate(&ruled(SelectPolicy::Min, &both), &memory, 16, at(0)), 16);
        assert_eq!(
            lowest_by_rate(&ruled(SelectPolicy::Disabled, &both), &memory, 16, at(0)),
            16
        );
    }

    #[test]
    fn the_window_keeps_the_largest_of_each_slice_and_forgets_the_old() {
        let mut memory = Memory::default();
        for second in 0..=600 {
            remember(&mut memory, 300.0, if second < 200 { 9.0 } else { 2.0 }, at(second));
        }
        assert!(
            memory.transient.window.len() <= 125,
            "{}",
            memory.transient.window.len()
        );
        assert_eq!(floor_of_demand(&memory, false), Some(3));
        remember(&mut memory, 300.0, 50.0, at(601));
        assert_eq!(floor_of_demand(&memory, false), Some(3), "one spike is within the 5 %");
    }

    #[test]
    fn the_window_spans_three_slow_starts_and_is_kept_whole() {
        let slow = |slow| PodStart { median: 1.0, slow };
        let policy = Policy::new(0, 100).expect("valid");
        let windows = [10.0, 200.0].map(|start| window(&policy, slow(start)) as u32);
        assert_eq!(windows, [300, 600]);
        let mut memory = Memory::default();
        remember(&mut memory, 240.0, 9.0, at(0));
        remember(&mut memory, 240.0, 1.0, at(242));
        assert_eq!(memory.transient.window.len(), 2, "and a slice of 2 s");
        remember(&mut memory, 240.0, 1.0, at(243));
        assert_eq!(memory.transient.window.len(), 1);
    }

    #[test]
    fn pods_that_do_not_report_count_as_full() {
        let workers = Workers {
            ready: 4,
            reporting: 2,
            used: [0.0, 3.0, 0.0, 0.0],
            room: [0.0, 8.0, 0.0, 0.0],
            ..Workers::default()
        };
        assert_eq!(floor_of_work(&workers, &[1.0, 4.0, 1.0, 1.0], true), 3);
        assert_eq!(floor_of_work(&workers, &[1.0, 4.0, 1.0, 1.0], false), 0);
        let busier = Workers {
            used: [0.0, 8.0, 0.0, 0.0],
            ..workers
        };
        assert_eq!(floor_of_work(&busier, &[1.0, 4.0, 1.0, 1.0], true), 5);
    }

    #[test]
    fn without_fixed_slots_each_busy_pod_stays() {
        let workers = Workers {
            ready: 4,
            reporting: 4,
            busy_pods: 3,
            used: [0.0, 3.0, 0.0, 0.0],
            ..Workers::default()
        };
        assert_eq!(floor_of_work(&workers, &[100.0; 4], true), 3);
    }
}
