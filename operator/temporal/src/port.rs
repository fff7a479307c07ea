//! The port: what the operator asks of Temporal, in the operator's own words. No protobuf and no gRPC type passes it.
//!
//! An [`Endpoint`] carries its own right to be used: its key is derived from everything that is sent to the server and from the
//! objects it was read from, and every cache of this crate is looked up by the whole key.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use fleet_core::signals::Heartbeat;
use fleet_core::{QueueStats, RateLimit, TaskType};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::credentials::{ApiKey, CaBundle, ClientCert};
use crate::error::Error;
use crate::secret::Secret;

/// Source of wall-clock time. Passed in, so that tests own the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this crate reads the clock; everybody else is handed it"
)]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// What the operator asks of Temporal. Each call has a deadline; it waits neither for a budget nor for a retry.
#[async_trait]
pub trait Temporal: Send + Sync {
    /// Whether the Temporal namespace is there and may be used, and what its server is.
    async fn describe_namespace(&self, endpoint: &Endpoint, temporal_namespace: &str) -> Result<ServerInfo, Error>;

    /// Statistics and pollers of one queue, summed over versions and partitions. Reading a queue keeps it loaded on the server.
    async fn describe_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
    ) -> Result<QueueState, Error>;

    /// The latest heartbeat of each worker of a queue. `None` when the server keeps none, or keeps them from us: that is no reason
    /// to give up on its other answers.
    async fn list_workers(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
    ) -> Result<Option<Vec<Heartbeat>>, Error>;

    /// Sets or removes the rate limit of a queue of activities (a server refuses one for workflow tasks), which wins over those that workers ask for. [`Error`] of a server before 1.29: it has
    /// none.
    async fn limit_queue(&self, endpoint: &Endpoint, temporal_namespace: &str, limit: &QueueLimit)
    -> Result<(), Error>;
}

/// A limit to set for a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueLimit {
    /// Name of the task queue.
    pub queue: String,
    /// Type of its tasks.
    pub task_type: TaskType,
    /// Tasks per second, above 0; `None` removes the limit.
    pub per_second: Option<f64>,
    /// Why: kept by the server with the limit.
    pub reason: String,
}

/// A server as it presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, such as `1.31.2`; empty when it tells none. At most 64 characters, sanitised.
    pub version: String,
    /// The Temporal namespace takes worker heartbeats (and so answers `ListWorkers`).
    pub worker_heartbeats: bool,
    /// The Temporal namespace steers how many polls a worker keeps open.
    pub poller_autoscaling: bool,
    /// A worker's open polls are completed when it announces its end: no task is matched to a poll nobody waits for.
    pub polls_complete_on_shutdown: bool,
}

/// One queue as its server sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueState {
    /// Statistics; `None` when the server sent none: that is no measurement, not zero.
    pub stats: Option<QueueStats>,
    /// Who polled lately. A memory of minutes: being listed does not prove a poll now.
    pub pollers: Vec<Poller>,
    /// The rate limit that was set for it, if any; the server's own default is none.
    pub rate_limit: Option<RateLimit>,
}

/// Someone who polled a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poller {
    /// The identity that the worker gave itself; at most 256 characters, without control characters.
    pub identity: String,
    /// When its last poll arrived; `None` when the server does not say.
    pub last_access: Option<Timestamp>,
}

/// Kubernetes objects that an endpoint was read from: who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Kubernetes namespace of all of them.
    pub kubernetes_namespace: String,
    /// Name of the object that holds the address: a `TemporalConnection`, or the fleet itself.
    pub connection: String,
    /// Its UID.
    pub connection_uid: String,
    /// The Secrets that were read, in any order.
    pub secrets: Vec<SecretVersion>,
}

/// One state of one Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretVersion {
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

/// How the operator shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Authentication {
    /// Plain text, nobody.
    None,
    /// The server shows a certificate, the operator does not.
    Tls,
    /// Both show certificates.
    MutualTls,
    /// An API key inside TLS.
    ApiKey,
}

impl Authentication {
    /// The name as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Tls => "TLS",
            Self::MutualTls => "MutualTLS",
            Self::ApiKey => "APIKey",
        }
    }
}

/// Identity of an endpoint: two endpoints with equal keys send the same bytes on behalf of the same objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointKey {
    scope: Scope,
    address: String,
    server_name: Option<String>,
    authentication: Authentication,
    /// SHA-256 over certificates, keys and headers: a caller that forgets to raise a version cannot reuse an old client.
    material: [u8; 32],
}

impl EndpointKey {
    /// The objects it was read from.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// `host:port` as configured.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// TLS as configured. Verification cannot be switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Name that the server's certificate must carry, and the `:authority` of requests; the host of the address if absent.
    pub server_name: Option<String>,
    /// Authorities to trust instead of the system's.
    pub ca: Option<CaBundle>,
    /// The operator's own certificate and key.
    pub client: Option<ClientCert>,
}

/// Where a Temporal server is and how to talk to it. Cheap to clone; shows no secret when printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    key: EndpointKey,
    tls: Option<Tls>,
    api_key: Option<ApiKey>,
    headers: BTreeMap<String, Secret>,
}

impl Endpoint {
    /// A plain-text endpoint at `address` (`host:port` or `[v6]:port`), read from the objects of `scope`.
    pub fn new(scope: Scope, address: impl Into<String>) -> Self {
        Self::of(scope, address.into(), None, None, BTreeMap::new())
    }

    /// The same with TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        let Parts {
            key,
            tls: _,
            api_key,
            headers,
        } = Arc::unwrap_or_clone(self.0);
        Self::of(key.scope, key.address, Some(tls), api_key, headers)
    }

    /// The same with an API key. It turns TLS on, with the system's authorities unless TLS is configured otherwise.
    #[must_use]
    pub fn with_api_key(self, api_key: ApiKey) -> Self {
        let Parts {
            key,
            tls,
            api_key: _,
            headers,
        } = Arc::unwrap_or_clone(self.0);
        Self::of(key.scope, key.address, tls, Some(api_key), headers)
    }

    /// The same with metadata that is sent with each call.
    #[must_use]
    pub fn with_headers(self, headers: BTreeMap<String, Secret>) -> Self {
        let Parts {
            key,
            tls,
            api_key,
            headers: _,
        } = Arc::unwrap_or_clone(self.0);
        Self::of(key.scope, key.address, tls, api_key, headers)
    }

    fn of(
        mut scope: Scope,
        address: String,
        tls: Option<Tls>,
        api_key: Option<ApiKey>,
        headers: BTreeMap<String, Secret>,
    ) -> Self {
        scope.secrets.sort();
        let tls = if api_key.is_some() {
            Some(tls.unwrap_or_default())
        } else {
            tls
        };
        let authentication = match (&tls, &api_key) {
            (_, Some(_)) => Authentication::ApiKey,
            (Some(Tls { client: Some(_), .. }), None) => Authentication::MutualTls,
            (Some(_), None) => Authentication::Tls,
            (None, None) => Authentication::None,
        };
        let key = EndpointKey {
            scope,
            address,
            server_name: tls.as_ref().and_then(|tls| tls.server_name.clone()),
            authentication,
            material: material(tls.as_ref(), api_key.as_ref(), &headers),
        };
        Self(Arc::new(Parts {
            key,
            tls,
            api_key,
            headers,
        }))
    }

    /// Its identity.
    pub fn key(&self) -> &EndpointKey {
        &self.0.key
    }

    /// `host:port` as configured.
    pub fn address(&self) -> &str {
        &self.0.key.address
    }

    /// How the operator shows who it is.
    pub fn authentication(&self) -> Authentication {
        self.0.key.authentication
    }

    /// When the operator's own certificate expires, if it has one.
    pub fn certificate_expiration(&self) -> Option<Timestamp> {
        self.tls()
            .and_then(|tls| tls.client.as_ref())
            .map(ClientCert::not_after)
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    pub(crate) fn api_key(&self) -> Option<&ApiKey> {
        self.0.api_key.as_ref()
    }

    pub(crate) fn headers(&self) -> &BTreeMap<String, Secret> {
        &self.0.headers
    }
}

/// Fingerprint of all that is sent or checked. Each part is framed by its length, so that no two configurations run together.
fn material(tls: Option<&Tls>, api_key: Option<&ApiKey>, headers: &BTreeMap<String, Secret>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| {
        hash.update([u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(tls.map(|_| [].as_slice()));
    part(tls.and_then(|tls| tls.ca.as_ref()).map(CaBundle::pem));
    part(tls.and_then(|tls| tls.client.as_ref()).map(ClientCert::chain_pem));
    part(tls.and_then(|tls| tls.client.as_ref()).map(ClientCert::key_pem));
    part(api_key.map(|key| key.secret().expose().as_bytes()));
    for (name, value) in headers {
        part(Some(name.as_bytes()));
        part(Some(value.expose().as_bytes()));
    }
    hash.finalize().into()
}
