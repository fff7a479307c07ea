//! Golden manifests: what the operator would write for each example. A change of behaviour shows as a reviewed difference.

use std::fs;
use std::path::Path;

use fleet_autoscale::Policy;
use fleet_crds::{TemporalConnection, TemporalConnectionSpec, TemporalWorker};
use fleet_operator::controllers::worker::validate;
use fleet_operator::render::Fleet;
use serde::Deserialize;

fn examples() -> Vec<(String, Vec<serde_yaml::Value>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<_> = [root.clone(), root.join("demo"), root.join("python")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("examples are there"))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let documents = serde_yaml::Deserializer::from_str(&text)
                .map(|document| serde_yaml::Value::deserialize(document).expect("YAML"))
                .collect();
            let name = path.strip_prefix(&root).expect("below it").with_extension("");
            (name.to_string_lossy().replace('/', "-"), documents)
        })
        .collect()
}

fn of_kind(documents: &[serde_yaml::Value], kind: &str) -> Option<serde_yaml::Value> {
    documents
        .iter()
        .find(|document| document.get("kind").and_then(|kind| kind.as_str()) == Some(kind))
        .cloned()
}

#[test]
fn examples_render_as_reviewed() {
    let mut rendered = 0;
    for (name, documents) in examples() {
        let Some(worker) = of_kind(&documents, "TemporalWorker") else {
            continue;
        };
        let mut worker: TemporalWorker = serde_yaml::from_value(worker).expect("a TemporalWorker");
        worker.metadata.uid = Some("11111111-2222-3333-4444-555555555555".into());
        worker.metadata.namespace.get_or_insert_with(|| "shop".into());
        let connection = match (&worker.spec.connection, of_kind(&documents, "TemporalConnection")) {
            (Some(inline), _) => inline.clone(),
            (None, Some(object)) => {
                serde_yaml::from_value::<TemporalConnection>(object)
                    .expect("a TemporalConnection")
                    .spec
            }
            (None, None) => TemporalConnectionSpec {
                address: "temporal.example.com:7233".into(),
                ..Default::default()
            },
        };
        let secrets = connection.uses_tls().then_some("0123456789abcdef");
        let fleet = Fleet {
            worker: &worker,
            connection: &connection,
            credentials_checksum: secrets,
            replicas: 4,
        };
        let valid = validate::valid(&fleet).unwrap_or_else(|invalid| panic!("{name}: {invalid:?}"));
        insta::with_settings!({snapshot_suffix => name.clone(), omit_expression => true}, {
            insta::assert_yaml_snapshot!("manifests", (&valid.deployment, &valid.budget));
        });
        rendered += 1;
    }
    assert!(rendered >= 4, "only {rendered} examples were found");
}

/// The plugin's `simulate` reads the same pair of files.
#[test]
fn the_scaling_law_reads_what_the_object_says() {
    let worker: TemporalWorker =
        serde_yaml::from_str(include_str!("../autoscale/tests/policy/worker.yaml")).expect("a TemporalWorker");
    let wanted: Policy = serde_json::from_str(include_str!("../autoscale/tests/policy/policy.json")).expect("a policy");
    let connection = worker.spec.connection.clone().expect("inline");
    let fleet = Fleet {
        worker: &worker,
        connection: &connection,
        credentials_checksum: None,
        replicas: 2,
    };
    let valid = validate::valid(&fleet).expect("valid");
    assert_eq!(valid.desired.size.policy(), Some(&wanted));
}

fn a_worker(spec: &str) -> TemporalWorker {
    let text = format!(
        "apiVersion: temporal-fleet.dev/v1alpha1\nkind: TemporalWorker\nmetadata: {{name: billing, namespace: shop, uid: u}}\n\
         spec:\n  connection: {{address: 't:7233'}}\n  taskQueues: [{{name: invoices}}]\n{spec}"
    );
    serde_yaml::from_str(&text).expect("a TemporalWorker")
}

fn refusal(spec: &str) -> String {
    let worker = a_worker(spec);
    let connection = worker.spec.connection.clone().expect("inline");
    let fleet = Fleet {
        worker: &worker,
        connection: &connection,
        credentials_checksum: None,
        replicas: 1,
    };
    validate::valid(&fleet).expect_err("must be refused").message
}

#[test]
fn what_the_operator_writes_itself_is_refused_in_a_template() {
    let env =
        "  template: {spec: {containers: [{name: worker, image: w, env: [{name: TEMPORAL_ADDRESS, value: x}]}]}}\n";
    assert_eq!(
        refusal(env),
        "template.spec.containers[worker].env: TEMPORAL_ADDRESS is set by the operator: remove it"
    );
    let label = "  image: w\n  template: {metadata: {labels: {temporal-fleet.dev/worker: x}}}\n";
    assert_eq!(
        refusal(label),
        "template.metadata.labels: temporal-fleet.dev/worker is reserved: remove it"
    );
    let volume =
        "  image: w\n  template: {spec: {containers: [], volumes: [{name: temporal-fleet-ca, emptyDir: {}}]}}\n";
    assert_eq!(
        refusal(volume),
        "template.spec.volumes: the prefix of temporal-fleet-ca is reserved: rename it"
    );
}

#[test]
fn a_budget_never_forbids_every_disruption() {
    for (budget, replicas, expected) in [
        ("{minAvailable: 100%}", 4, "maxUnavailable: 1"),
        ("{minAvailable: 3}", 4, "minAvailable: 3"),
        ("{minAvailable: 4}", 4, "maxUnavailable: 1"),
        ("{maxUnavailable: 0}", 4, "maxUnavailable: 1"),
        ("{maxUnavailable: 50%}", 4, "maxUnavailable: 50%"),
        ("{minAvailable: 1}", 1, "maxUnavailable: 1"),
    ] {
        let worker = a_worker(&format!("  image: w\n  podDisruptionBudget: {budget}\n"));
        let connection = worker.spec.connection.clone().expect("inline");
        let fleet = Fleet {
            worker: &worker,
            connection: &connection,
            credentials_checksum: None,
            replicas,
        };
        let valid = validate::valid(&fleet).expect("valid");
        let text = serde_yaml::to_string(&valid.budget.spec).expect("YAML");
        assert!(text.contains(expected), "{budget} at {replicas}: {text}");
    }
}
