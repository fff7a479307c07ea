//! What a test needs: a task queue of its own on a server, a client, workers, and ways to look at what happened.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fleet_worker::{Ended, FleetWorker, Settings, WorkerHandle, settings::Ports};
use temporalio_client::{
    Client, ClientOptions, WorkflowDescribeOptions, WorkflowFetchHistoryOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError},
};
use temporalio_common::{
    HasWorkflowDefinition,
    data_converters::DataConverter,
    protos::temporal::api::{
        failure::v1::{Failure, failure::FailureInfo},
        history::v1::{HistoryEvent, history_event::Attributes},
        workflow::v1::PendingActivityInfo,
    },
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::temporal::{self, NAMESPACE, Server};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A task queue on a server.
pub(crate) struct Bed {
    pub(crate) client: Client,
    pub(crate) queue: String,
    address: String,
    namespace: &'static str,
    started: AtomicUsize,
}

impl Bed {
    /// On the server that tests share.
    pub(crate) async fn new(queue: &str) -> Self {
        Self::on(temporal::shared().await, NAMESPACE, queue).await
    }

    /// On a server of the test.
    pub(crate) async fn on(server: &Server, namespace: &'static str, queue: &str) -> Self {
        Self::with(server, namespace, queue, DataConverter::default()).await
    }

    /// With a client that converts values in its own way.
    pub(crate) async fn with(server: &Server, namespace: &'static str, queue: &str, converter: DataConverter) -> Self {
        let options = ClientOptions::new(namespace).data_converter(converter).build();
        let mut connection = None;
        eventually("a connection", async || {
            connection = server.connect().await.ok();
            connection.is_some()
        })
        .await;
        Self {
            client: Client::new(connection.expect("a connection"), options).expect("a client"),
            queue: queue.to_owned(),
            address: server.address(),
            namespace,
            started: AtomicUsize::new(0),
        }
    }

    /// The variables that a pod would have.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TEMPORAL_ADDRESS", self.address.clone()),
            ("TEMPORAL_NAMESPACE", self.namespace.to_owned()),
            ("TEMPORAL_TASK_QUEUE", self.queue.clone()),
        ]
    }

    /// A worker of the queue, without registrations yet.
    pub(crate) fn worker(&self) -> FleetWorker {
        self.worker_with(&[])
    }

    /// The same, with more variables.
    pub(crate) fn worker_with(&self, more: &[(&str, &str)]) -> FleetWorker {
        FleetWorker::from_settings(self.settings(more))
    }

    /// Settings of a worker of the queue, with more variables.
    pub(crate) fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let environment = self.environment();
        let mut variables: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        variables.extend(more);
        settings(&variables)
    }

    /// A variable that lets a worker poll for these task types alone.
    pub(crate) fn only(&self, task_type: &str) -> (&'static str, String) {
        let queues = serde_json::json!([{"name": self.queue, "types": [task_type]}]);
        ("TEMPORAL_FLEET_TASK_QUEUES", queues.to_string())
    }

    /// Starts a workflow on the queue.
    pub(crate) async fn start<W>(&self, workflow: W, input: W::Input) -> WorkflowHandle<Client, W>
    where
        W: HasWorkflowDefinition,
        W::Input: Send,
    {
        let queue = self.queue.clone();
        self.start_on(&queue, workflow, input).await
    }

    /// Starts a workflow on another queue.
    pub(crate) async fn start_on<W>(&self, queue: &str, workflow: W, input: W::Input) -> WorkflowHandle<Client, W>
    where
        W: HasWorkflowDefinition,
        W::Input: Send,
    {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let options = WorkflowStartOptions::new(queue, format!("{}-{number}", self.queue)).build();
        self.client
            .start_workflow(workflow, input, options)
            .await
            .expect("it starts")
    }

    /// Runs a workflow to its result.
    pub(crate) async fn run<W>(&self, workflow: W, input: W::Input) -> W::Output
    where
        W: HasWorkflowDefinition,
        W::Input: Send,
    {
        result(&self.start(workflow, input).await).await
    }
}

/// A worker with these variables (later ones win) and free ports, without registrations yet.
pub(crate) fn worker(variables: &[(&str, &str)]) -> FleetWorker {
    FleetWorker::from_settings(settings(variables))
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables: HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = Settings::from_variables(&variables).expect("valid settings");
    settings.ports = FREE_PORTS;
    settings.credential_poll = Duration::from_millis(100);
    settings
}

/// The system chooses.
pub(crate) const FREE_PORTS: Ports = Ports {
    metrics: 0,
    control: 0,
    health: 0,
};

/// The result of a workflow; waits for it, also while the server is away.
pub(crate) async fn result<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> W::Output {
    ending(handle).await.expect("a result")
}

/// How a workflow ended.
pub(crate) async fn ending<W: HasWorkflowDefinition>(
    handle: &WorkflowHandle<Client, W>,
) -> Result<W::Output, WorkflowGetResultError> {
    let waiting = async {
        loop {
            match handle.get_result(WorkflowGetResultOptions::default()).await {
                Err(WorkflowGetResultError::Rpc(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
                ended => return ended,
            }
        }
    };
    if let Ok(ended) = tokio::time::timeout(PATIENCE, waiting).await {
        return ended;
    }
    panic!("it never ends; what it waits for: {:?}", pending(handle).await);
}

/// All events of a run.
pub(crate) async fn history<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> Vec<HistoryEvent> {
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    history.into_events().await.expect("a history")
}

/// What happened in a run, in order.
pub(crate) async fn events<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> Vec<Attributes> {
    let events = history(handle).await;
    events.into_iter().filter_map(|event| event.attributes).collect()
}

/// Attempts of the activities of a run, in the order in which their last ones started.
pub(crate) async fn attempts<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> Vec<i32> {
    events(handle)
        .await
        .into_iter()
        .filter_map(|event| match event {
            Attributes::ActivityTaskStartedEventAttributes(started) => Some(started.attempt),
            _ => None,
        })
        .collect()
}

/// Why the attempt before the last one failed, of the only activity of a run that has ended.
pub(crate) async fn last_failure<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> Failure {
    let events = events(handle).await;
    let failure = events.into_iter().find_map(|event| match event {
        Attributes::ActivityTaskStartedEventAttributes(started) => started.last_failure,
        _ => None,
    });
    failure.expect("an attempt that failed")
}

/// The type of an application's failure; empty for any other.
pub(crate) fn kind(failure: &Failure) -> &str {
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => info.r#type.as_str(),
        _ => "",
    }
}

/// The activities of a run that have not ended, as the server sees them.
pub(crate) async fn pending<W: HasWorkflowDefinition>(
    handle: &WorkflowHandle<Client, W>,
) -> Result<Vec<PendingActivityInfo>, WorkflowInteractionError> {
    let described = handle.describe(WorkflowDescribeOptions::default()).await?;
    Ok(described.into_raw().pending_activities)
}

/// The details of the newest heartbeat of the only activity that has not ended, as JSON.
pub(crate) async fn heartbeat<W: HasWorkflowDefinition>(handle: &WorkflowHandle<Client, W>) -> Option<String> {
    let pending = pending(handle).await.ok()?;
    let details = &pending.first()?.heartbeat_details.as_ref()?.payloads;
    Some(String::from_utf8_lossy(&details.first()?.data).into_owned())
}

/// Ends a worker, and says that it ended as it should.
pub(crate) async fn end(worker: WorkerHandle) {
    worker.stop();
    assert_eq!(ended(worker).await, Ended::Clean);
}

/// Waits for a worker that was told to stop.
pub(crate) async fn ended(worker: WorkerHandle) -> Ended {
    let ended = tokio::task::spawn_blocking(move || worker.wait()).await;
    ended.expect("no panic").expect("it ended")
}

/// Status and body of a GET request to this machine.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("an open port");
    let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status"), body.to_owned())
}

/// Waits until a worker is ready.
pub(crate) async fn ready(worker: &WorkerHandle) {
    let port = worker.ports().health;
    eventually("the worker is ready", async || get(port, "/readyz").await.0 == 200).await;
}

/// Waits until a worker says why it is not ready, in words that contain these.
pub(crate) async fn not_ready(worker: &WorkerHandle, words: &[&str]) {
    let port = worker.ports().health;
    let mut said = String::new();
    let began = Instant::now();
    while !words.iter().all(|word| said.contains(word)) {
        assert!(began.elapsed() < PATIENCE, "{words:?} never said, but: {said}");
        let (status, reason) = get(port, "/readyz").await;
        assert_eq!(status, 503, "{reason}");
        said = reason;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Counts up, and remembers how far it went at the same time.
#[derive(Default, Clone)]
pub(crate) struct Together(Arc<(AtomicUsize, AtomicUsize)>);

impl Together {
    pub(crate) fn enter(&self) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}
