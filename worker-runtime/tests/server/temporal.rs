//! A real Temporal server of the test's own: started in a third of a second, killed and started again at will.

use std::{
    net::TcpListener,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use temporalio_client::{Connection, ConnectionOptions, TlsOptions, Url};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    workflowservice::v1::{DescribeWorkflowExecutionRequest, RegisterNamespaceRequest},
};
use tokio::sync::OnceCell;
use tonic::{Code, Request};

use crate::{bed::eventually, keeper::Kept};

/// The Temporal namespace of most tests. The server ends open polls of a worker that shuts down.
pub(crate) const NAMESPACE: &str = "default";

/// A Temporal namespace as servers have it by default: open polls of a worker that shuts down stay open.
pub(crate) const KEEPS_POLLS: &str = "keeps-polls";

/// A server, running or not.
pub(crate) struct Server {
    // Before the directory: fields are dropped in this order.
    process: Mutex<Option<Kept>>,
    directory: Directory,
    port: u16,
    tls: Option<Tls>,
}

/// Mutual TLS of a server, as files.
#[derive(Clone)]
pub(crate) struct Tls {
    /// The server's certificate and key, and its own client's.
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Who signed it, and the name in it.
    pub(crate) ca: PathBuf,
    pub(crate) name: String,
    /// Whose certificates clients may show.
    pub(crate) client_cas: Vec<PathBuf>,
    /// How the test itself connects.
    pub(crate) client: TlsOptions,
}

/// The server that tests share which neither stop it nor need another kind.
pub(crate) async fn shared() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_init(|| Server::start("shared", None)).await
}

/// A directory of a test, which is removed with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn binary() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"),
        PathBuf::from,
    );
    let path = cache.join("temporal-fleet/bin/temporal-server");
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

/// The first of seven free ports in a row. Below those that the system gives to outgoing connections, so that a server that is
/// started again finds them free.
fn ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = 10_000 + (std::process::id() % 1_000) as u16 * 20;
    (0..1_000)
        .map(|_| process + NEXT.fetch_add(7, Ordering::Relaxed) % 2_000)
        .find(|first| (*first..first + 7).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .expect("seven free ports")
}

impl Server {
    /// Starts a server of its own and waits until it serves.
    pub(crate) async fn start(name: &str, tls: Option<Tls>) -> Self {
        let server = Self::down(name, tls);
        server.up().await;
        server
    }

    /// A server that does not run yet.
    pub(crate) fn down(name: &str, tls: Option<Tls>) -> Self {
        let server = Self {
            directory: Directory::new(name),
            port: ports(),
            tls,
            process: Mutex::default(),
        };
        server.configure();
        server
    }

    /// `host:port` of the frontend.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, with the state and on the port that it had before, and waits until it serves.
    pub(crate) async fn up(&self) {
        let config = self.directory.join("config.yaml");
        let command = [
            binary().display().to_string(),
            "--config-file".to_owned(),
            config.display().to_string(),
            "--allow-no-auth".to_owned(),
            "start".to_owned(),
        ];
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        *self.process() = Some(Kept::start(&self.directory, &command, &[]));
        for namespace in [NAMESPACE, KEEPS_POLLS] {
            eventually(&format!("the server serves {namespace}"), async || {
                let lives = self.process().as_ref().is_some_and(Kept::lives);
                assert!(lives, "the server ended: {}", self.last_words());
                self.register(namespace).await
            })
            .await;
        }
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&self) {
        drop(self.process().take());
    }

    /// From its next start on it takes certificates of other clients.
    pub(crate) fn trust(&mut self, client_cas: Vec<PathBuf>, client: TlsOptions) {
        let tls = self.tls.as_mut().expect("a server with TLS");
        (tls.client_cas, tls.client) = (client_cas, client);
        self.configure();
    }

    /// A connection to it, for the test.
    pub(crate) async fn connect(&self) -> Result<Connection, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url: Url = format!("{scheme}://{}", self.address()).parse().expect("a URL");
        let options = ConnectionOptions::new(url)
            .identity("test")
            .connect_timeout(Duration::from_secs(2))
            .maybe_tls_options(self.tls.as_ref().map(|tls| tls.client.clone()))
            .dns_load_balancing(None)
            .build();
        match tokio::time::timeout(Duration::from_secs(5), Connection::connect(options)).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    /// Whether the Temporal namespace is there, after trying to make it.
    async fn register(&self, namespace: &str) -> bool {
        let Ok(connection) = self.connect().await else {
            return false;
        };
        let mut service = connection.workflow_service();
        let request = RegisterNamespaceRequest {
            namespace: namespace.to_owned(),
            workflow_execution_retention_period: Duration::from_hours(24).try_into().ok(),
            ..Default::default()
        };
        match service.register_namespace(Request::new(request)).await {
            Err(status) if status.code() != Code::AlreadyExists => return false,
            _ => {}
        }
        // Each of the server's services has a cache of namespaces, and notes there for a second or two that one is not known. Once the
        // service of histories looks for a workflow, it knows the namespace.
        let request = DescribeWorkflowExecutionRequest {
            namespace: namespace.to_owned(),
            execution: Some(WorkflowExecution {
                workflow_id: "nobody".to_owned(),
                run_id: String::new(),
            }),
        };
        let answer = service.describe_workflow_execution(Request::new(request)).await;
        matches!(answer, Err(status) if status.code() == Code::NotFound && !status.message().contains("Namespace"))
    }

    fn process(&self) -> MutexGuard<'_, Option<Kept>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.join("\n")
    }

    fn configure(&self) {
        let directory = self.directory.display();
        std::fs::write(self.directory.join("config.yaml"), self.config()).expect("a configuration");
        let dynamic = format!(
            "frontend.enableCancelWorkerPollsOnShutdown:\n- {{value: true, constraints: {{namespace: {NAMESPACE}}}}}\n"
        );
        std::fs::write(format!("{directory}/dynamic.yaml"), dynamic).expect("a configuration");
    }

    /// As of the local cluster (`e2e/manifests/temporal.yaml`), but on the loopback alone, and without a care for a loss of power.
    fn config(&self) -> String {
        let directory = self.directory.display();
        let port = |number| self.port + number;
        let rpc = |number| {
            let (grpc, membership) = (port(number), port(number + 1));
            format!("{{rpc: {{grpcPort: {grpc}, membershipPort: {membership}, bindOnLocalHost: true}}}}")
        };
        let (frontend, matching, history, worker) = (rpc(0), rpc(2), rpc(4), port(6));
        let address = self.address();
        let tls = self.tls.as_ref().map_or_else(String::new, Tls::config);
        format!(
            r#"log: {{stdout: true, level: warn}}
persistence:
  defaultStore: file
  visibilityStore: file
  numHistoryShards: 1
  datastores:
    file:
      sql:
        pluginName: sqlite
        databaseName: {directory}/temporal.db
        connectAddr: localhost
        connectProtocol: tcp
        connectAttributes: {{mode: rwc, cache: private, setup: "true", journal_mode: wal, synchronous: "off"}}
        maxConns: 1
        maxIdleConns: 1
        maxConnLifetime: 1h
global:
  membership: {{maxJoinDuration: 30s, broadcastAddress: "127.0.0.1"}}
{tls}
services:
  frontend: {frontend}
  matching: {matching}
  history: {history}
  worker: {{rpc: {{membershipPort: {worker}}}}}
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation: {{active: {{enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "{address}"}}}}
dcRedirectionPolicy: {{policy: noop}}
dynamicConfigClient: {{filepath: {directory}/dynamic.yaml, pollInterval: 10s}}
"#
        )
    }
}

impl Tls {
    fn config(&self) -> String {
        let show = |path: &Path| path.display().to_string();
        let (cert, key, ca, name) = (show(&self.cert), show(&self.key), show(&self.ca), &self.name);
        let trusted: Vec<String> = self.client_cas.iter().map(|path| show(path)).collect();
        let trusted = trusted.join(", ");
        format!(
            r"  tls:
    frontend:
      server: {{certFile: {cert}, keyFile: {key}, requireClientAuth: true, clientCaFiles: [{trusted}]}}
    systemWorker: {{certFile: {cert}, keyFile: {key}, client: {{serverName: {name}, rootCaFiles: [{ca}]}}}}"
        )
    }
}
