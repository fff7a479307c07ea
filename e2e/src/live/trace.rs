//! The load and the workers of a scenario as `fleet-sim` reads them (docs/reference/simulator.md): a trace of arrivals, and a scenario
//! around it. Pure; formats are shared with the simulator, code is not.

use serde_json::{Value, json};

use super::{
    record::Record,
    scenario::{OBJECTIVE_PERCENTILE, OBJECTIVE_SECONDS, POD_MILLICORES, SLOTS, Scenario, Work},
};
use crate::load::{ActivityResult, stats::quantile};

/// What a pod of the sample worker uses while it has nothing to do, in cores.
const IDLE_CORES: f64 = 0.003;

/// When each workflow was due, as a trace.
pub(super) fn csv(record: &Record) -> String {
    let mut text = format!(
        "# bench-live, scenario {}, seed {}: when each workflow was due\narrival_seconds\n",
        record.scenario, record.seed
    );
    for at in &record.due {
        text.push_str(&format!("{at:.3}\n"));
    }
    text
}

/// The scenario around the trace `trace`, with what `records`, the runs of one scenario, tell of workers.
pub(super) fn scenario(scenario: &Scenario, records: &[&Record], trace: &str) -> Value {
    let Work {
        seconds,
        variation,
        cores,
    } = scenario.work;
    // What computes takes as long as it gets CPU: its time alone is known beforehand. What waits is measured.
    let mean = if cores < 0.5 {
        service_seconds(records).unwrap_or(seconds)
    } else {
        seconds
    };
    let service = if variation > 0.0 {
        json!({"distribution": "lognormal", "meanSeconds": mean, "variation": variation})
    } else {
        json!({"distribution": "fixed", "meanSeconds": mean})
    };
    let limit = f64::from(POD_MILLICORES) / 1_000.0;
    json!({
        "name": scenario.name.as_str(),
        "kinds": [{
            "name": scenario.stream.workflow,
            "type": "Activity",
            "slots": SLOTS,
            "cores": cores,
            "service": service,
            "heartbeatTimeoutSeconds": 10,
        }],
        "load": {"trace": trace},
        "seeds": [1, 2, 3, 4, 5],
        "durationSeconds": records.iter().map(|record| record.seconds).fold(60.0, f64::max),
        "pods": {
            "cores": limit,
            "cpuRequest": limit,
            "idleCores": IDLE_CORES,
            "startSeconds": start_seconds(records).unwrap_or(3.0),
            "nodes": 1,
            "graceSeconds": scenario.graceful_seconds,
        },
        "bounds": {"min": scenario.min_replicas, "max": scenario.max_replicas, "start": scenario.start_replicas},
        "objective": {"seconds": OBJECTIVE_SECONDS, "percentile": OBJECTIVE_PERCENTILE},
    })
}

/// Mean time of the activities that completed at their first attempt.
fn service_seconds(records: &[&Record]) -> Option<f64> {
    let activities = records
        .iter()
        .flat_map(|record| &record.workflows)
        .flat_map(|workflow| &workflow.activities);
    let times: Vec<f64> = activities
        .filter(|activity| activity.attempt == 1 && activity.result == ActivityResult::Completed)
        .filter_map(|activity| Some(activity.finished?.duration_since(activity.started?).as_secs_f64()))
        .collect();
    (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
}

/// Median time from a pod's creation to Ready, of all runs together.
fn start_seconds(records: &[&Record]) -> Option<f64> {
    let times = records.iter().flat_map(|record| &record.pods).filter_map(|pod| {
        let seconds = pod.ready?.duration_since(pod.created?).as_secs_f64();
        Some(seconds.max(0.0))
    });
    quantile(times, 0.5)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::live::{args::Scaler, scenario::Name};

    fn record(scenario: Name) -> Record {
        Record {
            scaler: Scaler::Ours,
            scenario,
            beside: vec![],
            seed: 7,
            machine: String::new(),
            began: Timestamp::UNIX_EPOCH,
            seconds: 1200.0,
            due: vec![0.25, 1.0, 17.1256],
            workflows: vec![],
            pods: vec![],
            sizes: vec![],
            samples: vec![],
            health: vec![],
        }
    }

    #[test]
    fn a_trace_has_the_header_that_the_simulator_expects_and_ascends() {
        let csv = csv(&record(Name::Step));
        let lines: Vec<&str> = csv.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, ["arrival_seconds", "0.250", "1.000", "17.126"]);
    }

    #[test]
    fn a_scenario_has_the_bounds_of_the_run_and_no_zero_where_nothing_was_measured() {
        for name in Name::ALL {
            let (planned, run) = (Scenario::named(name), record(name));
            let found = scenario(&planned, &[&run], "x.csv");
            assert_eq!(found["load"]["trace"], "x.csv");
            assert_eq!(found["kinds"][0]["service"]["meanSeconds"], planned.work.seconds);
            assert_eq!(found["bounds"]["max"], planned.max_replicas);
            assert!(
                found["pods"]["startSeconds"]
                    .as_f64()
                    .is_some_and(|seconds| seconds > 0.0)
            );
            assert!(
                found["kinds"][0]["service"]["variation"]
                    .as_f64()
                    .is_none_or(|variation| variation >= 0.01)
            );
        }
    }
}
