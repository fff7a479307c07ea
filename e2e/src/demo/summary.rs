//! The end of the demo: a table for people and `summary.json` for programs, from the same verdict.

use std::{io, path::Path};

use serde_json::{Value, json};

use super::{record::Record, verdict::Verdict};
use crate::load::{ActivityRecord, stats::quantile};

/// The JSON summary. Numbers that were not measured are `null`.
pub fn json(verdict: &Verdict) -> Value {
    json!({
        "verdict": if verdict.passed() { "pass" } else { "fail" },
        "max_replicas": verdict.max_replicas,
        "quiet_replicas": verdict.quiet_replicas,
        "final_replicas": verdict.final_replicas,
        "workflows_started": verdict.workflows_started,
        "workflows_completed": verdict.workflows_completed,
        "killed_tasks": verdict.killed_tasks,
        "lost_workflow_tasks": verdict.lost_workflow_tasks,
        "reaction_seconds": verdict.reaction_seconds,
        "capacity_seconds": verdict.capacity_seconds,
        "schedule_to_start_p99_seconds": verdict.schedule_to_start_p99_seconds,
        "scenario_seconds": verdict.scenario_seconds,
        "checks": verdict.checks,
    })
}

/// The table for people.
pub fn text(record: &Record, verdict: &Verdict) -> String {
    let mut lines = vec![String::new()];
    for phase in &record.phases {
        let of_phase = || record.workflows.iter().filter(|each| each.phase == phase.kind.name());
        let waits = of_phase()
            .flat_map(|each| &each.activities)
            .filter_map(ActivityRecord::schedule_to_start_seconds);
        let sizes = || {
            record
                .samples_between(phase.from, phase.to)
                .filter_map(|sample| sample.ready)
        };
        lines.push(format!(
            "  {:<12} {:>4.0} s  {:>4} workflows  pods {}-{}  schedule-to-start p99 {} s",
            phase.kind.name(),
            phase.to.duration_since(phase.from).as_secs_f64(),
            of_phase().count(),
            known(sizes().min()),
            known(sizes().max()),
            quantile(waits, 0.99).map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.2}")),
        ));
    }
    lines.push(String::new());
    for check in &verdict.checks {
        lines.push(format!(
            "  {} {}: {}",
            if check.passed { "pass" } else { "FAIL" },
            check.name,
            check.evidence
        ));
    }
    let seconds = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.1} s"));
    lines.push(String::new());
    lines.push(format!(
        "  {} of {} workflows completed, {} tasks cut off; first decision {} and first new pod Ready {} after the step; schedule-to-start p99 {}",
        verdict.workflows_completed,
        verdict.workflows_started,
        verdict.killed_tasks,
        seconds(verdict.reaction_seconds),
        seconds(verdict.capacity_seconds),
        seconds(verdict.schedule_to_start_p99_seconds),
    ));
    lines.push(format!("  verdict: {}", if verdict.passed() { "PASS" } else { "FAIL" }));
    lines.join("\n")
}

/// Writes `summary.json` and `record.json` into a folder, which is made if need be.
pub fn write(folder: &Path, record: &Record, verdict: &Verdict) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("summary.json"), serde_json::to_vec_pretty(&json(verdict))?)?;
    std::fs::write(folder.join("record.json"), serde_json::to_vec(record)?)
}

fn known(value: Option<u32>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::verdict::judge;

    #[test]
    fn the_summary_has_every_promised_key() {
        let summary = json(&judge(&Record::default()));
        for key in [
            "verdict",
            "max_replicas",
            "final_replicas",
            "workflows_started",
            "workflows_completed",
            "killed_tasks",
            "reaction_seconds",
            "schedule_to_start_p99_seconds",
            "checks",
        ] {
            assert!(summary.get(key).is_some(), "{key}");
        }
        assert_eq!(summary["verdict"], "fail");
        assert!(
            summary["checks"]
                .as_array()
                .is_some_and(|checks| checks.iter().all(|each| each["evidence"].is_string()))
        );
    }
}
