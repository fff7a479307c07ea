//! `top`: one line per fleet, from its status alone. Pure: the same fleets give the same text.
//!
//! What the status does not hold is `?`, never 0. The operator writes these figures every 30 seconds at most, and only when one has changed.

use std::cmp::Ordering;

use clap::ValueEnum;
use fleet_crds::{ConditionType, TargetType, TemporalWorker, TemporalWorkerStatus};
use kube::ResourceExt as _;

use crate::view::duration;

/// What the lines are sorted by: the largest first, what is not known last; names from A to Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// Age of the oldest waiting task.
    #[default]
    Age,
    /// Tasks that wait.
    Backlog,
    /// CPU in use.
    Cpu,
    /// Schedule-to-start.
    Latency,
    /// Kubernetes namespace and name.
    Name,
    /// Pods that should be.
    Pods,
}

/// What the status of a fleet says; `None` = it does not.
struct Row {
    fleet: String,
    ready: Option<i32>,
    desired: Option<i32>,
    backlog: Option<i64>,
    age: Option<i64>,
    latency: Option<Measured>,
    slots: Option<Measured>,
    cpu: Option<Measured>,
    bound: Option<String>,
}

/// A measured value and its objective.
struct Measured {
    value: f64,
    text: String,
}

/// The fleets as a table.
pub(crate) fn table(fleets: &[TemporalWorker], by: SortBy) -> String {
    let mut rows: Vec<Row> = fleets.iter().map(row).collect();
    rows.sort_by(|a, b| compare(a, b, by).then_with(|| a.fleet.cmp(&b.fleet)));
    // Only who has this objective has the figure.
    let slots = rows.iter().any(|row| row.slots.is_some());
    let mut lines: Vec<Vec<String>> = Vec::with_capacity(rows.len() + 1);
    let head = [
        "FLEET",
        "READY",
        "BACKLOG",
        "AGE",
        "SCHEDULE-TO-START",
        "SLOTS",
        "CPU",
        "BOUND BY",
    ];
    lines.push(head.map(str::to_owned).into());
    lines.extend(rows.iter().map(cells));
    if !slots {
        for line in &mut lines {
            line.remove(SLOTS);
        }
    }
    layout(&lines)
}

/// Index of the column of slots.
const SLOTS: usize = 5;

fn cells(row: &Row) -> Vec<String> {
    let Row {
        fleet,
        ready,
        desired,
        backlog,
        age,
        latency,
        slots,
        cpu,
        bound,
    } = row;
    let measured = |of: &Option<Measured>| known(of.as_ref().map(|of| &of.text));
    vec![
        fleet.clone(),
        format!("{}/{}", known(ready.as_ref()), known(desired.as_ref())),
        known(backlog.as_ref()),
        known(age.map(duration).as_ref()),
        measured(latency),
        measured(slots),
        measured(cpu),
        known(bound.as_ref()),
    ]
}

fn known(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// Columns as wide as their widest cell, three spaces apart.
fn layout(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}

fn row(fleet: &TemporalWorker) -> Row {
    let status = fleet.status.clone().unwrap_or_default();
    Row {
        fleet: format!("{}/{}", fleet.namespace().unwrap_or_default(), fleet.name_any()),
        ready: status.ready_replicas,
        desired: status.desired_replicas,
        backlog: status.backlog,
        age: oldest(&status),
        latency: latency(&status),
        slots: share(&status, TargetType::SlotUtilization),
        cpu: share(&status, TargetType::CpuUtilization),
        bound: bound(&status),
    }
}

/// Age of the oldest task over all queues [s]; one queue that is not known may hold it.
fn oldest(status: &TemporalWorkerStatus) -> Option<i64> {
    let ages = status.task_queues.iter().map(|queue| queue.backlog_age_seconds);
    ages.collect::<Option<Vec<i64>>>()?.into_iter().max()
}

/// The measured value and the objective of a target, as the operator wrote them.
fn target(status: &TemporalWorkerStatus, wanted: TargetType) -> Option<(&str, &str)> {
    let targets = &status.autoscaling.as_ref()?.targets;
    let target = targets.iter().find(|target| target.type_ == wanted)?;
    Some((&target.current, &target.target))
}

fn latency(status: &TemporalWorkerStatus) -> Option<Measured> {
    let (current, objective) = target(status, TargetType::ScheduleToStart)?;
    let text = match objective.split_once(' ') {
        Some((percentile, goal)) => format!("{percentile} {current} of {goal}"),
        None => format!("{current} of {objective}"),
    };
    measured(current, 's', text)
}

fn share(status: &TemporalWorkerStatus, wanted: TargetType) -> Option<Measured> {
    let (current, objective) = target(status, wanted)?;
    measured(current, '%', format!("{current} of {objective}"))
}

/// `None` for `Unavailable`, and for whatever a newer operator writes in another form.
fn measured(current: &str, unit: char, text: String) -> Option<Measured> {
    let value = current.strip_suffix(unit)?.parse::<f64>().ok()?;
    value.is_finite().then_some(Measured { value, text })
}

/// What decided the size, or keeps it from what demand asks for: a person, missing signals, a bound, else the leading target.
fn bound(status: &TemporalWorkerStatus) -> Option<String> {
    let reason = |wanted: ConditionType, is: &str| {
        let mut conditions = status.conditions.iter();
        conditions
            .find(|condition| condition.type_ == wanted.as_str() && condition.status == is)
            .map(|condition| condition.reason.clone())
    };
    reason(ConditionType::ScalingPaused, "True")
        .or_else(|| reason(ConditionType::ScalingActive, "False"))
        .or_else(|| reason(ConditionType::ScalingLimited, "True"))
        .or_else(|| leading(status))
}

/// The target whose answer is the size: the one marked among several, or the only one with an answer.
fn leading(status: &TemporalWorkerStatus) -> Option<String> {
    let lines = &status.autoscaling.as_ref()?.arithmetic;
    let mut answers = lines
        .iter()
        .filter(|line| line.step == "Target" && line.result.contains("->"));
    let marked = lines
        .iter()
        .find(|line| line.step == "Target" && line.note == "largest");
    let line = marked.or_else(|| answers.next().filter(|_| answers.next().is_none()))?;
    line.text.split_whitespace().next().map(str::to_owned)
}

fn compare(a: &Row, b: &Row, by: SortBy) -> Ordering {
    match by {
        SortBy::Age => largest(a.age, b.age),
        SortBy::Backlog => largest(a.backlog, b.backlog),
        SortBy::Cpu => largest(value(a.cpu.as_ref()), value(b.cpu.as_ref())),
        SortBy::Latency => largest(value(a.latency.as_ref()), value(b.latency.as_ref())),
        SortBy::Name => Ordering::Equal,
        SortBy::Pods => largest(a.desired, b.desired),
    }
}

fn value(of: Option<&Measured>) -> Option<f64> {
    of.map(|of| of.value)
}

/// The larger one first, what is not known last.
fn largest<T: PartialOrd + Copy>(a: Option<T>, b: Option<T>) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;

    fn fleet(name: &str, status: &Value) -> TemporalWorker {
        serde_json::from_value(json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"connectionRef": {"name": "prod"}, "taskQueues": [{"name": name}], "image": "orders:1",
                     "autoscaling": {"maxReplicas": 60}},
            "status": status
        }))
        .expect("a fleet")
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "…", "lastTransitionTime": "2026-11-22T12:00:00Z"})
    }

    fn queue(name: &str, age: Option<i64>) -> Value {
        let mut queue = json!({"key": format!("{name}/Activity"), "name": name, "type": "Activity"});
        if let Some(age) = age {
            queue["backlog"] = json!(1);
            queue["backlogAgeSeconds"] = json!(age);
        }
        queue
    }

    fn busy() -> TemporalWorker {
        fleet(
            "orders",
            &json!({
                "readyReplicas": 4, "desiredReplicas": 6, "backlog": 41,
                "taskQueues": [queue("orders", Some(3)), queue("orders-heavy", Some(200))],
                "conditions": [
                    condition("ScalingActive", "True", "SignalsValid"),
                    condition("ScalingLimited", "False", "WithinBounds"),
                    condition("ScalingPaused", "False", "NotPaused")
                ],
                "autoscaling": {
                    "targets": [
                        {"type": "ScheduleToStart", "current": "3.1s", "target": "p99 5s"},
                        {"type": "CpuUtilization", "current": "79%", "target": "80%"}
                    ],
                    "arithmetic": [
                        {"step": "Target", "text": "ScheduleToStart p99 5s: 115 slots / 22.7", "result": "5.06 -> 5"},
                        {"step": "Target", "text": "CpuUtilization 108 busy slots x 22m / (500m x 80%)", "result": "5.96 -> 6", "note": "largest"}
                    ]
                }
            }),
        )
    }

    fn full() -> TemporalWorker {
        fleet(
            "mail",
            &json!({
                "readyReplicas": 60, "desiredReplicas": 60, "backlog": 90_210, "taskQueues": [queue("mail", Some(17))],
                "conditions": [condition("ScalingActive", "True", "SignalsValid"), condition("ScalingLimited", "True", "AtMaxReplicas")],
                "autoscaling": {"targets": [
                    {"type": "ScheduleToStart", "current": "17s", "target": "p95 60s"},
                    {"type": "CpuUtilization", "current": "9%", "target": "80%"}
                ]}
            }),
        )
    }

    fn blind() -> TemporalWorker {
        fleet(
            "reports",
            &json!({
                "readyReplicas": 2, "desiredReplicas": 2, "taskQueues": [queue("reports", Some(1)), queue("late", None)],
                "conditions": [condition("ScalingActive", "False", "SignalsUnknown")],
                "autoscaling": {"targets": [
                    {"type": "ScheduleToStart", "current": "Unavailable", "target": "p99 5s"},
                    {"type": "CpuUtilization", "current": "Unavailable", "target": "80%"}
                ]}
            }),
        )
    }

    fn new() -> TemporalWorker {
        fleet("brand-new", &json!(null))
    }

    #[test]
    fn the_oldest_waiting_task_stands_first_and_what_is_not_known_is_said_to_be_that() {
        assert_snapshot!(table(&[new(), full(), blind(), busy()], SortBy::Age), @r"
        FLEET            READY   BACKLOG   AGE     SCHEDULE-TO-START   CPU          BOUND BY
        shop/orders      4/6     41        3m20s   p99 3.1s of 5s      79% of 80%   CpuUtilization
        shop/mail        60/60   90210     17s     p95 17s of 60s      9% of 80%    AtMaxReplicas
        shop/brand-new   ?/?     ?         ?       ?                   ?            ?
        shop/reports     2/2     ?         ?       ?                   ?            SignalsUnknown
        ");
    }

    #[test]
    fn slots_have_a_column_where_a_fleet_has_that_objective() {
        let mut slots = full();
        let status = slots.status.as_mut().expect("a status");
        let scaling = status.autoscaling.as_mut().expect("a scaling");
        scaling.targets[1].type_ = TargetType::SlotUtilization;
        assert_snapshot!(table(&[slots, busy()], SortBy::Name), @r"
        FLEET         READY   BACKLOG   AGE     SCHEDULE-TO-START   SLOTS       CPU          BOUND BY
        shop/mail     60/60   90210     17s     p95 17s of 60s      9% of 80%   ?            AtMaxReplicas
        shop/orders   4/6     41        3m20s   p99 3.1s of 5s      ?           79% of 80%   CpuUtilization
        ");
    }

    #[test]
    fn the_largest_comes_first_and_the_unknown_last() {
        let order = |by| {
            let table = table(&[new(), full(), blind(), busy()], by);
            let names = table.lines().skip(1).filter_map(|line| line.split(' ').next());
            names
                .map(|name| name.trim_start_matches("shop/").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(SortBy::Age), ["orders", "mail", "brand-new", "reports"]);
        assert_eq!(order(SortBy::Backlog), ["mail", "orders", "brand-new", "reports"]);
        assert_eq!(order(SortBy::Cpu), ["orders", "mail", "brand-new", "reports"]);
        assert_eq!(order(SortBy::Latency), ["mail", "orders", "brand-new", "reports"]);
        assert_eq!(order(SortBy::Name), ["brand-new", "mail", "orders", "reports"]);
        assert_eq!(order(SortBy::Pods), ["mail", "orders", "reports", "brand-new"]);
    }

    #[test]
    fn what_binds_is_a_person_before_signals_before_bounds_before_the_leading_target() {
        let bound = |change: &dyn Fn(&mut TemporalWorkerStatus)| {
            let mut status = busy().status.expect("a status");
            change(&mut status);
            super::bound(&status)
        };
        let set = |status: &mut TemporalWorkerStatus, kind: &str, is: &str, reason: &str| {
            let found = status.conditions.iter_mut().find(|condition| condition.type_ == kind);
            let condition = found.expect("the condition");
            (condition.status, condition.reason) = (is.to_owned(), reason.to_owned());
        };
        let limited = |status: &mut TemporalWorkerStatus| set(status, "ScalingLimited", "True", "PollerBound");
        let inactive = |status: &mut TemporalWorkerStatus| {
            limited(status);
            set(status, "ScalingActive", "False", "DryRun");
        };
        let paused = |status: &mut TemporalWorkerStatus| {
            inactive(status);
            set(status, "ScalingPaused", "True", "Paused");
        };
        assert_eq!(bound(&|_| {}).as_deref(), Some("CpuUtilization"));
        assert_eq!(bound(&limited).as_deref(), Some("PollerBound"));
        assert_eq!(bound(&inactive).as_deref(), Some("DryRun"));
        assert_eq!(bound(&paused).as_deref(), Some("Paused"));
        let lines = |status: &mut TemporalWorkerStatus| {
            let scaling = status.autoscaling.as_mut().expect("a scaling");
            scaling.arithmetic.remove(1);
        };
        assert_eq!(bound(&lines).as_deref(), Some("ScheduleToStart"), "the only one");
        assert_eq!(bound(&|status| status.autoscaling = None), None);
    }
}
