//! Tables, JSON and pictures of all runs that were kept. Pure but for reading and writing the files.
//!
//! Runs of one scenario belong together only if they had the same load: the same seed, length and neighbours. Of others the newest
//! decide, the rest is named and left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{
    args::Scaler,
    course::{Point, course},
    files::{Files, write},
    health::disturbed_minutes,
    plot::{Curve, picture},
    prediction::{self, Prediction},
    record::Record,
    remarks::remarks,
    scenario::{Name, Scenario},
    score::{Reaction, Score, score},
    trace,
};
use crate::load::stats::quantile;

/// A run with all that is known of it.
struct Run<'a> {
    record: &'a Record,
    score: Score,
    /// The score of all minutes, the disturbed ones too: what the simulator is compared with, as it knows no minutes left out.
    whole: Score,
    disturbed: BTreeMap<u32, &'static str>,
    predicted: Option<Prediction>,
}

/// The runs of one scenario.
struct Group<'a> {
    scenario: Scenario,
    seconds: f64,
    /// Minutes in which the machine was disturbed in any of the runs.
    dropped: BTreeSet<u32>,
    runs: Vec<Run<'a>>,
}

/// Writes everything that can be made of the records; gives the tables.
pub(super) fn write_all(files: &Files) -> Result<String> {
    let records = files.records()?;
    let (groups, left_out) = grouped(&records, |scenario| files.prediction(scenario));
    for group in &groups {
        let name = group.scenario.name;
        let courses: Vec<(Scaler, Vec<Point>)> = group
            .runs
            .iter()
            .map(|run| (run.record.scaler, course(run.record)))
            .collect();
        let curves: Vec<Curve> = courses
            .iter()
            .map(|(scaler, points)| Curve {
                scaler: *scaler,
                points,
            })
            .collect();
        let title = format!("{name}: {}", group.scenario.about);
        write(
            &files.picture(name),
            &picture(&title, group.seconds, &curves, &group.dropped),
        )?;
        let records: Vec<&Record> = group.runs.iter().map(|run| run.record).collect();
        if let Some(first) = records.first() {
            let trace_name = Files::trace_name(name);
            write(&files.part(&trace_name), &trace::csv(first))?;
            let simulated = trace::scenario(&group.scenario, &records, &trace_name);
            write(
                &files.part(&format!("{name}.yaml")),
                &serde_yaml::to_string(&simulated)?,
            )?;
        }
    }
    let text = serde_json::to_string_pretty(&to_json(&groups, &left_out))? + "\n";
    write(&files.json(), &text)?;
    let tables = markdown(&groups, &left_out);
    write(&files.markdown(), &tables)?;
    Ok(tables)
}

/// The comparable runs by scenario, and what is left out with the reason.
fn grouped(records: &[Record], predictions: impl Fn(Name) -> Option<Value>) -> (Vec<Group<'_>>, Vec<String>) {
    let mut left_out = Vec::new();
    let mut groups = Vec::new();
    for name in Name::ALL {
        let mut of_scenario: Vec<&Record> = records.iter().filter(|record| record.scenario == name).collect();
        let Some(newest) = of_scenario.iter().copied().max_by_key(|record| record.began) else {
            continue;
        };
        let same_load = |record: &Record| {
            record.seed == newest.seed
                && record.beside == newest.beside
                && (record.seconds - newest.seconds).abs() < 1.0
        };
        for record in of_scenario.iter().filter(|record| !same_load(record)) {
            left_out.push(format!(
                "{name}, {}: another load than the newest run of the scenario (seed {}, {:.0} min, beside {} others)",
                record.scaler,
                record.seed,
                record.seconds / 60.0,
                record.beside.len()
            ));
        }
        of_scenario.retain(|record| same_load(record));
        let dropped: BTreeSet<u32> = of_scenario
            .iter()
            .flat_map(|record| disturbed_minutes(record).into_keys())
            .collect();
        let predicted = predictions(name);
        let runs = of_scenario
            .into_iter()
            .map(|record| Run {
                record,
                score: score(record, &dropped),
                whole: score(record, &BTreeSet::new()),
                disturbed: disturbed_minutes(record),
                predicted: predicted.as_ref().and_then(|file| prediction::of(file, record.scaler)),
            })
            .collect();
        groups.push(Group {
            scenario: Scenario::named(name),
            seconds: newest.seconds,
            dropped,
            runs,
        });
    }
    (groups, left_out)
}

fn to_json(groups: &[Group], left_out: &[String]) -> Value {
    let mut scenarios = Map::new();
    for group in groups {
        let runs: Map<String, Value> = group
            .runs
            .iter()
            .map(|run| {
                let value = json!({
                    "machine": run.record.machine,
                    "began": run.record.began,
                    "disturbed_minutes": run.disturbed,
                    "score": run.score,
                    "whole": run.whole,
                    "predicted": run.predicted,
                    "course": course(run.record),
                });
                (run.record.scaler.to_string(), value)
            })
            .collect();
        let value = json!({
            "about": group.scenario.about,
            "seed": group.runs.first().map(|run| run.record.seed),
            "seconds": group.seconds,
            "dropped_minutes": group.dropped,
            "runs": runs,
        });
        scenarios.insert(group.scenario.name.to_string(), value);
    }
    json!({"live": true, "scenarios": scenarios, "left_out": left_out})
}

fn markdown(groups: &[Group], left_out: &[String]) -> String {
    let mut text = String::from(
        "## Runs\n\nWaits in seconds, from a workflow's start to its first activity's; `killed` are tasks cut off while a pod was going.\n\n\
         | scenario | scaler | violated s | p50 | p99 | max | late % | activities p99 | pod-s | killed | otherwise retried | expired | not known \
         | backlog → write s | zero → first start s | replicas mean / max | changes (turns) | CPU % |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|\n",
    );
    for group in groups {
        for run in &group.runs {
            text.push_str(&row(group.scenario.name, run));
        }
    }
    for group in groups {
        let records: Vec<&Record> = group.runs.iter().map(|run| run.record).collect();
        text.push_str(&remarks(group.scenario.name, &records));
    }
    text.push_str("\n## Minutes left out\n\nDisturbed for one scaler, left out for all of the scenario.\n\n");
    text.push_str("| scenario | of minutes | left out | because of |\n|---|---:|---:|---|\n");
    for group in groups {
        let because: Vec<String> = group
            .runs
            .iter()
            .filter(|run| !run.disturbed.is_empty())
            .map(|run| {
                let reasons: BTreeSet<&str> = run.disturbed.values().copied().collect();
                let reasons: Vec<&str> = reasons.into_iter().collect();
                format!(
                    "{}: {} ({})",
                    run.record.scaler,
                    run.disturbed.len(),
                    reasons.join(", ")
                )
            })
            .collect();
        text.push_str(&format!(
            "| {} | {:.0} | {} | {} |\n",
            group.scenario.name,
            (group.seconds / 60.0).ceil(),
            group.dropped.len(),
            because.join("; ")
        ));
    }
    text.push_str(&predictions(groups));
    for what in left_out {
        text.push_str(&format!("\nLeft out: {what}.\n"));
    }
    let machines: BTreeSet<&str> = groups
        .iter()
        .flat_map(|group| &group.runs)
        .map(|run| run.record.machine.as_str())
        .collect();
    for machine in machines {
        text.push_str(&format!("\n{machine}\n"));
    }
    text
}

fn row(name: Name, run: &Run) -> String {
    let Run {
        record,
        score,
        whole: _,
        disturbed: _,
        predicted: _,
    } = run;
    let wait = &score.workflow_wait;
    let percent = |share: Option<f64>| number(share.map(|share| share * 100.0), 1);
    format!(
        "| {name} | {} | {:.0} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {} | {} | {} / {} | {} ({}) | {} |\n",
        record.scaler,
        wait.violation_seconds,
        number(wait.p50, 2),
        number(wait.p99, 1),
        number(wait.max, 1),
        percent(wait.late_share),
        number(score.activity_wait.p99, 1),
        score.pod_seconds,
        score.killed_tasks,
        score.retried_tasks,
        score.expired_tasks,
        wait.unknown,
        answers(&score.reactions),
        number(wake(&score.reactions), 1),
        number(score.mean_replicas, 1),
        score
            .max_replicas
            .map_or_else(|| "?".to_owned(), |most| most.to_string()),
        score.scale_events,
        score.reversals,
        percent(score.mean_cpu),
    )
}

/// Median and longest time to a larger size, and how many backlogs had one while they lasted.
fn answers(reactions: &[Reaction]) -> String {
    if reactions.is_empty() {
        return "no backlog".to_owned();
    }
    let writes: Vec<f64> = reactions.iter().filter_map(|reaction| reaction.write_seconds).collect();
    let of = format!("{} of {}", writes.len(), reactions.len());
    if writes.is_empty() {
        return of;
    }
    let q = |q| number(quantile(writes.iter().copied(), q), 1);
    format!("{} median, {} longest; {of}", q(0.5), q(1.0))
}

/// The longest time from the first waiting task to the first start, of all times that the fleet was at zero.
fn wake(reactions: &[Reaction]) -> Option<f64> {
    let at_zero = reactions.iter().filter(|reaction| reaction.from == Some(0));
    at_zero
        .map(|reaction| reaction.first_start_seconds)
        .max_by(f64::total_cmp)
}

fn predictions(groups: &[Group]) -> String {
    let mut rows = String::new();
    for group in groups {
        for run in &group.runs {
            let Some(predicted) = &run.predicted else { continue };
            let Score {
                workflow_wait,
                pod_seconds,
                killed_tasks,
                ..
            } = &run.whole;
            rows.push_str(&format!(
                "| {} | {} | {:.0} / {:.0} | {:.0} / {pod_seconds:.0} | {:+.0} % | {:.1} / {} | {:.1} / {killed_tasks} |\n",
                group.scenario.name,
                run.record.scaler,
                predicted.violation_seconds,
                workflow_wait.violation_seconds,
                predicted.pod_seconds,
                100.0 * (predicted.pod_seconds / pod_seconds.max(1.0) - 1.0),
                predicted.p99,
                number(workflow_wait.p99, 1),
                predicted.killed,
            ));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n## The simulator on the recorded load\n\nSimulated / live, of the whole run: the minutes left out above are in it.\n\n\
         | scenario | scaler | violated s | pod-s | error of pod-s | p99 s | killed |\n|---|---|---:|---:|---:|---:|---:|\n{rows}"
    )
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::{fleet::sizes::Size, live::record::Health};

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn record(scaler: Scaler, seed: u64, began: i64) -> Record {
        Record {
            scaler,
            scenario: Name::Step,
            beside: vec![],
            seed,
            machine: "2 x CPU".to_owned(),
            began: at(began),
            seconds: 900.0,
            due: vec![1.0, 2.0],
            workflows: vec![],
            pods: vec![],
            sizes: vec![Size {
                at: at(began),
                replicas: 1,
            }],
            samples: vec![],
            health: vec![],
        }
    }

    #[test]
    fn only_runs_with_the_same_load_are_compared() {
        let mut shorter = record(Scaler::Ours, 2, 500);
        shorter.seconds = 180.0;
        let records = [shorter, record(Scaler::HpaCpu, 1, 0), record(Scaler::Keda, 2, 1_000)];
        let (groups, left_out) = grouped(&records, |_| None);
        assert_eq!(groups.len(), 1);
        assert_eq!(
            groups[0].runs.iter().map(|run| run.record.scaler).collect::<Vec<_>>(),
            [Scaler::Keda]
        );
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(
            left_out
                .iter()
                .any(|line| line.contains("hpa-cpu") && line.contains("seed 1"))
        );
        assert!(
            left_out
                .iter()
                .any(|line| line.contains("ours") && line.contains("3 min"))
        );
    }

    #[test]
    fn alone_and_beside_another_is_not_the_same_load() {
        let mut beside = record(Scaler::Keda, 1, 0);
        beside.beside = vec![Name::Trickle];
        let records = [beside, record(Scaler::Ours, 1, 0)];
        assert_eq!(grouped(&records, |_| None).1.len(), 1);
    }

    #[test]
    fn a_minute_disturbed_for_one_is_left_out_for_all() {
        let mut ours = record(Scaler::Ours, 1, 0);
        ours.health.push(Health {
            at: at(95),
            seconds: 30.0,
            idle: Some(0.5),
            steal: Some(0.4),
            answer_seconds: Some(0.01),
        });
        let records = [ours, record(Scaler::Keda, 1, 5_000)];
        let (groups, left_out) = grouped(&records, |_| None);
        assert!(left_out.is_empty());
        assert_eq!(groups[0].dropped, BTreeSet::from([1]));
        assert!(groups[0].runs[1].disturbed.is_empty());
        let tables = markdown(&groups, &left_out);
        assert!(tables.contains("| step | 15 | 1 | ours: 1 (steal) |"), "{tables}");
        assert!(tables.contains("2 x CPU"));
    }

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let simulated = json!({"scalers": {"ours": {"total": {
            "violation_minutes": {"mean": 1.0}, "pod_hours": {"mean": 1.0}, "wait_p99": {"mean": 2.0}, "killed": {"mean": 0.0},
        }}}});
        let records = [record(Scaler::Ours, 1, 0)];
        let (groups, left_out) = grouped(&records, |_| Some(simulated.clone()));
        let tables = markdown(&groups, &left_out);
        let mut cells = 0;
        for line in tables.lines() {
            let found = line.matches('|').count();
            if found > 0 && cells > 0 {
                assert_eq!(found, cells, "{line}");
            }
            cells = found;
        }
        assert!(tables.contains("## The simulator on the recorded load"));
        let value = to_json(&groups, &left_out);
        assert_eq!(value["scenarios"]["step"]["runs"]["ours"]["score"]["pod_seconds"], 0.0);
        assert_eq!(
            value["scenarios"]["step"]["runs"]["ours"]["score"]["mean_cpu"],
            Value::Null
        );
    }

    #[test]
    fn answers_tell_how_many_backlogs_had_one() {
        let reaction = |from, write_seconds| Reaction {
            at: 0.0,
            from: Some(from),
            write_seconds,
            first_start_seconds: 12.0,
        };
        assert_eq!(answers(&[]), "no backlog");
        assert_eq!(answers(&[reaction(1, None)]), "0 of 1");
        let both = [reaction(0, Some(8.0)), reaction(2, Some(10.0)), reaction(2, None)];
        assert_eq!(answers(&both), "8.0 median, 10.0 longest; 2 of 3");
        assert_eq!(wake(&both), Some(12.0));
        assert_eq!(wake(&both[1..]), None);
    }
}
