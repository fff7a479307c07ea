//! What the simulator says of a scenario, read from the JSON of `fleet-sim run --json`. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::args::Scaler;

/// The simulator's means for one scaler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Prediction {
    /// Seconds of violated minutes.
    pub(super) violation_seconds: f64,
    /// Cost in pod-seconds.
    pub(super) pod_seconds: f64,
    /// 99th percentile of schedule-to-start, in seconds.
    pub(super) p99: f64,
    /// Tasks that ran when their pod was killed.
    pub(super) killed: f64,
}

/// The prediction for a scaler; `None` if the file has another form or lacks it.
pub(super) fn of(simulated: &Value, scaler: Scaler) -> Option<Prediction> {
    let total = simulated.pointer(&format!("/scalers/{}/total", scaler.simulated()))?;
    let mean = |metric: &str| total.get(metric)?.get("mean")?.as_f64();
    Some(Prediction {
        violation_seconds: mean("violation_minutes")? * 60.0,
        pod_seconds: mean("pod_hours")? * 3_600.0,
        p99: mean("wait_p99")?,
        killed: mean("killed")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn means_are_read_in_seconds() {
        let metric = |mean: f64| json!({"mean": mean, "low": 0.0, "high": 99.0});
        let file = json!({"scalers": {"hpa": {"total": {
            "violation_minutes": metric(2.5), "pod_hours": metric(0.5), "wait_p99": metric(7.0), "killed": metric(0.0),
        }}}});
        let found = of(&file, Scaler::HpaCpu).expect("a prediction");
        assert!((found.violation_seconds - 150.0).abs() < 1e-9 && (found.pod_seconds - 1_800.0).abs() < 1e-9);
        assert_eq!(of(&file, Scaler::Ours), None, "not asked is not predicted");
    }
}
