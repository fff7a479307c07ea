//! `explain`: the last evaluation of a fleet as arithmetic, from its status alone. Pure: it lays out what the operator wrote.

use std::fmt::Write as _;

use fleet_crds::{
    ArithmeticLine, AutoscalingMode, AutoscalingStatus, ConditionType, TemporalWorker, TemporalWorkerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

/// Texts longer than this do not widen their column [characters].
const WIDEST: usize = 64;
/// Width of the column of steps [characters].
const STEP: usize = 10;
/// Width of the names of targets [characters].
const TARGET: usize = 19;

/// The evaluation of a fleet as text.
pub(crate) fn text(fleet: &TemporalWorker) -> String {
    let status = fleet.status.clone().unwrap_or_default();
    let scaling = status.autoscaling.clone().unwrap_or_default();
    let mut text = format!("{}   {}\n", head(fleet), size(fleet, &status, &scaling));
    if let Some(last) = scaling.decisions.last().filter(|_| !is_last(&scaling)) {
        let (from, to, reason) = (last.from, last.to, &last.reason);
        let _ = writeln!(
            text,
            "{:STEP$}{from} -> {to} at {}, decided by {reason}",
            "last",
            clock(&last.time)
        );
    }
    for (step, condition) in notes(&status) {
        let _ = writeln!(text, "{step:STEP$}{}", words(condition));
    }
    if scaling.arithmetic.is_empty() {
        text.push_str(nothing(fleet));
        text.push('\n');
    } else {
        rows(&scaling.arithmetic, &mut text);
    }
    text
}

fn head(fleet: &TemporalWorker) -> String {
    format!("{}/{}", fleet.namespace().unwrap_or_default(), fleet.name_any())
}

/// The evaluation shown is the one that changed the size last.
fn is_last(scaling: &AutoscalingStatus) -> bool {
    let decided = scaling.decisions.last().map(|decision| &decision.time);
    decided.is_some() && decided == scaling.evaluated_at.as_ref()
}

fn size(fleet: &TemporalWorker, status: &TemporalWorkerStatus, scaling: &AutoscalingStatus) -> String {
    if let Some(last) = scaling.decisions.last().filter(|_| is_last(scaling)) {
        let (from, to, reason) = (last.from, last.to, &last.reason);
        return format!("{from} -> {to} replicas at {}, decided by {reason}", clock(&last.time));
    }
    let desired = status
        .desired_replicas
        .map_or_else(|| "?".to_owned(), |size| size.to_string());
    let at = scaling
        .evaluated_at
        .as_ref()
        .map_or_else(String::new, |at| format!(" as of {}", clock(at)));
    let mode = fleet.spec.autoscaling.as_ref().map(|spec| spec.mode);
    match (mode, scaling.recommended_replicas) {
        (Some(AutoscalingMode::DryRun | AutoscalingMode::Off), Some(recommended)) => {
            format!("{desired} replicas by spec.replicas; {recommended} recommended{at}")
        }
        (Some(AutoscalingMode::Auto), Some(recommended)) if Some(recommended) != status.desired_replicas => {
            format!("{desired} replicas, {recommended} recommended{at}")
        }
        _ => format!("{desired} replicas{at}"),
    }
}

/// Conditions without which the arithmetic would be misread.
fn notes(status: &TemporalWorkerStatus) -> Vec<(&'static str, &Condition)> {
    let find = |wanted: ConditionType| {
        status
            .conditions
            .iter()
            .find(move |condition| condition.type_ == wanted.as_str())
    };
    let paused = find(ConditionType::ScalingPaused).filter(|condition| condition.status == "True");
    let signals = find(ConditionType::ScalingActive).filter(|condition| condition.reason != "SignalsValid");
    let paused = paused.map(|condition| ("paused", condition));
    paused
        .into_iter()
        .chain(signals.map(|condition| ("signals", condition)))
        .collect()
}

fn words(condition: &Condition) -> String {
    if condition.message.is_empty() {
        condition.reason.clone()
    } else {
        format!("{}: {}", condition.reason, condition.message)
    }
}

fn nothing(fleet: &TemporalWorker) -> &'static str {
    if fleet.status.is_none() {
        "No operator has looked at it yet."
    } else if fleet.spec.autoscaling.is_none() {
        "There is no autoscaling to explain: spec.replicas is the size."
    } else {
        "There is no evaluation: the autoscaler was not asked at the last look."
    }
}

fn rows(lines: &[ArithmeticLine], text: &mut String) {
    let rows: Vec<Row> = lines.iter().filter(|line| line.step != "Change").map(row).collect();
    let width = |cell: fn(&Row) -> &String| {
        let widths = rows.iter().map(|row| cell(row).chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (formulas, results) = (width(|row| &row.formula), width(|row| &row.result));
    let mut before = String::new();
    for Row {
        step,
        formula,
        result,
        note,
    } in &rows
    {
        // A step of several lines is named once.
        let named = if *step == before { "" } else { step };
        let line = format!("{named:STEP$}{formula:formulas$}   {result:results$}   {note}");
        let _ = writeln!(text, "{}", line.trim_end());
        before.clone_from(step);
    }
    for line in lines.iter().filter(|line| line.step == "Change") {
        let _ = writeln!(text, "{}", line.text);
    }
}

struct Row {
    step: String,
    formula: String,
    result: String,
    note: String,
}

fn row(line: &ArithmeticLine) -> Row {
    let ArithmeticLine {
        step,
        text,
        result,
        note,
    } = line;
    let (step, formula, sign) = match step.as_str() {
        "Demand" => ("demand", text.clone(), "= "),
        "Headroom" => ("headroom", text.clone(), ""),
        "PerPod" => ("per pod", text.clone(), "= "),
        "Target" => ("targets", aligned(text), "= "),
        "Behavior" => ("behavior", text.clone(), "-> "),
        "Bounds" => ("bounds", text.clone(), "-> "),
        "Slots" => ("slots", text.clone(), "= "),
        // A step of a newer operator.
        other => (other, text.clone(), ""),
    };
    let result = if result.is_empty() {
        String::new()
    } else {
        format!("{sign}{result}")
    };
    Row {
        step: step.to_owned(),
        formula,
        result,
        note: note.clone(),
    }
}

/// The name of a target, which begins its text, in a column of its own.
fn aligned(text: &str) -> String {
    match text.split_once(' ') {
        Some((target, formula)) => format!("{target:TARGET$}{formula}"),
        None => text.to_owned(),
    }
}

fn clock(at: &Time) -> String {
    at.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;

    fn fleet(spec: &Value, status: &Value) -> TemporalWorker {
        let mut whole = json!({
            "connectionRef": {"name": "prod"}, "taskQueues": [{"name": "orders"}], "image": "orders:1"
        });
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        serde_json::from_value(json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": whole, "status": status
        }))
        .expect("a fleet")
    }

    fn lines() -> Value {
        json!([
            {"step": "Demand", "text": "51.6 tasks/s x 2.1 s", "result": "108 busy slots", "note": "WorkerControl 4/4 pods 1 s old, queue 3 s old"},
            {"step": "Headroom", "text": "Balanced, by forecast errors of the last hour", "result": "+ 0%"},
            {"step": "PerPod", "text": "500m CPU / 22m per busy slot", "result": "22.7 slots", "note": "limit of 100 not reached"},
            {"step": "Target", "text": "ScheduleToStart p99 5s: 115 slots / 22.7", "result": "5.06 -> 5"},
            {"step": "Target", "text": "CpuUtilization 108 busy slots x 22m / (500m x 80%)", "result": "5.96 -> 6", "note": "largest"},
            {"step": "Behavior", "text": "out at once", "result": "6"},
            {"step": "Bounds", "text": "2..60", "result": "6"},
            {"step": "Slots", "text": "slots that fill 90% of 500m CPU at 22m per busy slot", "result": "21 slots", "note": "now 100"},
            {"step": "Change", "text": "One pod less below about 44.1 tasks/s or with 17% more CPU per pod, one more above about 52.8 tasks/s."}
        ])
    }

    fn decided() -> Value {
        json!([{"time": "2026-11-22T12:04:31Z", "from": 4, "to": 6, "reason": "CpuUtilization", "message": "…"}])
    }

    fn auto() -> Value {
        json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 60}})
    }

    #[test]
    fn a_decision_reads_from_top_to_bottom() {
        let status = json!({"desiredReplicas": 6, "autoscaling": {
            "recommendedReplicas": 6, "evaluatedAt": "2026-11-22T12:04:31Z", "arithmetic": lines(), "decisions": decided()
        }});
        assert_snapshot!(text(&fleet(&auto(), &status)), @r"
        shop/orders   4 -> 6 replicas at 2026-11-22 12:04:31 UTC, decided by CpuUtilization
        demand    51.6 tasks/s x 2.1 s                                     = 108 busy slots   WorkerControl 4/4 pods 1 s old, queue 3 s old
        headroom  Balanced, by forecast errors of the last hour            + 0%
        per pod   500m CPU / 22m per busy slot                             = 22.7 slots       limit of 100 not reached
        targets   ScheduleToStart    p99 5s: 115 slots / 22.7              = 5.06 -> 5
                  CpuUtilization     108 busy slots x 22m / (500m x 80%)   = 5.96 -> 6        largest
        behavior  out at once                                              -> 6
        bounds    2..60                                                    -> 6
        slots     slots that fill 90% of 500m CPU at 22m per busy slot     = 21 slots         now 100
        One pod less below about 44.1 tasks/s or with 17% more CPU per pod, one more above about 52.8 tasks/s.
        ");
    }

    #[test]
    fn what_keeps_the_fleet_from_its_size_stands_above_the_arithmetic() {
        let now = "2026-11-22T12:00:00Z";
        let status = json!({
            "desiredReplicas": 6,
            "conditions": [
                {"type": "ScalingPaused", "status": "True", "reason": "Paused", "message": "the size stays while the annotation temporal-fleet.dev/paused stands", "lastTransitionTime": now},
                {"type": "ScalingActive", "status": "True", "reason": "SignalsDegraded", "message": "3 of 4 pods report", "lastTransitionTime": now}
            ],
            "autoscaling": {
                "recommendedReplicas": 9, "evaluatedAt": "2026-11-22T12:06:10Z", "decisions": decided(),
                "arithmetic": [
                    {"step": "Demand", "text": "no task waits, runs or arrives", "result": "0 busy slots"},
                    {"step": "Behavior", "text": "no scale-in to 3: 40 s of 300 s watched", "result": "6"},
                    {"step": "Weather", "text": "of a newer operator"}
                ]
            }
        });
        assert_snapshot!(text(&fleet(&auto(), &status)), @r"
        shop/orders   6 replicas, 9 recommended as of 2026-11-22 12:06:10 UTC
        last      4 -> 6 at 2026-11-22 12:04:31 UTC, decided by CpuUtilization
        paused    Paused: the size stays while the annotation temporal-fleet.dev/paused stands
        signals   SignalsDegraded: 3 of 4 pods report
        demand    no task waits, runs or arrives            = 0 busy slots
        behavior  no scale-in to 3: 40 s of 300 s watched   -> 6
        Weather   of a newer operator
        ");
    }

    #[test]
    fn recommendations_alone_are_said_to_be_that() {
        let dry = json!({"replicas": 2, "autoscaling": {"mode": "DryRun", "maxReplicas": 60}});
        let status = json!({"desiredReplicas": 2, "autoscaling": {
            "recommendedReplicas": 6, "evaluatedAt": "2026-11-22T12:06:10Z", "arithmetic": lines()
        }});
        let text = text(&fleet(&dry, &status));
        let head = text.lines().next().unwrap_or_default();
        assert_eq!(
            head,
            "shop/orders   2 replicas by spec.replicas; 6 recommended as of 2026-11-22 12:06:10 UTC"
        );
    }

    #[test]
    fn a_fleet_without_an_evaluation_says_why() {
        let ends = |fleet: &TemporalWorker, with: &str| {
            let text = text(fleet);
            assert!(text.ends_with(with), "{text}");
        };
        ends(&fleet(&auto(), &json!(null)), "No operator has looked at it yet.\n");
        ends(
            &fleet(&json!({}), &json!({"desiredReplicas": 1})),
            "spec.replicas is the size.\n",
        );
        ends(
            &fleet(&auto(), &json!({"desiredReplicas": 1})),
            "the autoscaler was not asked at the last look.\n",
        );
    }
}
