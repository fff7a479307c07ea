//! From the words of the command line to what is printed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fleet_autoscale::Policy;
use fleet_crds::TemporalWorker;
use fleet_sim::scenario::{Scenario, TaskType};

use super::{Subject, documents, fleet, policy, run, scalers, worker};
use crate::args::{Beyond, Simulate};

const MANIFEST: &str = "
apiVersion: temporal-fleet.dev/v1alpha1
kind: TemporalWorker
metadata: {name: orders}
spec:
  connection: {address: 'temporal:7233'}
  taskQueues: [{name: orders, types: [Activity]}]
  replicas: 2
  workerOptions: {maxConcurrentActivities: 10, maxTaskQueueActivitiesPerSecond: 50, gracefulShutdownSeconds: 100}
  template:
    spec:
      containers:
      - {name: worker, image: w, resources: {requests: {cpu: 250m}, limits: {cpu: 2}}}
  autoscaling: {maxReplicas: 20}
status: {backlog: of another version}
";
const TRACE: &str = "seconds,tasks_per_second\n0,2\n120,6\n240,0\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, file: &str, trace: Option<&str>) -> Simulate {
        Simulate {
            filename: self.path(file),
            trace: trace.map(|trace| self.path(trace)),
            compare: Vec::new(),
            svg: None,
            seeds: NonZeroUsize::new(1),
            beyond: Beyond::default(),
        }
    }
}

fn fleet_of(text: &str, beyond: Beyond) -> anyhow::Result<Subject> {
    fleet::subject(&worker(documents(text)?)?, beyond)
}

fn scenario_of(text: &str) -> Scenario {
    fleet_of(text, Beyond::default()).unwrap().scenario
}

fn refusal(text: &str) -> String {
    format!("{:#}", fleet_of(text, Beyond::default()).expect_err(text))
}

#[test]
fn a_manifest_and_a_trace_become_a_table_and_a_picture() {
    let folder = Folder::new(&[("worker.yaml", MANIFEST), ("load.csv", TRACE)]);
    let svg = folder.path("out.svg");
    let options = Simulate {
        compare: vec!["keda".to_owned(), "hpa".to_owned()],
        svg: Some(svg.clone()),
        ..folder.options("worker.yaml", Some("load.csv"))
    };
    let text = run(&options).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "orders, simulated: one run of 240 s each");
    for word in [
        "assumed: Activity tasks run for 2 s",
        "violated min",
        "pod-hours",
        "killed",
        "scale events",
    ] {
        assert!(text.contains(word), "{word} is missing\n{text}");
    }
    for scaler in ["ours", "keda", "hpa"] {
        let row = |line: &&&str| line.trim_start().starts_with(scaler);
        assert_eq!(lines.iter().filter(row).count(), 1, "{scaler}\n{text}");
    }
    assert!(
        text.contains("more than 1 % of its tasks waited for more than 5 s"),
        "{text}"
    );
    let picture = std::fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains(">keda<") && picture.contains("orders"));
}

#[test]
fn a_scenario_takes_the_place_of_a_manifest_and_a_trace_that_of_its_load() {
    let text = "profile: io\nload: { rate: 500 }\ndurationSeconds: 7200\nbounds: { start: 2 }\n";
    let folder = Folder::new(&[("mine.yaml", text), ("load.csv", TRACE)]);
    let text = run(&folder.options("mine.yaml", Some("load.csv"))).unwrap();
    assert!(text.starts_with("mine, simulated: one run of 240 s each\n"), "{text}");
    assert!(!text.contains("assumed"), "a scenario says all: {text}");
}

#[test]
fn a_manifest_says_the_policy_the_pods_and_the_slots() {
    let scenario = scenario_of(MANIFEST);
    let policy = scenario.policy.clone().unwrap();
    assert_eq!((policy.min_replicas, policy.max_replicas), (1, 20));
    let bounds = scenario.bounds;
    assert_eq!((bounds.min, bounds.max, bounds.start), (1, 20, 2));
    assert_eq!(scenario.pods.cores.to_string(), "2");
    assert_eq!(scenario.pods.cpu_request, Some(0.25));
    assert_eq!(scenario.pods.grace_seconds.to_string(), "120");
    assert_eq!(scenario.kinds.len(), 1);
    assert_eq!(scenario.kinds[0].slots, 10);
    assert_eq!(scenario.kinds[0].rate_limit, Some(50.0));
    scenario.checked().unwrap();
}

#[test]
fn what_a_manifest_leaves_open_the_command_line_says() {
    let beyond = Beyond {
        task_seconds: Some(30.0),
        task_cpu: Some(0.5),
        pod_start_seconds: Some(90.0),
    };
    let Subject { scenario, assumed } =
        fleet_of(&MANIFEST.replace("[Activity]", "[Workflow, Activity]"), beyond).unwrap();
    let types: Vec<TaskType> = scenario.kinds.iter().map(|kind| kind.task_type).collect();
    assert_eq!(types, [TaskType::Workflow, TaskType::Activity]);
    let seconds: Vec<String> = scenario
        .kinds
        .iter()
        .map(|kind| kind.service.mean_seconds.to_string())
        .collect();
    assert_eq!(
        seconds,
        ["0.05", "30"],
        "the options are not of Workflow tasks beside others"
    );
    assert_eq!(scenario.kinds[1].cores.to_string(), "0.5");
    assert_eq!(scenario.pods.start_seconds.to_string(), "90");
    assert!(
        assumed.iter().any(|text| text.contains("100 slots for Workflow tasks")),
        "{assumed:?}"
    );
    let only = fleet_of(&MANIFEST.replace("[Activity]", "[Workflow]"), beyond)
        .unwrap()
        .scenario;
    assert_eq!(only.kinds[0].service.mean_seconds.to_string(), "30");
}

#[test]
fn what_cannot_be_simulated_is_said_with_its_remedy() {
    let without = |line: &str| refusal(&MANIFEST.replace(line, ""));
    assert!(without("  autoscaling: {maxReplicas: 20}\n").contains("add autoscaling: {maxReplicas: 10}"));
    assert!(refusal("kind: Deployment").contains("holds no TemporalWorker"));
    assert!(refusal(&format!("{MANIFEST}---{MANIFEST}")).contains("it holds 2 TemporalWorkers"));
    assert!(refusal(&MANIFEST.replace("cpu: 2}", "cpu: two}")).contains("resources.limits.cpu: `two`"));
    assert!(
        refusal(&MANIFEST.replace("maxReplicas: 20", "maxReplicas: many"))
            .starts_with("spec.autoscaling.maxReplicas: ")
    );
    let bounds = refusal(&MANIFEST.replace("{maxReplicas: 20}", "{minReplicas: 5, maxReplicas: 4}"));
    assert_eq!(bounds, "spec.autoscaling: minReplicas must be at most maxReplicas");
    let negative = Beyond {
        task_seconds: Some(-1.0),
        ..Beyond::default()
    };
    let error = fleet_of(MANIFEST, negative).expect_err("negative").to_string();
    assert!(error.starts_with("--task-seconds must be more than 0"), "{error}");
}

#[test]
fn files_and_options_that_do_not_fit_are_named() {
    let files = [
        ("worker.yaml", MANIFEST),
        ("short.csv", "arrival_seconds\n1\n12\n"),
        ("load.csv", TRACE),
        ("mine.yaml", "profile: io"),
        ("broken.yaml", "a: [1"),
    ];
    let folder = Folder::new(&files);
    let error = |options: &Simulate| format!("{:#}", run(options).expect_err("refused"));
    assert!(
        error(&folder.options("worker.yaml", None))
            .contains("worker.yaml: a TemporalWorker says nothing of its load: add --trace")
    );
    assert!(
        error(&folder.options("worker.yaml", Some("short.csv")))
            .contains("it ends after 12 s and must last at least 60 s")
    );
    assert!(error(&folder.options("worker.yaml", Some("none.csv"))).contains("failed to read the trace"));
    assert!(error(&folder.options("none.yaml", None)).contains("none.yaml: failed to read it"));
    assert!(error(&folder.options("broken.yaml", None)).contains("it is not YAML"));
    let unknown = Simulate {
        compare: vec!["magic".to_owned()],
        ..folder.options("worker.yaml", Some("load.csv"))
    };
    assert!(error(&unknown).contains("--compare: there is no scaler `magic`; scalers: ours"));
    let twice = Simulate {
        beyond: Beyond {
            task_cpu: Some(0.1),
            ..Beyond::default()
        },
        ..folder.options("mine.yaml", None)
    };
    assert!(error(&twice).contains("--task-cpu is for manifests, and this is a scenario: set kinds[].cores"));
}

#[test]
fn the_fleets_own_scaler_comes_first_and_none_twice() {
    let names = ["keda", "ours", " hpa", "keda"].map(str::to_owned);
    assert_eq!(scalers(&names), ["ours", "keda", "hpa"]);
}

#[test]
fn the_policy_of_a_manifest_is_the_operators() {
    let worker: TemporalWorker =
        serde_yaml::from_str(include_str!("../../../operator/autoscale/tests/policy/worker.yaml")).unwrap();
    let wanted: Policy =
        serde_json::from_str(include_str!("../../../operator/autoscale/tests/policy/policy.json")).unwrap();
    assert_eq!(policy::of(&worker.spec.autoscaling.unwrap()).unwrap(), wanted);
}

#[test]
fn the_example_trace_suits_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let trace = fleet_sim::load::Trace::open(&examples.join("load.csv")).unwrap();
    assert!(trace.end() >= 3600.0);
    for name in ["simple.yaml", "resource-based.yaml", "scale-to-zero.yaml"] {
        let text = std::fs::read_to_string(examples.join(name)).unwrap();
        let scenario = scenario_of(&text);
        scenario.checked().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
