//! A Temporal frontend inside the test process: hands out activities, counts what comes back and what got lost on the way.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use futures::FutureExt;
use prost::Message;
use temporalio_client::{
    ConnectionOptions,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType},
    failure::v1::Failure,
    namespace::v1::{NamespaceInfo, namespace_info::Capabilities},
    workflowservice::v1::{
        DescribeNamespaceResponse, GetSystemInfoResponse, PollActivityTaskQueueRequest, PollActivityTaskQueueResponse,
        PollWorkflowTaskQueueRequest, RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatResponse,
        RespondActivityTaskCanceledRequest, RespondActivityTaskCompletedRequest, RespondActivityTaskFailedRequest,
        RespondQueryTaskCompletedRequest, RespondWorkflowTaskCompletedResponse, RespondWorkflowTaskFailedRequest,
        ShutdownWorkerRequest,
    },
};
use tokio::sync::Notify;
use tonic::{Code, Status, codegen::http::HeaderMap};

use crate::history::Runs;

/// How long a poll waits for a task: short, so that tests end soon.
const LONG_POLL: Duration = Duration::from_millis(300);

/// How long a task travels: a poll that is dropped meanwhile loses it.
const TRAVEL: Duration = Duration::from_millis(3);

#[derive(Default)]
pub(crate) struct Frontend {
    /// Activities do not travel: for benchmarks, which time the worker and not a timer here.
    pub(crate) at_once: bool,
    state: Mutex<State>,
    /// Something changed, for those who wait for a state.
    changed: Notify,
    /// A worker has said that it shuts down.
    stopping: Notify,
    /// There are tasks for polls: each wakes one of them. Were all woken, a task would cost the more the more polls are open, which is
    /// not so at a server.
    workflow_tasks: Notify,
    activities: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    /// Activities that wait for a poll.
    pub(crate) waiting: VecDeque<Task>,
    /// Activities that were handed out and not answered, by task token.
    pub(crate) running: HashMap<Vec<u8>, Task>,
    /// Tasks that left with a poll.
    pub(crate) handed_out: usize,
    /// Tasks whose poll was dropped on the way.
    pub(crate) lost: usize,
    /// Activities that were completed.
    pub(crate) completed: usize,
    /// Results of the activities that were completed.
    pub(crate) results: Vec<Payloads>,
    /// Failures of the activities that failed.
    pub(crate) failed: Vec<Failure>,
    /// Activities that were answered with "cancelled".
    pub(crate) cancelled: usize,
    /// Details of all heartbeats.
    pub(crate) heartbeats: Vec<Payloads>,
    /// Answer heartbeats with a request for cancellation.
    pub(crate) cancel: bool,
    /// The queues that were polled for activities.
    pub(crate) polled: BTreeSet<String>,
    /// The last API key seen.
    pub(crate) api_key: Option<String>,
    /// Answer "not found" for the Temporal namespace.
    pub(crate) no_namespace: bool,
    /// End open polls when a worker says that it shuts down, and say so in the capabilities.
    pub(crate) completes_polls: bool,
    /// The versions that polled for activities.
    pub(crate) versions: BTreeSet<String>,
    /// Workflows.
    pub(crate) runs: Runs,
    /// Activities that were handed out with the answer to a workflow task.
    pub(crate) eager: usize,
    /// The API key with each signal that was sent.
    pub(crate) signals: Vec<Option<String>>,
    /// Answer nothing at all.
    pub(crate) silent: bool,
    /// Kinds of slots that the last heartbeats of workers told.
    pub(crate) slot_kinds: BTreeSet<String>,
    /// Instance keys of the workers that said so.
    stopping: BTreeSet<String>,
}

/// An activity, as a workflow schedules it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Task {
    pub(crate) activity: String,
    /// The only queue it is on; absent = all.
    pub(crate) queue: Option<&'static str>,
    pub(crate) input: Vec<Payload>,
    /// Further attempts that it gets when it fails.
    pub(crate) retries: u32,
    pub(crate) attempt: i32,
    pub(crate) details: Option<Payloads>,
    /// The run and the event that it belongs to.
    pub(crate) of: Option<(usize, i64)>,
    /// To be handed out with the answer to the workflow task that asked for it.
    pub(crate) eager: bool,
}

/// Counts a task as lost unless it arrived.
struct Travelling<'a>(&'a Frontend, bool);

impl Drop for Travelling<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.state().lost += 1;
        }
    }
}

impl Frontend {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    /// Makes activities wait for a poll.
    pub(crate) fn schedule(&self, activity: &'static str, count: usize) {
        let task = Task {
            activity: activity.to_owned(),
            ..Task::default()
        };
        let mut state = self.state();
        state.waiting.extend(std::iter::repeat_n(task, count));
        self.offer(&state);
    }

    /// Makes one activity wait for a poll.
    pub(crate) fn schedule_task(&self, task: Task) {
        let mut state = self.state();
        state.waiting.push_back(task);
        self.offer(&state);
    }

    /// Looks at the workflows, or does something to them.
    pub(crate) fn runs<T>(&self, look: impl FnOnce(&mut Runs) -> T) -> T {
        let mut state = self.state();
        let value = look(&mut state.runs);
        self.offer(&state);
        value
    }

    /// Wakes as many polls as there are tasks for them.
    fn offer(&self, state: &State) {
        self.changed.notify_waiters();
        for _ in 0..state.runs.due() {
            self.workflow_tasks.notify_one();
        }
        if state.waiting.iter().any(|task| task.queue.is_some()) {
            // Which poll fits is not known here.
            self.activities.notify_waiters();
        }
        for _ in &state.waiting {
            self.activities.notify_one();
        }
    }

    /// Puts this frontend in the place of the network.
    pub(crate) fn customise(self: &Arc<Self>) -> impl Fn(&mut ConnectionOptions) + Send + Sync + 'static {
        let frontend = Arc::clone(self);
        move |options| {
            let frontend = Arc::clone(&frontend);
            options.dns_load_balancing = None;
            options.service_override = Some(CallbackBasedGrpcService {
                callback: Arc::new(move |request| {
                    let frontend = Arc::clone(&frontend);
                    async move {
                        let proto = frontend.answer(request).await?;
                        Ok(GrpcSuccessResponse {
                            headers: HeaderMap::default(),
                            proto,
                        })
                    }
                    .boxed()
                }),
            });
        }
    }

    async fn answer(&self, request: GrpcRequest) -> Result<Vec<u8>, Status> {
        if let Some(key) = request
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
        {
            self.state().api_key = key.strip_prefix("Bearer ").map(str::to_owned);
        }
        self.speaks().await;
        Ok(match request.rpc.as_str() {
            "GetSystemInfo" => GetSystemInfoResponse { ..Default::default() }.encode_to_vec(),
            "DescribeNamespace" => self.namespace()?.encode_to_vec(),
            "PollActivityTaskQueue" => self.poll_activity(decode(&request)).await.encode_to_vec(),
            "PollWorkflowTaskQueue" => {
                let PollWorkflowTaskQueueRequest {
                    worker_instance_key, ..
                } = decode(&request);
                let task = self
                    .wait(&self.workflow_tasks, &worker_instance_key, |state| state.runs.task())
                    .await;
                task.unwrap_or_default().encode_to_vec()
            }
            "RespondWorkflowTaskCompleted" => {
                let tasks = self.runs(|runs| runs.completed(decode(&request)));
                self.dispatch(tasks).encode_to_vec()
            }
            "SignalWorkflowExecution" => {
                let mut state = self.state();
                let key = state.api_key.clone();
                state.signals.push(key);
                Vec::new()
            }
            "RespondWorkflowTaskFailed" => {
                let request: RespondWorkflowTaskFailedRequest = decode(&request);
                self.state().runs.failures.extend(request.failure);
                Vec::new()
            }
            "RespondQueryTaskCompleted" => {
                let request: RespondQueryTaskCompletedRequest = decode(&request);
                let answer = request.query_result.ok_or(request.error_message);
                self.state().runs.answers.push(answer);
                Vec::new()
            }
            "RecordActivityTaskHeartbeat" => self.heartbeat(decode(&request)).encode_to_vec(),
            "RespondActivityTaskCompleted" => {
                let request: RespondActivityTaskCompletedRequest = decode(&request);
                let mut state = self.state();
                let task = state.running.remove(&request.task_token);
                let result = request.result.unwrap_or_default();
                state.completed += 1;
                state.results.push(result.clone());
                if let Some(of) = task.and_then(|task| task.of) {
                    state.runs.activity_ended(of, Ok(result));
                    self.offer(&state);
                }
                Vec::new()
            }
            "RespondActivityTaskFailed" => {
                self.fail(decode(&request));
                Vec::new()
            }
            "RespondActivityTaskCanceled" => {
                let request: RespondActivityTaskCanceledRequest = decode(&request);
                let mut state = self.state();
                state.running.remove(&request.task_token);
                state.cancelled += 1;
                Vec::new()
            }
            "ShutdownWorker" => {
                let ShutdownWorkerRequest {
                    worker_instance_key,
                    worker_heartbeat,
                    ..
                } = decode(&request);
                let beat = worker_heartbeat.unwrap_or_default();
                let slots = [beat.activity_task_slots_info, beat.workflow_task_slots_info];
                let mut state = self.state();
                let kinds = slots.into_iter().flatten().map(|slots| slots.slot_supplier_kind);
                state.slot_kinds.extend(kinds);
                state.stopping.insert(worker_instance_key);
                drop(state);
                self.stopping.notify_waiters();
                self.changed.notify_waiters();
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    /// Waits while nothing is answered.
    async fn speaks(&self) {
        self.until(&self.changed, |state| !state.silent).await;
    }

    /// Waits until the state is as wanted.
    async fn until(&self, changes: &Notify, holds: impl Fn(&State) -> bool) {
        loop {
            let changed = changes.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    /// Hands out what is asked for eagerly, lets the rest wait for a poll.
    fn dispatch(&self, tasks: Vec<Task>) -> RespondWorkflowTaskCompletedResponse {
        let (eager, others): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(|task| task.eager);
        let mut state = self.state();
        state.waiting.extend(others);
        state.eager += eager.len();
        let activity_tasks = eager.into_iter().map(|task| {
            let token = state.hand_out(&task);
            started(task, token)
        });
        let activity_tasks = activity_tasks.collect();
        self.offer(&state);
        RespondWorkflowTaskCompletedResponse {
            activity_tasks,
            ..Default::default()
        }
    }

    fn namespace(&self) -> Result<DescribeNamespaceResponse, Status> {
        let state = self.state();
        if state.no_namespace {
            return Err(Status::new(Code::NotFound, "no such namespace"));
        }
        let capabilities = Capabilities {
            worker_heartbeats: true,
            worker_poll_complete_on_shutdown: state.completes_polls,
            ..Default::default()
        };
        let info = NamespaceInfo {
            name: "default".into(),
            capabilities: Some(capabilities),
            ..Default::default()
        };
        Ok(DescribeNamespaceResponse {
            namespace_info: Some(info),
            ..Default::default()
        })
    }

    fn heartbeat(&self, request: RecordActivityTaskHeartbeatRequest) -> RecordActivityTaskHeartbeatResponse {
        let mut state = self.state();
        if let (Some(task), Some(details)) = (state.running.get_mut(&request.task_token), &request.details) {
            task.details = Some(details.clone());
        }
        state.heartbeats.extend(request.details);
        RecordActivityTaskHeartbeatResponse {
            cancel_requested: state.cancel,
            ..Default::default()
        }
    }

    /// Takes the failure, and schedules the next attempt if there is one.
    fn fail(&self, request: RespondActivityTaskFailedRequest) {
        let mut state = self.state();
        state.failed.extend(request.failure);
        if let Some(mut task) = state.running.remove(&request.task_token)
            && task.retries > 0
        {
            task.retries -= 1;
            task.attempt += 1;
            task.details = request.last_heartbeat_details.or(task.details);
            state.waiting.push_back(task);
            self.offer(&state);
        }
    }

    async fn poll_activity(&self, request: PollActivityTaskQueueRequest) -> PollActivityTaskQueueResponse {
        let queue = request.task_queue.unwrap_or_default().name;
        {
            let mut state = self.state();
            state.polled.insert(queue.clone());
            if let Some(options) = &request.deployment_options {
                let mode = options.worker_versioning_mode().as_str_name();
                let version = format!("{}/{}/{mode}", options.deployment_name, options.build_id);
                state.versions.insert(version);
            }
        }
        let worker = request.worker_instance_key;
        let taken = self.wait(&self.activities, &worker, |state| {
            let fits = |task: &Task| task.queue.is_none_or(|only| only == queue);
            let index = state.waiting.iter().position(fits)?;
            let task = state.waiting.remove(index)?;
            let token = state.hand_out(&task);
            Some((task, token))
        });
        let Some((task, token)) = taken.await else {
            return PollActivityTaskQueueResponse::default();
        };
        if self.at_once {
            return started(task, token);
        }
        let mut travelling = Travelling(self, false);
        tokio::select! {
            () = tokio::time::sleep(TRAVEL) => {}
            // As a real server does to a poll that another partition forwarded.
            () = self.until(&self.stopping, |state| state.ends_polls(&worker)) => return PollActivityTaskQueueResponse::default(),
        }
        travelling.1 = true;
        started(task, token)
    }

    /// Waits until `take` finds something, the worker shuts down, or the long poll is over.
    async fn wait<T>(&self, offers: &Notify, worker: &str, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let end = tokio::time::sleep(LONG_POLL);
        tokio::pin!(end);
        loop {
            let (offer, stopping) = (offers.notified(), self.stopping.notified());
            tokio::pin!(offer, stopping);
            // Registered before the look: what happens in between is not missed.
            stopping.as_mut().enable();
            offer.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(taken) = take(&mut state) {
                    return Some(taken);
                }
                if state.ends_polls(worker) {
                    return None;
                }
            }
            tokio::select! {
                () = offer => {}
                () = stopping => {}
                () = &mut end => return None,
            }
        }
    }
}

impl State {
    /// Whether the polls of this worker are ended.
    fn ends_polls(&self, worker: &str) -> bool {
        self.completes_polls && self.stopping.contains(worker)
    }

    /// A task leaves; its token.
    fn hand_out(&mut self, task: &Task) -> Vec<u8> {
        self.handed_out += 1;
        let token = self.handed_out.to_string().into_bytes();
        self.running.insert(token.clone(), task.clone());
        token
    }
}

/// The task as a worker gets it.
fn started(task: Task, token: Vec<u8>) -> PollActivityTaskQueueResponse {
    #[expect(clippy::disallowed_methods, reason = "a server stamps its tasks")]
    let now = SystemTime::now();
    PollActivityTaskQueueResponse {
        activity_id: String::from_utf8_lossy(&token).into_owned(),
        task_token: token,
        workflow_namespace: "default".into(),
        workflow_type: Some(WorkflowType { name: "W".into() }),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: "w".into(),
            run_id: "r".into(),
        }),
        activity_type: Some(ActivityType { name: task.activity }),
        input: Some(Payloads { payloads: task.input }),
        heartbeat_details: task.details,
        attempt: task.attempt + 1,
        scheduled_time: Some(now.into()),
        current_attempt_scheduled_time: Some(now.into()),
        started_time: Some(now.into()),
        start_to_close_timeout: Duration::from_mins(1).try_into().ok(),
        ..Default::default()
    }
}

fn decode<T: Message + Default>(request: &GrpcRequest) -> T {
    T::decode(request.proto.clone()).expect("the SDK sends what the service defines")
}
