//! The client of `WorkerControl`: dials a pod by its address, trusts the fleet's own certificate and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fleet_autoscale::{LatencyHistogram, PodReport, SlotKind, SlotReport, TaskType};
use fleet_core::{Queue, Source, WorkerReport};
use fleet_proto::v1::worker_control_client::WorkerControlClient;
use fleet_proto::v1::{self, DrainRequest, ReportRequest, ReportResponse};
use jiff::{SignedDuration, Timestamp};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::control_secret::ControlCredentials;

/// Longest time for one call, connecting included.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Longest report that is read, in bytes: a pod is no reason to run out of memory.
const LONGEST_REPORT: usize = 1024 * 1024;

/// Why a pod did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection: refused, filtered, not there yet.
    #[error(
        "port {} of the pod does not answer: is it a worker of this runtime, and may the operator reach it (NetworkPolicy: TCP {})?",
        fleet_proto::PORT,
        fleet_proto::PORT
    )]
    Connect,
    /// The token or the certificate is not the fleet's: the pod holds an older Secret.
    #[error("the pod refused the fleet's token")]
    Refused,
    /// It took too long.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
    /// It answered with an error.
    #[error("the pod answered {0:?}")]
    Status(Code),
    /// The Secret's content cannot be used.
    #[error("the fleet's WorkerControl Secret cannot be used")]
    Credentials,
}

/// An open line to one pod.
#[derive(Clone)]
pub struct Line {
    client: WorkerControlClient<Channel>,
    token: MetadataValue<Ascii>,
}

impl Line {
    /// Prepares a line to the pod at `ip`; nothing is sent yet.
    pub fn new(ip: IpAddr, credentials: &ControlCredentials) -> Result<Self, Error> {
        Self::to(SocketAddr::new(ip, fleet_proto::PORT), credentials)
    }

    fn to(address: SocketAddr, credentials: &ControlCredentials) -> Result<Self, Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&credentials.certificate))
            .domain_name(credentials.server_name.clone());
        let uri = format!("https://{address}");
        let endpoint = Endpoint::from_shared(uri)
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(|_| Error::Credentials)?
            .connect_timeout(DEADLINE)
            .timeout(DEADLINE);
        let token = format!("Bearer {}", credentials.token)
            .parse()
            .map_err(|_| Error::Credentials)?;
        let client = WorkerControlClient::new(endpoint.connect_lazy()).max_decoding_message_size(LONGEST_REPORT);
        Ok(Self { client, token })
    }

    /// Asks the pod for a report, stamped with the time `now` on this side.
    pub async fn report(&self, now: Timestamp) -> Result<WorkerReport, Error> {
        let request = self.request(ReportRequest {});
        let mut client = self.client.clone();
        match tokio::time::timeout(DEADLINE, client.report(request)).await {
            Err(_) => Err(Error::Deadline),
            Ok(Ok(response)) => Ok(worker_report(response.into_inner(), now)),
            Ok(Err(status)) => Err(refusal(&status)),
        }
    }

    /// Tells the pod to take no new task, for good. How far it gets its reports tell.
    pub async fn drain(&self) -> Result<(), Error> {
        let request = self.request(DrainRequest {});
        let mut client = self.client.clone();
        match tokio::time::timeout(DEADLINE, client.drain(request)).await {
            Err(_) => Err(Error::Deadline),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err(refusal(&status)),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }
}

fn refusal(status: &Status) -> Error {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Error::Refused,
        Code::Unavailable | Code::Unknown => Error::Connect,
        Code::DeadlineExceeded | Code::Cancelled => Error::Deadline,
        code => Error::Status(code),
    }
}

/// A report in the planner's terms. What this side does not know is left out; what makes no sense reads as nothing.
fn worker_report(response: ReportResponse, now: Timestamp) -> WorkerReport {
    let ReportResponse {
        at_unix_ms: _,
        uptime_ms,
        identity: _,
        runtime_version: _,
        draining,
        queues,
        slots,
        inflight,
        resources,
        reloads_credentials,
        drain,
    } = response;
    let started = now.checked_sub(milliseconds(uptime_ms)).unwrap_or(now);
    let polled = queues
        .iter()
        .filter(|queue| queue.polled)
        .filter_map(|queue| {
            Some(Queue {
                name: queue.name.clone(),
                task_type: task_type(queue.r#type())?,
            })
        })
        .collect();
    let schedule_to_start = queues.into_iter().filter_map(histogram).collect();
    let slots = slots
        .into_iter()
        .filter_map(|slot| {
            Some(SlotReport {
                kind: slot_kind(slot.r#type())?,
                used: slot.used,
                limit: slot.limit,
                completions: slot.completions,
                busy_seconds: slot.busy_slot_ms as f64 / 1000.0,
            })
        })
        .collect();
    WorkerReport {
        source: Source::WorkerControl,
        pod: PodReport {
            at: now,
            started,
            slots,
            cpu_seconds: resources.map(|resources| resources.cpu_ms as f64 / 1000.0),
            memory_bytes: resources.map(|resources| resources.memory_bytes),
            schedule_to_start,
        },
        oldest_task: inflight.iter().map(|task| task.age_ms).max().map(milliseconds),
        draining,
        drained: drain.is_some_and(|progress| progress.drained),
        reloads_credentials,
        polled,
    }
}

fn milliseconds(count: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(count).unwrap_or(i64::MAX))
}

fn histogram(queue: v1::Queue) -> Option<LatencyHistogram> {
    let task_type = task_type(queue.r#type())?;
    let v1::Histogram { bounds_ms, counts } = queue.schedule_to_start?;
    (counts.len() == bounds_ms.len() + 1).then(|| LatencyHistogram {
        queue: queue.name,
        task_type,
        bounds_seconds: bounds_ms.into_iter().map(|bound| bound as f64 / 1000.0).collect(),
        counts,
    })
}

fn task_type(task_type: v1::TaskType) -> Option<TaskType> {
    match task_type {
        v1::TaskType::Workflow => Some(TaskType::Workflow),
        v1::TaskType::Activity => Some(TaskType::Activity),
        v1::TaskType::Nexus => Some(TaskType::Nexus),
        v1::TaskType::LocalActivity | v1::TaskType::Unspecified => None,
    }
}

fn slot_kind(task_type: v1::TaskType) -> Option<SlotKind> {
    match task_type {
        v1::TaskType::Workflow => Some(SlotKind::Workflow),
        v1::TaskType::Activity => Some(SlotKind::Activity),
        v1::TaskType::Nexus => Some(SlotKind::Nexus),
        v1::TaskType::LocalActivity => Some(SlotKind::LocalActivity),
        v1::TaskType::Unspecified => None,
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
