//! The parts of a `TemporalWorker` and its Deployment that demo and tests look at. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One decision of the autoscaler, as the status tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was taken.
    pub time: Timestamp,
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// The target or rule that decided.
    pub reason: String,
    /// Its arithmetic.
    #[serde(default)]
    pub message: String,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Reason, a stable word.
    pub reason: String,
    /// In words.
    pub message: String,
    /// The generation it speaks of.
    pub observed_generation: Option<i64>,
}

/// Statistics of one queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Queue {
    /// `name/Type`.
    pub key: String,
    /// Tasks waiting.
    pub backlog: Option<u64>,
    /// Age of the oldest, in seconds.
    pub backlog_age_seconds: Option<f64>,
    /// Pollers seen by Temporal.
    pub pollers: Option<u32>,
}

/// What one target of the autoscaler says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// Measured, with its unit.
    pub current: String,
    /// Wanted, with its unit.
    pub target: String,
    /// Replicas it asks for.
    pub recommended_replicas: Option<u32>,
}

/// The autoscaler's part of the status.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaling {
    /// `Auto`, `DryRun` or `Off`.
    pub mode: Option<String>,
    /// What it would run.
    pub recommended_replicas: Option<u32>,
    /// Each target's view.
    pub targets: Vec<Target>,
    /// The last decisions.
    pub decisions: Vec<Decision>,
    /// The last evaluation, line by line.
    pub arithmetic: Vec<Line>,
}

/// A line of the arithmetic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Line {
    /// What is computed.
    pub text: String,
}

/// A fleet's status.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FleetStatus {
    /// Last generation the operator acted on.
    pub observed_generation: Option<i64>,
    /// Pods that exist.
    pub replicas: Option<u32>,
    /// Pods wanted.
    pub desired_replicas: Option<u32>,
    /// Ready pods.
    pub ready_replicas: Option<u32>,
    /// Tasks waiting over all queues.
    pub backlog: Option<u64>,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Each queue.
    pub task_queues: Vec<Queue>,
    /// The autoscaler's view.
    pub autoscaling: Autoscaling,
}

impl FleetStatus {
    /// Reads the status of an object; an absent or unreadable one is empty.
    pub fn read(object: &Value) -> Self {
        object
            .get("status")
            .and_then(|status| Self::deserialize(status).ok())
            .unwrap_or_default()
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|each| each.kind == kind)
    }

    /// Whether the condition is `True` for this generation of the object.
    pub fn is_true(&self, kind: &str, generation: Option<i64>) -> bool {
        self.condition(kind).is_some_and(|each| {
            each.status == "True"
                && (generation.is_none() || each.observed_generation.is_none_or(|seen| Some(seen) >= generation))
        })
    }

    /// Age of the oldest waiting task over all queues, in seconds.
    pub fn backlog_age_seconds(&self) -> Option<f64> {
        self.task_queues
            .iter()
            .filter_map(|queue| queue.backlog_age_seconds)
            .max_by(f64::total_cmp)
    }

    /// What a target measures, if that is a time in seconds, such as `3.1s`.
    pub fn target_seconds(&self, kind: &str) -> Option<f64> {
        let target = self.autoscaling.targets.iter().find(|target| target.kind == kind)?;
        target.current.strip_suffix('s')?.trim().parse().ok()
    }

    /// The newest decision.
    pub fn last_decision(&self) -> Option<&Decision> {
        self.autoscaling.decisions.iter().max_by_key(|decision| decision.time)
    }
}

/// Adds the decisions not yet in `known`, in order of time: the status keeps only the last ten.
pub fn merge_decisions(known: &mut Vec<Decision>, seen: &[Decision]) {
    for decision in seen {
        if !known.contains(decision) {
            known.push(decision.clone());
        }
    }
    known.sort_by_key(|decision| decision.time);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_status_and_bears_with_gaps() {
        let object = json!({
            "metadata": {"generation": 4},
            "status": {
                "observedGeneration": 4, "desiredReplicas": 6, "readyReplicas": 5, "backlog": 41,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Available", "message": "6/6", "observedGeneration": 4,
                                "lastTransitionTime": "2026-11-22T12:00:00Z"}],
                "taskQueues": [{"key": "q/Activity", "backlog": 41, "backlogAgeSeconds": 3, "pollers": 6},
                               {"key": "q/Workflow", "backlog": 0}],
                "autoscaling": {"mode": "Auto", "targets": [{"type": "CpuUtilization", "current": "79%", "target": "80%"},
                                {"type": "ScheduleToStart", "current": "3.1s", "target": "p99 5s"}],
                    "decisions": [{"time": "2026-11-22T12:04:31Z", "from": 4, "to": 6, "reason": "CpuUtilization", "message": "-> 6"}]}
            }
        });
        let status = FleetStatus::read(&object);
        assert_eq!((status.desired_replicas, status.ready_replicas), (Some(6), Some(5)));
        assert_eq!(status.backlog_age_seconds(), Some(3.0));
        assert!(status.is_true("Ready", Some(4)));
        assert!(
            !status.is_true("Ready", Some(5)),
            "the condition speaks of an older generation"
        );
        assert!(!status.is_true("PollersReady", None));
        assert_eq!(status.target_seconds("ScheduleToStart"), Some(3.1));
        assert_eq!(status.target_seconds("CpuUtilization"), None);
        assert_eq!(status.last_decision().map(|each| each.to), Some(6));
        assert_eq!(FleetStatus::read(&json!({})), FleetStatus::default());
    }

    #[test]
    fn decisions_outlive_the_ten_of_the_status() {
        let decision = |second: i64, to| Decision {
            time: Timestamp::new(second, 0).unwrap(),
            from: 1,
            to,
            reason: "ScheduleToStart".to_owned(),
            message: String::new(),
        };
        let mut known = vec![];
        merge_decisions(&mut known, &[decision(2, 4), decision(1, 2)]);
        merge_decisions(&mut known, &[decision(2, 4), decision(3, 6)]);
        assert_eq!(known.iter().map(|each| each.to).collect::<Vec<_>>(), [2, 4, 6]);
    }
}
