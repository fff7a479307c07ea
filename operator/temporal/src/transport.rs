//! One connection to a server: resolve, check, dial the checked address, TLS under the configured name. It happens again for each
//! connection that the channel makes, so a name that moves is followed and a name that moves to a forbidden place is refused.
//!
//! Proxies named by environment variables are not used. The bounds below keep a hostile server small.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Uri};
use tower::service_fn;

use crate::address::{AddressError, AddressPolicy, HostPort};
use crate::error::Error;
use crate::port::{Endpoint, Tls};

/// Largest block of response headers [bytes].
const LARGEST_HEADERS: u32 = 64 * 1024;
/// How often an idle connection is asked for a sign of life, and how long it has for it.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));
/// Most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Connects to `endpoint` within `deadline`.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    policy: &Arc<AddressPolicy>,
    user_agent: &str,
    deadline: Duration,
) -> Result<Channel, Error> {
    let target = HostPort::parse(endpoint.address())?;
    let scheme = if endpoint.tls().is_some() { "https" } else { "http" };
    let malformed = || AddressError::Malformed {
        address: endpoint.address().chars().take(64).collect(),
    };
    let uri: Uri = format!("{scheme}://{}", target.authority())
        .parse()
        .map_err(|_| malformed())?;
    let mut channel = Channel::builder(uri)
        .connect_timeout(deadline)
        .keep_alive_while_idle(true)
        .http2_keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .http2_max_header_list_size(LARGEST_HEADERS)
        .user_agent(user_agent)
        .map_err(|error| Error::from_connect(endpoint, &error))?;
    if let Some(tls) = endpoint.tls() {
        if let Some(name) = &tls.server_name {
            // As the SDKs do it: the name that the certificate carries is also the one that requests are for.
            let origin = format!("https://{name}").parse().map_err(|_| bad_server_name())?;
            channel = channel.origin(origin);
        }
        channel = channel
            .tls_config(tls_config(tls, deadline))
            .map_err(|error| match &tls.server_name {
                // Certificates and keys were parsed before: what is left to be wrong is the name.
                Some(_) => bad_server_name(),
                None => Error::from_connect(endpoint, &error),
            })?;
    }
    let policy = Arc::clone(policy);
    let dial = service_fn(move |_: Uri| {
        let (target, policy) = (target.clone(), Arc::clone(&policy));
        async move { dial(&target, &policy).await.map(TokioIo::new) }
    });
    match tokio::time::timeout(deadline, channel.connect_with_connector(dial)).await {
        Ok(connected) => connected.map_err(|error| Error::from_connect(endpoint, &error)),
        Err(_) => Err(Error::Connect {
            address: endpoint.address().to_owned(),
        }),
    }
}

fn bad_server_name() -> Error {
    Error::Tls {
        what: "tls.serverName is not a DNS name".to_owned(),
    }
}

fn tls_config(tls: &Tls, deadline: Duration) -> ClientTlsConfig {
    let Tls {
        server_name,
        ca,
        client,
    } = tls;
    let mut config = ClientTlsConfig::new().timeout(deadline);
    config = match ca {
        Some(ca) => config.ca_certificate(Certificate::from_pem(ca.pem())),
        None => config.with_native_roots(),
    };
    if let Some(name) = server_name {
        config = config.domain_name(name);
    }
    if let Some(client) = client {
        config = config.identity(Identity::from_pem(client.chain_pem(), client.key_pem()));
    }
    config
}

/// Resolves, checks all, connects to the first that answers.
async fn dial(target: &HostPort, policy: &AddressPolicy) -> io::Result<TcpStream> {
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await?
        .collect();
    policy
        .check_all(&resolved)
        .map_err(|refused| io::Error::new(io::ErrorKind::PermissionDenied, refused))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in resolved.into_iter().take(MOST_ADDRESSES) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
