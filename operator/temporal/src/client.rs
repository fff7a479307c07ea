//! `Client`: the port over gRPC. It connects lazily, speaks Temporal's generated protocol on a connection of its own making
//! (`transport.rs`) and answers in domain types. It does not retry: who asks again, and when, is decided above.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_core::TaskType;
use fleet_core::signals::Heartbeat;
use temporalio_common::protos::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeTaskQueueRequest, GetSystemInfoRequest, ListWorkersRequest,
    UpdateTaskQueueConfigRequest, update_task_queue_config_request::RateLimitUpdate,
};
use temporalio_common::protos::temporal::api::{enums::v1::TaskQueueType, taskqueue::v1::TaskQueue};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::address::AddressPolicy;
use crate::convert;
use crate::error::Error;
use crate::pool::{Lease, Pool};
use crate::port::{Clock, Endpoint, QueueLimit, QueueState, ServerInfo, Temporal};
use crate::transport;

/// Largest answer that is read [bytes]; statistics and pollers of a queue with a thousand pods are a tenth of it.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// How the client reaches servers.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Name of this operator: sent as user agent, `temporal-fleet/<instance>`.
    pub instance: String,
    /// Which addresses are refused.
    pub addresses: AddressPolicy,
    /// Longest time to resolve, connect and agree on TLS.
    pub connect_deadline: Duration,
    /// Longest time for the calls of one reading, once connected.
    pub call_deadline: Duration,
}

impl ClientSettings {
    /// Five seconds to connect, ten for the calls, no address beyond the default rule.
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            addresses: AddressPolicy::default(),
            connect_deadline: Duration::from_secs(5),
            call_deadline: Duration::from_secs(10),
        }
    }
}

/// Temporal over gRPC. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool,
    addresses: Arc<AddressPolicy>,
    settings: Arc<ClientSettings>,
    clock: Clock,
}

impl Client {
    /// A client without any connection yet. `clock` tells when a client certificate has expired.
    pub fn new(settings: ClientSettings, clock: Clock) -> Self {
        let addresses = Arc::new(settings.addresses.clone());
        Self {
            pool: Pool::default(),
            addresses,
            settings: Arc::new(settings),
            clock,
        }
    }

    /// Connections that are open or being made. For metrics.
    pub fn connections(&self) -> usize {
        self.pool.len()
    }

    /// The identity that calls with an identity carry.
    fn identity(&self) -> String {
        format!("temporal-fleet/{}", self.settings.instance)
    }

    async fn connection(&self, endpoint: &Endpoint) -> Result<Lease, Error> {
        // Also for a connection that is open: a certificate past its time is not used any more.
        if let Some(at) = endpoint.certificate_expiration().filter(|at| *at <= (self.clock)()) {
            return Err(Error::ClientCertificateExpired { at });
        }
        let identity = self.identity();
        let connect = || transport::connect(endpoint, &self.addresses, &identity, self.settings.connect_deadline);
        self.pool.get(endpoint.key(), connect).await
    }

    /// Runs `calls` on the endpoint's connection, within the deadline, and gives the connection up if it is spoilt.
    async fn run<T, F>(
        &self,
        endpoint: &Endpoint,
        name: &'static str,
        calls: impl FnOnce(Caller) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let lease = self.connection(endpoint).await?;
        let service =
            WorkflowServiceClient::new(lease.connection.channel.clone()).max_decoding_message_size(LARGEST_ANSWER);
        let after = self.settings.call_deadline;
        let result = match tokio::time::timeout(
            after,
            calls(Caller {
                service,
                endpoint: endpoint.clone(),
            }),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline { call: name, after }),
        };
        if result.as_ref().is_err_and(Error::spoils_connection) {
            self.pool.evict(&lease);
        }
        result
    }
}

#[async_trait]
impl Temporal for Client {
    async fn describe_namespace(&self, endpoint: &Endpoint, temporal_namespace: &str) -> Result<ServerInfo, Error> {
        self.run(endpoint, "DescribeNamespace", async |mut caller: Caller| {
            // First the call that needs a right: who is refused costs one request.
            let request = DescribeNamespaceRequest {
                namespace: temporal_namespace.to_owned(),
                ..Default::default()
            };
            let request = caller.request(temporal_namespace, request)?;
            let answer = caller.service.describe_namespace(request).await;
            let namespace = caller.answer(temporal_namespace, "DescribeNamespace", answer)?;
            let request = caller.request(temporal_namespace, GetSystemInfoRequest {})?;
            let answer = caller.service.get_system_info(request).await;
            let system = caller.answer(temporal_namespace, "GetSystemInfo", answer)?;
            convert::server_info(temporal_namespace, namespace, &system)
        })
        .await
    }

    async fn describe_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
    ) -> Result<QueueState, Error> {
        self.run(endpoint, "DescribeTaskQueue", async |mut caller: Caller| {
            let request = DescribeTaskQueueRequest {
                namespace: temporal_namespace.to_owned(),
                task_queue: Some(TaskQueue {
                    name: queue.to_owned(),
                    ..Default::default()
                }),
                task_queue_type: proto_type(task_type).into(),
                report_stats: true,
                report_config: true,
                ..Default::default()
            };
            let request = caller.request(temporal_namespace, request)?;
            let answer = caller.service.describe_task_queue(request).await;
            Ok(convert::queue_state(&caller.answer(
                temporal_namespace,
                "DescribeTaskQueue",
                answer,
            )?))
        })
        .await
    }

    async fn list_workers(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
    ) -> Result<Option<Vec<Heartbeat>>, Error> {
        self.run(endpoint, "ListWorkers", async |mut caller: Caller| {
            // The server's query has no way to quote a quote: such a name is looked for among all workers.
            let plain = queue.chars().all(|c| c.is_alphanumeric() || "-_./:@ ".contains(c));
            let mut request = ListWorkersRequest {
                namespace: temporal_namespace.to_owned(),
                page_size: PAGE,
                query: if plain {
                    format!("TaskQueue=\"{queue}\"")
                } else {
                    String::new()
                },
                ..Default::default()
            };
            let mut found = Some(Vec::new());
            for _ in 0..PAGES {
                let page = caller.request(temporal_namespace, request.clone())?;
                let answer = match caller.service.list_workers(page).await {
                    // A server before 1.30, or a right that reading queues does not need.
                    Err(status) if matches!(status.code(), Code::Unimplemented | Code::PermissionDenied) => {
                        return Ok(None);
                    }
                    answer => caller.answer(temporal_namespace, "ListWorkers", answer)?,
                };
                found = found.zip(convert::heartbeats(&answer, queue)).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
                request.next_page_token = answer.next_page_token;
                if request.next_page_token.is_empty() {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }

    async fn limit_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        limit: &QueueLimit,
    ) -> Result<(), Error> {
        self.run(endpoint, "UpdateTaskQueueConfig", async |mut caller: Caller| {
            let request = UpdateTaskQueueConfigRequest {
                namespace: temporal_namespace.to_owned(),
                identity: self.identity(),
                task_queue: limit.queue.clone(),
                task_queue_type: proto_type(limit.task_type).into(),
                update_queue_rate_limit: Some(RateLimitUpdate {
                    rate_limit: limit.per_second.map(convert::rate_limit),
                    reason: limit.reason.clone(),
                }),
                ..Default::default()
            };
            let request = caller.request(temporal_namespace, request)?;
            let answer = caller.service.update_task_queue_config(request).await;
            caller.answer(temporal_namespace, "UpdateTaskQueueConfig", answer)?;
            Ok(())
        })
        .await
    }
}

/// As the protocol names it.
fn proto_type(task_type: TaskType) -> TaskQueueType {
    match task_type {
        TaskType::Workflow => TaskQueueType::Workflow,
        TaskType::Activity => TaskQueueType::Activity,
        TaskType::Nexus => TaskQueueType::Nexus,
    }
}

/// Workers per page of a list.
const PAGE: i32 = 1000;
/// Pages that are read: more workers than a fleet can have pods.
const PAGES: usize = 10;

/// One use of a connection.
struct Caller {
    service: WorkflowServiceClient<Channel>,
    endpoint: Endpoint,
}

impl Caller {
    /// A request with the metadata that servers and proxies look for: the Temporal namespace, the API key, the user's own.
    fn request<M>(&self, temporal_namespace: &str, message: M) -> Result<Request<M>, Error> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        let refused = |name: &str| Error::Metadata { name: name.to_owned() };
        for (name, value) in self.endpoint.headers() {
            if self.endpoint.tls().is_none() && name.eq_ignore_ascii_case("authorization") {
                return Err(Error::InTheClear { name: name.clone() });
            }
            let key: AsciiMetadataKey = name.parse().map_err(|_| refused(name))?;
            let mut value: AsciiMetadataValue = value.expose().parse().map_err(|_| refused(name))?;
            value.set_sensitive(true);
            metadata.insert(key, value);
        }
        let value = temporal_namespace.parse().map_err(|_| refused("temporal-namespace"))?;
        metadata.insert("temporal-namespace", value);
        if let Some(key) = self.endpoint.api_key() {
            let bearer = zeroize::Zeroizing::new(format!("Bearer {}", key.secret().expose()));
            let mut value: AsciiMetadataValue = bearer.parse().map_err(|_| refused("authorization"))?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        Ok(request)
    }

    fn answer<M>(
        &self,
        temporal_namespace: &str,
        call: &'static str,
        answer: Result<Response<M>, Status>,
    ) -> Result<M, Error> {
        answer
            .map(Response::into_inner)
            .map_err(|status| Error::from_status(&self.endpoint, temporal_namespace, call, &status))
    }
}
