//! Scenarios: what is built in, what a file may say, and what it is told when it may not.

mod common;

use fleet_sim::load::{Shape, Streams};
use fleet_sim::scenario::{builtin, names, open, parse};

fn error(text: &str) -> String {
    parse(text).expect_err("not a scenario").to_string()
}

#[test]
fn every_built_in_workload_reads_and_has_work() {
    assert_eq!(names().len(), 35);
    for name in names() {
        let scenario = builtin(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scenario.name, name);
        let tasks = Streams::draw(&scenario, 1).arrivals.len();
        assert!((15..1_500_000).contains(&tasks), "{name}: {tasks} tasks");
    }
}

#[test]
fn what_a_file_says_goes_over_its_profile() {
    let scenario = parse("profile: cpu\npods: { cores: 4 }\nload: { shape: flash, peak: 9 }").expect("a scenario");
    assert!((scenario.pods.cores - 4.0).abs() < 1e-9);
    assert!(
        (scenario.pods.start_seconds - 50.0).abs() < 1e-9,
        "the rest is the profile's"
    );
    assert!((scenario.load.rate - 50.0).abs() < 1e-9);
    assert_eq!(scenario.load.shape, Shape::Flash);
    assert_eq!(scenario.kinds[0].slots, 8);
}

#[test]
fn errors_name_the_field_and_what_it_may_be() {
    for (text, field, fix) in [
        ("profile: fast", "profile", "one of io, cpu, long, mix, hours"),
        ("profile: io\nload: { shap: step }", "load.shap", "expected one of"),
        (
            "profile: io\nload: { shape: stairs }",
            "load.shape",
            "expected one of `steady`, `step`",
        ),
        (
            "profile: io\nbounds: { min: 9, max: 3 }",
            "bounds.min",
            "at most bounds.max",
        ),
        (
            "profile: io\nbounds: { start: 300 }",
            "bounds.start",
            "at most bounds.max",
        ),
        ("profile: io\npods: { cores: -1 }", "pods.cores", "0.05 to 256"),
        ("profile: io\nload: { rate: many }", "load.rate", "expected f64"),
        (
            "profile: io\nfaults: { blind: [{ from: 5, until: 5 }] }",
            "faults.blind[0].until",
            "more than `from`",
        ),
        ("profile: io\nseeds: []", "seeds", "at least one number"),
        ("load: { rate: 5 }", "kinds", "missing field"),
        (
            "kinds: [{ slots: 5, cores: 0.1 }]",
            "kinds[0]",
            "missing field `service`",
        ),
        (
            "kinds: [{ slots: 5, cores: 0.1, service: { meanSeconds: 0 } }]",
            "kinds[0].service.meanSeconds",
            "more than 0",
        ),
        (
            "kinds: [{ slots: 5, cores: 0, service: { meanSeconds: 1 } }, { slots: 5, cores: 0, service: { meanSeconds: 1 } }]",
            "kinds[1].type",
            "no other kind",
        ),
    ] {
        let message = error(text);
        assert!(message.contains(field) && message.contains(fix), "{text}\n{message}");
    }
}

#[test]
fn an_unknown_workload_is_told_the_known_ones() {
    let message = builtin("io-stairs").expect_err("unknown").to_string();
    assert!(
        message.contains("io-step") && message.contains("hours-trickle"),
        "{message}"
    );
}

#[test]
fn a_trace_is_found_beside_its_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("load.csv"),
        "seconds,tasks_per_second\n0,2\n300,20\n",
    )
    .expect("written");
    let path = folder.path().join("orders.yaml");
    std::fs::write(&path, "profile: io\nload: { trace: load.csv }\ndurationSeconds: 600\n").expect("written");
    let scenario = open(&path).expect("a scenario");
    assert_eq!(scenario.name, "orders");
    let streams = Streams::draw(&scenario, 1);
    let late = streams
        .arrivals
        .iter()
        .filter(|task| task.at.as_seconds() >= 300.0)
        .count();
    assert!((late as f64 - 6000.0).abs() < 300.0, "{late}");
    assert!((streams.arrivals.len() as f64 - late as f64 - 600.0).abs() < 100.0);

    std::fs::write(folder.path().join("load.csv"), "time\n0\n").expect("written");
    let message = open(&path).expect_err("a bad trace").to_string();
    assert!(
        message.contains("load.trace") && message.contains("tasks_per_second"),
        "{message}"
    );
}

#[test]
fn arrivals_of_a_trace_are_kept_to_the_moment_and_shared_by_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String = (0..100).map(|n| format!("{}\n", f64::from(n) * 0.5)).collect();
    std::fs::write(folder.path().join("tasks.csv"), format!("arrival_seconds\n{lines}")).expect("written");
    let path = folder.path().join("mix.yaml");
    std::fs::write(
        &path,
        "durationSeconds: 60\nload: { trace: tasks.csv }\nkinds:\n\
         - { type: Workflow, slots: 5, cores: 0, share: 3, service: { meanSeconds: 1 } }\n\
         - { type: Activity, slots: 5, cores: 0, service: { meanSeconds: 1 } }\n",
    )
    .expect("written");
    let streams = Streams::draw(&open(&path).expect("a scenario"), 1);
    let times: Vec<f64> = streams.arrivals.iter().map(|task| task.at.as_seconds()).collect();
    assert_eq!(times, (0..100).map(|n| f64::from(n) * 0.5).collect::<Vec<_>>());
    assert_eq!(streams.arrivals.iter().filter(|task| task.kind == 0).count(), 75);
}

#[test]
fn the_tasks_hang_on_the_seed_alone() {
    let scenario = builtin("io-diurnal").expect("built in");
    assert_eq!(Streams::draw(&scenario, 3), Streams::draw(&scenario, 3));
    assert_ne!(Streams::draw(&scenario, 3), Streams::draw(&scenario, 4));
    let mut other = scenario.clone();
    other.pods.cores = 2.0;
    other.bounds.start = 20;
    assert_eq!(Streams::draw(&scenario, 3), Streams::draw(&other, 3));
}

#[test]
fn a_step_multiplies_the_rate_and_goes_back() {
    let scenario = builtin("io-step").expect("built in");
    let streams = Streams::draw(&scenario, 1);
    let rate = |from: f64, until: f64| {
        let tasks = streams
            .arrivals
            .iter()
            .filter(|task| (from..until).contains(&task.at.as_seconds()));
        tasks.count() as f64 / (until - from)
    };
    assert!((rate(0.0, 900.0) - 60.0).abs() < 2.0);
    assert!((rate(900.0, 2100.0) - 240.0).abs() < 5.0);
    assert!((rate(2100.0, 3600.0) - 60.0).abs() < 2.0);
}

#[test]
fn the_scenarios_of_faults_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 9);
    for file in files {
        let scenario = open(&file.path()).unwrap_or_else(|error| panic!("{}: {error}", file.path().display()));
        assert!(Streams::draw(&scenario, 1).arrivals.len() > 10_000);
    }
}

#[test]
fn the_scenario_of_the_documentation_reads_and_names_every_field() {
    let page = include_str!("../../../docs/reference/simulator.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let scenario = parse(example).expect(example);
    let written = serde_yaml::to_value(&scenario).expect("YAML");
    let mut fields = Vec::new();
    collect(&written, &mut fields);
    for field in fields {
        assert!(example.contains(&format!("{field}:")), "{field} is not in the example");
    }
}

fn collect(value: &serde_yaml::Value, fields: &mut Vec<String>) {
    match value {
        serde_yaml::Value::Mapping(mapping) => {
            for (key, value) in mapping {
                fields.extend(key.as_str().map(str::to_owned));
                collect(value, fields);
            }
        }
        serde_yaml::Value::Sequence(sequence) => sequence.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}
