//! The command as people call it, and the form of its results.

use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = "profile: io\nload: { shape: step, rate: 10 }\ndurationSeconds: 900\nbounds: { start: 2 }\n";

fn fleet_sim(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-sim"));
    command.current_dir(folder).args(arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.yaml"), SCENARIO).expect("written");
    folder
}

#[test]
fn a_run_prints_a_table_and_writes_results_and_a_picture() {
    let folder = folder();
    let run = [
        "run",
        "--scenario",
        "small.yaml",
        "--scaler",
        "ours,keda,oracle",
        "--seeds",
        "2",
    ];
    let files = ["--json", "out/small.json", "--svg", "out/small.svg", "--decisions"];
    let output = fleet_sim(folder.path(), &[&run[..], &files[..]].concat());
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for word in [
        "small",
        "violated min",
        "pod-hours",
        "ours",
        "keda",
        "oracle",
        "decisions of ours",
        "ScheduleToStart",
    ] {
        assert!(printed.contains(word), "{word} is missing\n{printed}");
    }
    let svg = std::fs::read_to_string(folder.path().join("out/small.svg")).expect("written");
    assert!(svg.starts_with("<svg") && svg.contains("<polyline"));

    let json = std::fs::read(folder.path().join("out/small.json")).expect("written");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    for scaler in ["ours", "keda", "oracle"] {
        let of_it = &json["scalers"][scaler];
        for metric in ["violation_minutes", "pod_hours", "killed", "scale_events"] {
            for estimate in [&of_it["total"][metric], &of_it["workloads"]["small"][metric]] {
                let [low, mean, high] = ["low", "mean", "high"].map(|key| estimate[key].as_f64().expect("a number"));
                assert!(low <= mean && mean <= high, "{scaler} {metric}: {estimate}");
            }
        }
    }
    assert!(
        json["against"]["keda"]["all"]["cost"]["mean"]
            .as_f64()
            .expect("a number")
            > 0.0
    );
}

#[test]
fn what_a_run_records_a_replay_finds_equal_and_a_change_it_finds() {
    let folder = folder();
    let output = fleet_sim(
        folder.path(),
        &[
            "run",
            "--scenario",
            "small.yaml",
            "--seeds",
            "1",
            "--record",
            "small.jsonl",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = fleet_sim(folder.path(), &["replay", "small.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(", 0 of them differ"));

    let path = folder.path().join("small.jsonl");
    let recorded = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, recorded.replacen("\"recommended\":2", "\"recommended\":3", 1)).expect("written");
    let output = fleet_sim(folder.path(), &["replay", "small.jsonl"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(", 1 of them differ"));

    let output = fleet_sim(folder.path(), &["replay", "small.yaml"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_bench_writes_tables_of_the_workloads_it_is_given() {
    let folder = folder();
    let bench = [
        "bench",
        "--workload",
        "small.yaml,io-trickle",
        "--scaler",
        "ours,hpa",
        "--seeds",
        "2",
    ];
    let files = [
        "--markdown",
        "table.md",
        "--json",
        "autoscaler.json",
        "--svg",
        "pareto.svg",
    ];
    let output = fleet_sim(folder.path(), &[&bench[..], &files[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = std::fs::read_to_string(folder.path().join("table.md")).expect("written");
    for heading in [
        "## All together",
        "## Ours against the others",
        "## small",
        "## io-trickle",
    ] {
        assert!(table.contains(heading), "{heading} is missing\n{table}");
    }
    let json = std::fs::read(folder.path().join("autoscaler.json")).expect("written");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let hours = |path: &str| json.pointer(path).and_then(serde_json::Value::as_f64).expect(path);
    let parts = ["small", "io-trickle"].map(|name| hours(&format!("/scalers/hpa/workloads/{name}/pod_hours/mean")));
    assert!(
        (hours("/scalers/hpa/total/pod_hours/mean") - parts.iter().sum::<f64>()).abs() < 1e-9,
        "totals add up"
    );
}

#[test]
fn what_cannot_be_run_is_said_with_its_remedy() {
    let folder = folder();
    for (arguments, words) in [
        (
            ["run", "--scenario", "io-stairs", "--scaler", "ours"],
            "workloads: io-steady",
        ),
        (
            ["run", "--scenario", "none.yaml", "--scaler", "ours"],
            "failed to read none.yaml",
        ),
        (
            ["run", "--scenario", "small.yaml", "--scaler", "magic"],
            "scalers: ours",
        ),
    ] {
        let output = fleet_sim(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}
