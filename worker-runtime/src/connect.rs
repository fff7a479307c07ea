//! The connection to Temporal: made at the start, retried for ever, and made anew when certificates change.
//!
//! Owns the credentials in use. Their files are compared by content; a new API key is swapped in place, for a new certificate or CA a
//! second connection is made and checked before any worker moves to it. What cannot be used is never used: the old stays.

use std::{error::Error as StdError, fmt, path::PathBuf, sync::Arc, time::Duration};

use temporalio_client::{Connection, ConnectionOptions, errors::ClientConnectError};
use temporalio_common::{
    envconfig::{ConfigError, DataSource},
    protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest,
    telemetry::metrics::TemporalMeter,
};
use tonic::{Code, Request, Status};

use crate::{
    backoff::Backoff,
    health::Readiness,
    refusal::refusal,
    settings::{Settings, fits_a_header},
};

/// Limit of one attempt to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Lets a worker's author change how the connection is made (proxy, headers, an in-process server in tests).
pub(crate) type Customise = Arc<dyn Fn(&mut ConnectionOptions) + Send + Sync>;

/// Makes connections from the settings.
pub(crate) struct Connector {
    pub(crate) settings: Arc<Settings>,
    pub(crate) meter: Option<TemporalMeter>,
    pub(crate) customise: Option<Customise>,
}

/// Contents of the credential files. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) api_key: Option<String>,
    pub(crate) tls: TlsFiles,
}

/// Contents of the certificate files.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsFiles {
    pub(crate) client_cert: Option<Vec<u8>>,
    pub(crate) client_key: Option<Vec<u8>>,
    pub(crate) server_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0} is empty")]
    Empty(PathBuf),
    #[error("the API key in {0} has characters that no header can carry")]
    ApiKey(PathBuf),
    #[error("the connection settings cannot be used: {0}")]
    Settings(String),
    #[error("cannot connect to {address}: {why}")]
    Connect { address: String, why: String },
    #[error("no answer from {address} within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout { address: String },
    #[error("Temporal namespace {0:?} does not exist")]
    NoNamespace(String),
    #[error("cannot read Temporal namespace {name:?}")]
    Namespace { name: String, source: Box<Status> },
}

/// The SDK's error repeats its causes in debug form: only the innermost says something to a reader.
fn innermost(error: &ClientConnectError) -> String {
    let mut error: &dyn StdError = match error {
        ClientConnectError::SystemInfoCallError(status) => match status.source() {
            Some(source) => source,
            None => return format!("{}: {}", status.code(), status.message()),
        },
        other => other,
    };
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Host, port and name of a server that is to be talked to over TLS. A proxy would have to be asked instead.
fn tls_target(options: &ConnectionOptions) -> Option<(String, u16, String)> {
    let tls = options
        .tls_options
        .as_ref()
        .filter(|_| options.http_connect_proxy.is_none())?;
    let host = options.target.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = options.target.port_or_known_default()?;
    let name = tls.domain.clone().unwrap_or_else(|| host.clone());
    Some((host, port, name))
}

/// Whether the server answered at all: then TLS is not what is wrong.
fn is_answer(error: &ClientConnectError) -> bool {
    matches!(error, ClientConnectError::SystemInfoCallError(status) if status.source().is_none())
}

impl Credentials {
    /// Reads all files that the settings name.
    pub(crate) fn read(settings: &Settings) -> Result<Self, Error> {
        let tls = settings.connection.tls.as_ref();
        let data = |source: Option<&DataSource>| source.map(read_source).transpose();
        let api_key = match &settings.api_key_file {
            Some(path) => Some(api_key(path.clone())?),
            None => settings.connection.api_key.clone(),
        };
        Ok(Self {
            api_key,
            tls: TlsFiles {
                client_cert: data(tls.and_then(|tls| tls.client_cert.as_ref()))?,
                client_key: data(tls.and_then(|tls| tls.client_key.as_ref()))?,
                server_ca: data(tls.and_then(|tls| tls.server_ca_cert.as_ref()))?,
            },
        })
    }
}

fn read_source(source: &DataSource) -> Result<Vec<u8>, Error> {
    match source {
        DataSource::Path(path) => read_file(path.into()),
        DataSource::Data(data) => Ok(data.clone()),
        other => Err(Error::Settings(format!(
            "unknown kind of source: {}",
            std::any::type_name_of_val(other)
        ))),
    }
}

fn api_key(path: PathBuf) -> Result<String, Error> {
    let content = read_file(path.clone())?;
    let key = String::from_utf8_lossy(&content).trim().to_owned();
    if fits_a_header(&key) {
        Ok(key)
    } else {
        Err(Error::ApiKey(path))
    }
}

fn read_file(path: PathBuf) -> Result<Vec<u8>, Error> {
    match std::fs::read(&path) {
        Ok(content) if content.trim_ascii().is_empty() => Err(Error::Empty(path)),
        Ok(content) => Ok(content),
        Err(source) => Err(Error::Read { path, source }),
    }
}

impl Connector {
    /// Connects and checks that the Temporal namespace exists; tries until it succeeds and says meanwhile why not.
    pub(crate) async fn connect(&self, readiness: &Readiness) -> (Connection, Credentials) {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        let mut complained = String::new();
        loop {
            let attempt = async {
                let credentials = Credentials::read(&self.settings)?;
                Ok::<_, Error>((self.connect_once(&credentials).await?, credentials))
            };
            match attempt.await {
                Ok(connected) => {
                    readiness.connected();
                    return connected;
                }
                Err(error) => {
                    let reason = crate::chain(&error);
                    if reason != complained {
                        tracing::warn!(error = reason, "not connected, trying again until it works");
                    }
                    readiness.waiting(reason.clone());
                    complained = reason;
                }
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// One attempt.
    pub(crate) async fn connect_once(&self, credentials: &Credentials) -> Result<Connection, Error> {
        let options = self.options(credentials)?;
        let address = options.target.to_string();
        let tls = tls_target(&options);
        let connecting = async {
            let connection = match Connection::connect(options).await {
                Ok(connection) => connection,
                Err(error) => {
                    let refused = match tls {
                        Some((host, port, name)) if !is_answer(&error) => {
                            refusal(host, port, name, credentials.tls.clone()).await
                        }
                        _ => None,
                    };
                    return Err(Error::Connect {
                        address: address.clone(),
                        why: refused.unwrap_or_else(|| innermost(&error)),
                    });
                }
            };
            self.check_namespace(&connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(CONNECT_TIMEOUT + Duration::from_secs(5), connecting)
            .await
            .unwrap_or(Err(Error::Timeout {
                address: address.clone(),
            }))
    }

    fn options(&self, credentials: &Credentials) -> Result<ConnectionOptions, Error> {
        let mut profile = self.settings.connection.clone();
        profile.api_key.clone_from(&credentials.api_key);
        if let Some(tls) = &mut profile.tls {
            tls.client_cert = credentials.tls.client_cert.clone().map(DataSource::Data);
            tls.client_key = credentials.tls.client_key.clone().map(DataSource::Data);
            tls.server_ca_cert = credentials.tls.server_ca.clone().map(DataSource::Data);
        }
        let mut options =
            ConnectionOptions::try_from(profile).map_err(|error: ConfigError| Error::Settings(error.to_string()))?;
        options.identity.clone_from(&self.settings.identity);
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.metrics_meter.clone_from(&self.meter);
        if let Some(customise) = &self.customise {
            customise(&mut options);
        }
        Ok(options)
    }

    async fn check_namespace(&self, connection: &Connection) -> Result<(), Error> {
        let name = &self.settings.temporal_namespace;
        let request = DescribeNamespaceRequest {
            namespace: name.clone(),
            ..Default::default()
        };
        match connection
            .workflow_service()
            .describe_namespace(Request::new(request))
            .await
        {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Err(Error::NoNamespace(name.clone())),
            Err(status) => Err(Error::Namespace {
                name: name.clone(),
                source: Box::new(status),
            }),
        }
    }
}
