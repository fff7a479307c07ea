//! Workers of the Python SDK on the same queues: each side runs what the other asks for, with every kind of value; the guide's own
//! conversation works with either side's worker and either side's client.
//!
//! The SDK is the one of `examples/python`, which `make test-worker` installs under the target directory.

use std::path::Path;

use temporalio_client::{
    Client, UntypedUpdate, WorkflowExecuteUpdateOptions, WorkflowHandle, WorkflowQueryOptions, WorkflowSignalOptions,
    errors::WorkflowUpdateError,
};
use temporalio_common::{UntypedWorkflow, data_converters::RawValue};

use crate::{
    bed::{Bed, end, eventually, result},
    dynamic::{raw, text},
    keeper::Kept,
    sample::DataProcessingWorkflow,
    seed,
    temporal::Directory,
    values::{Echoes, Values, written_as_the_table_says},
};

/// A Python program with the environment of a pod of the queue; it ends with the test.
struct Peer {
    _program: Kept,
    directory: Directory,
}

fn python() -> [(&'static str, String); 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let site = std::env::var("PYTHON_SITE").unwrap_or_else(|_| here.join("../target/python").display().to_string());
    assert!(
        Path::new(&site).join("temporalio").exists(),
        "the Python SDK is missing in {site}: `make test-worker` installs it"
    );
    let path = [
        site,
        here.join("../examples/python").display().to_string(),
        here.join("tests/server/peer").display().to_string(),
    ];
    [
        ("PYTHONPATH", path.join(":")),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ]
}

impl Peer {
    fn start(bed: &Bed, arguments: &[&str]) -> Self {
        let directory = Directory::new(&format!("peer-{}", bed.queue));
        let (bed, python) = (bed.environment(), python());
        let environment: Vec<(&str, &str)> = bed
            .iter()
            .chain(&python)
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let command = [&["python3", "-u"], arguments].concat();
        Self {
            _program: Kept::start(&directory, &command, &environment),
            directory,
        }
    }

    /// Its whole output, once it has said something.
    async fn said(&self, what: &str) -> String {
        let mut text = String::new();
        eventually(&format!("the Python program says {what:?}"), async || {
            text = std::fs::read_to_string(self.directory.join("log")).expect("a log");
            assert!(!text.contains("Traceback"), "{text}");
            text.contains(what)
        })
        .await;
        text
    }
}

#[tokio::test]
async fn python_runs_the_activities_of_our_workflow() {
    let bed = Bed::new("ours-to-python").await;
    let (name, value) = bed.only("Workflow");
    let worker = bed
        .worker_with(&[(name, &value)])
        .workflow::<Values>()
        .activities(Echoes);
    let worker = worker.spawn().expect("started");
    let _peer = Peer::start(&bed, &["-m", "peer", "activities"]);
    let handle = bed.start(Values::run, ()).await;
    assert_eq!(result(&handle).await, Vec::<String>::new());
    written_as_the_table_says(&handle).await;
    end(worker).await;
}

#[tokio::test]
async fn we_run_the_activities_of_a_python_workflow() {
    let bed = Bed::new("python-to-ours").await;
    let (name, value) = bed.only("Activity");
    let worker = bed.worker_with(&[(name, &value)]).activities(Echoes);
    let worker = worker.spawn().expect("started");
    let _peer = Peer::start(&bed, &["-m", "peer", "workflows"]);
    // The Python workflow goes by the same name and answers in the same way.
    let handle = bed.start(Values::run, ()).await;
    assert_eq!(result(&handle).await, Vec::<String>::new());
    written_as_the_table_says(&handle).await;
    end(worker).await;
}

#[tokio::test]
async fn a_python_client_talks_with_our_worker() {
    let bed = Bed::new("python-client").await;
    let (name, value) = bed.only("Workflow");
    let workflows = seed::registered(bed.worker_with(&[(name, &value)]))
        .spawn()
        .expect("started");
    // The guide's client as it is. Activities come once it has asked all its questions, so that the workflow cannot end before.
    let client = Peer::start(&bed, &["-m", "app.client", "some", "data"]);
    let said = client.said("query: ").await;
    assert!(said.contains("update: some data, replaced, extended\n"), "{said}");
    assert!(
        said.contains("refused: ") && said.contains("Suffix cannot be empty"),
        "{said}"
    );
    assert!(said.contains("query: some data, replaced, extended\n"), "{said}");
    let (name, value) = bed.only("Activity");
    let activities = seed::registered(bed.worker_with(&[(name, &value)]))
        .spawn()
        .expect("started");
    let said = client.said("result: ").await;
    assert!(said.contains("result: SOME DATA-PROCESSED\n"), "{said}");
    end(activities).await;
    end(workflows).await;
}

#[tokio::test]
async fn our_client_talks_with_a_python_worker() {
    let bed = Bed::new("python-worker").await;
    let peer = Peer::start(&bed, &["-m", "peer", "guide"]);
    // The sample's definition serves as that of the Python workflow: names and values are the same.
    let handle = bed.start(DataProcessingWorkflow::run, "some data".to_owned()).await;
    let options = WorkflowSignalOptions::default();
    handle
        .signal(DataProcessingWorkflow::update_data, "replaced".to_owned(), options)
        .await
        .expect("taken");
    let options = WorkflowExecuteUpdateOptions::default();
    let appended = handle
        .execute_update(DataProcessingWorkflow::append_to_data, ", extended".to_owned(), options)
        .await;
    assert_eq!(appended.expect("accepted"), "replaced, extended");
    let untyped: WorkflowHandle<Client, UntypedWorkflow> =
        bed.client.get_workflow_handle(handle.info().workflow_id.clone());
    let update = UntypedUpdate::<UntypedWorkflow>::new("append_to_data");
    let refused = untyped
        .execute_update(update, raw(""), WorkflowExecuteUpdateOptions::default())
        .await;
    let Err(WorkflowUpdateError::Failed(refusal)) = refused else {
        panic!("not by the validator");
    };
    assert!(refusal.message.contains("Suffix cannot be empty"), "{refusal:?}");
    let options = WorkflowQueryOptions::default();
    let query = temporalio_client::UntypedQuery::<UntypedWorkflow>::new("get_current_data");
    let current = untyped.query(query, RawValue::new(Vec::new()), options).await;
    assert_eq!(text(current.expect("an answer")), "replaced, extended");

    let (name, value) = bed.only("Activity");
    let worker = seed::registered(bed.worker_with(&[(name, &value)]))
        .spawn()
        .expect("started");
    // The Python workflow's activity runs here.
    assert_eq!(result(&handle).await, "SOME DATA-PROCESSED");
    end(worker).await;
    drop(peer);
}
