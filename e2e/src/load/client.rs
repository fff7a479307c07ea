//! The few calls of Temporal's API that load and audit need, over the SDK's raw gRPC client.
//!
//! Owns retries: a call repeats while Temporal is away, until the caller's deadline, and a repeated start carries the
//! same request ID, so that it starts one workflow.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use temporalio_client::{
    Connection, ConnectionOptions, Url,
    grpc::WorkflowService,
    tonic::{Code, Request, Response, Status},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::HistoryEventFilterType,
    history::v1::HistoryEvent,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        CountWorkflowExecutionsRequest, GetSystemInfoRequest, GetWorkflowExecutionHistoryRequest,
        StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
    },
};
use tokio::time::Instant;

/// Identity under which the load is started; it shows in the histories.
const IDENTITY: &str = "temporal-fleet-load";
/// Longest wait for one answer; the history's long poll answers after about 20 s on its own.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Why a call to Temporal gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is no URL.
    #[error("{address} is no address of a Temporal server (expected host:port)")]
    Address {
        /// What was given.
        address: String,
        /// Why it could not be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No connection before the deadline.
    #[error("failed to connect to Temporal at {address}")]
    Connect {
        /// Where.
        address: String,
        /// The last reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Temporal refused, or stayed away until the deadline.
    #[error("failed to {what}: {}: {}", status.code(), status.message())]
    Call {
        /// What was tried.
        what: String,
        /// The last answer.
        status: Box<Status>,
    },
}

/// One Temporal namespace of one server.
#[derive(Clone)]
pub struct TemporalClient {
    connection: Connection,
    temporal_namespace: String,
}

impl std::fmt::Debug for TemporalClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalClient")
            .field("temporal_namespace", &self.temporal_namespace)
            .finish_non_exhaustive()
    }
}

impl TemporalClient {
    /// Connects to `address` (`host:port`, without TLS), trying again until `patience` is over.
    pub async fn connect(address: &str, temporal_namespace: &str, patience: Duration) -> Result<Self, Error> {
        let url = Url::parse(&format!("http://{address}")).map_err(|source| Error::Address {
            address: address.to_owned(),
            source: Box::new(source),
        })?;
        let deadline = Instant::now() + patience;
        loop {
            let options = ConnectionOptions::new(url.clone())
                .identity(IDENTITY)
                .connect_timeout(Duration::from_secs(5))
                .dns_load_balancing(None)
                .build();
            match Connection::connect(options).await {
                Ok(connection) => {
                    return Ok(Self {
                        connection,
                        temporal_namespace: temporal_namespace.to_owned(),
                    });
                }
                Err(source) if Instant::now() >= deadline => {
                    return Err(Error::Connect {
                        address: address.to_owned(),
                        source: Box::new(source),
                    });
                }
                Err(_) => tokio::time::sleep(FIRST_RETRY).await,
            }
        }
    }

    /// Starts one workflow with one JSON argument and gives its run ID. Tries again until `deadline`; a start that went
    /// through although its answer was lost counts as one start.
    pub async fn start(
        &self,
        task_queue: &str,
        workflow_type: &str,
        workflow_id: &str,
        argument: &Value,
        deadline: Instant,
    ) -> Result<String, Error> {
        let request = StartWorkflowExecutionRequest {
            namespace: self.temporal_namespace.clone(),
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: workflow_type.to_owned(),
            }),
            task_queue: Some(TaskQueue {
                name: task_queue.to_owned(),
                ..Default::default()
            }),
            input: Some(Payloads {
                payloads: vec![json_payload(argument)],
            }),
            identity: IDENTITY.to_owned(),
            request_id: workflow_id.to_owned(),
            ..Default::default()
        };
        let what = || format!("start workflow {workflow_id}");
        let answer = until(deadline, what, || {
            self.call(request.clone(), |s, r| s.start_workflow_execution(r))
        })
        .await?;
        Ok(answer.run_id)
    }

    /// The events of one run. With `wait`, first waits for the run to close, until `deadline` at the latest; the events
    /// of a run that is still open then are given as they are.
    pub async fn history(
        &self,
        workflow_id: &str,
        run_id: &str,
        wait: bool,
        deadline: Instant,
    ) -> Result<Vec<HistoryEvent>, Error> {
        let mut events = self.events(workflow_id, run_id, deadline).await?;
        while wait && !closed(&events) && Instant::now() < deadline {
            self.wait_for_close(workflow_id, run_id, deadline).await?;
            events = self.events(workflow_id, run_id, deadline + CALL_TIMEOUT).await?;
        }
        Ok(events)
    }

    /// Ends one run that nobody waits for any more. A run that is closed already is left alone.
    pub async fn terminate(&self, workflow_id: &str, run_id: &str, reason: &str) -> Result<(), Error> {
        let request = TerminateWorkflowExecutionRequest {
            namespace: self.temporal_namespace.clone(),
            workflow_execution: Some(execution(workflow_id, run_id)),
            reason: reason.to_owned(),
            identity: IDENTITY.to_owned(),
            ..Default::default()
        };
        match self.call(request, |s, r| s.terminate_workflow_execution(r)).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(Error::Call {
                what: format!("terminate workflow {workflow_id}"),
                status: Box::new(status),
            }),
        }
    }

    /// How many runs match a visibility query. One try: it is for display only, and visibility is seconds behind.
    pub async fn count(&self, query: &str) -> Result<u64, Error> {
        let request = CountWorkflowExecutionsRequest {
            namespace: self.temporal_namespace.clone(),
            query: query.to_owned(),
        };
        match self.call(request, |s, r| s.count_workflow_executions(r)).await {
            Ok(answer) => Ok(u64::try_from(answer.count).unwrap_or(0)),
            Err(status) => Err(Error::Call {
                what: format!("count workflows where {query}"),
                status: Box::new(status),
            }),
        }
    }

    /// How long the frontend takes for a call that does no work; `None` if it gives no answer within `patience`.
    pub async fn answer_time(&self, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        let call = self.call(GetSystemInfoRequest::default(), |s, r| s.get_system_info(r));
        match tokio::time::timeout(patience, call).await {
            Ok(Ok(_)) => Some(began.elapsed()),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    async fn events(&self, workflow_id: &str, run_id: &str, deadline: Instant) -> Result<Vec<HistoryEvent>, Error> {
        let mut events = Vec::new();
        let mut next_page_token = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.temporal_namespace.clone(),
                execution: Some(execution(workflow_id, run_id)),
                next_page_token: next_page_token.clone(),
                ..Default::default()
            };
            let what = || format!("read the history of workflow {workflow_id}");
            let page = until(deadline, what, || {
                self.call(request.clone(), |s, r| s.get_workflow_execution_history(r))
            })
            .await?;
            events.extend(page.history.unwrap_or_default().events);
            if page.next_page_token.is_empty() {
                return Ok(events);
            }
            next_page_token = page.next_page_token;
        }
    }

    async fn wait_for_close(&self, workflow_id: &str, run_id: &str, deadline: Instant) -> Result<(), Error> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.temporal_namespace.clone(),
            execution: Some(execution(workflow_id, run_id)),
            wait_new_event: true,
            history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
            ..Default::default()
        };
        let poll = self.call(request, |s, r| s.get_workflow_execution_history(r));
        match tokio::time::timeout_at(deadline, poll).await {
            // The deadline came first: the caller sees an open run.
            Err(_) | Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) if passing(status.code()) => {
                tokio::time::sleep(FIRST_RETRY).await;
                Ok(())
            }
            Ok(Err(status)) => Err(Error::Call {
                what: format!("wait for workflow {workflow_id}"),
                status: Box::new(status),
            }),
        }
    }

    async fn call<Req, Res, F>(&self, request: Req, method: F) -> Result<Res, Status>
    where
        F: for<'a> FnOnce(
            &'a mut dyn WorkflowService,
            Request<Req>,
        ) -> futures::future::BoxFuture<'a, Result<Response<Res>, Status>>,
    {
        // The client's own retries give up after seconds and cannot know the caller's deadline: use the service without.
        let mut service = self.connection.workflow_service();
        let mut request = Request::new(request);
        request.set_timeout(CALL_TIMEOUT);
        method(service.as_mut(), request).await.map(Response::into_inner)
    }
}

/// Whether an error passes by itself: the server or the way to it is away or busy.
fn passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::Aborted
            | Code::Internal
            | Code::Unknown
    )
}

/// Repeats `call` while its error passes by itself, until `deadline`.
async fn until<T, C, W>(deadline: Instant, what: W, mut call: impl FnMut() -> C) -> Result<T, Error>
where
    C: Future<Output = Result<T, Status>>,
    W: FnOnce() -> String,
{
    let mut pause = FIRST_RETRY;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) if passing(status.code()) && Instant::now() + pause < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_RETRY);
            }
            Err(status) => {
                return Err(Error::Call {
                    what: what(),
                    status: Box::new(status),
                });
            }
        }
    }
}

/// Whether the last event ends the run.
pub fn closed(events: &[HistoryEvent]) -> bool {
    events.last().is_some_and(super::audit::closes)
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

/// A payload as every Temporal SDK's default converter reads it.
fn json_payload(value: &Value) -> Payload {
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: value.to_string().into_bytes(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_temporal_is_away_and_not_when_it_refuses() {
        let tries = AtomicUsize::new(0);
        let deadline = Instant::now() + Duration::from_mins(1);
        let answer = until(
            deadline,
            || "test".to_owned(),
            || async {
                match tries.fetch_add(1, Ordering::SeqCst) {
                    0..5 => Err(Status::unavailable("away")),
                    _ => Ok(42),
                }
            },
        )
        .await;
        assert_eq!(answer.ok(), Some(42));
        assert_eq!(tries.load(Ordering::SeqCst), 6);

        let tries = AtomicUsize::new(0);
        let refused: Result<u8, Error> = until(
            deadline,
            || "start".to_owned(),
            || async {
                tries.fetch_add(1, Ordering::SeqCst);
                Err(Status::invalid_argument("no such Temporal namespace"))
            },
        )
        .await;
        let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            message.contains("failed to start") && message.contains("no such Temporal namespace"),
            "{message}"
        );
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline() {
        let begin = Instant::now();
        let away: Result<u8, Error> = until(
            begin + Duration::from_secs(10),
            || "test".to_owned(),
            || async { Err(Status::unavailable("away")) },
        )
        .await;
        assert!(away.is_err());
        assert!(begin.elapsed() <= Duration::from_secs(10));
    }

    #[test]
    fn arguments_are_json_plain() {
        let payload = json_payload(&Value::from("a"));
        assert_eq!(
            payload.metadata.get("encoding").map(Vec::as_slice),
            Some(b"json/plain".as_slice())
        );
        assert_eq!(payload.data, b"\"a\"");
    }
}
