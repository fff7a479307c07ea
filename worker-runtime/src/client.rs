//! A client for the worker's own code, on the connection that its SDK Workers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use temporalio_client::{Client, ClientOptions};

use crate::link::Link;

/// Where clients come from; the worker that connected last, should a program have several.
static SOURCE: Mutex<Option<Source>> = Mutex::new(None);

struct Source {
    link: Weak<Link>,
    options: ClientOptions,
}

/// There is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoClient {
    /// No worker of this process is connected: none was started, it tries to connect, or it has ended. Never within an activity.
    #[error("no worker of this process is connected to Temporal")]
    NotConnected,
    /// The client's options are refused.
    #[error("failed to make a client: {0}")]
    Refused(String),
}

/// A client for the Temporal namespace of the worker, with its converter, its codec and its connection: for starting, signalling and
/// querying workflows out of activities, or out of what else the program does.
///
/// Cheap. A new API key is used by clients that exist too; a new certificate by clients that are made after it was loaded, so
/// ask for one where it is needed rather than keep it.
pub fn client() -> Result<Client, NoClient> {
    let (link, options) = {
        let source = source();
        let source = source.as_ref().ok_or(NoClient::NotConnected)?;
        (source.link.upgrade(), source.options.clone())
    };
    let connection = link.ok_or(NoClient::NotConnected)?.connection();
    Client::new(connection, options).map_err(|error| NoClient::Refused(crate::chain(&error)))
}

/// From now on clients use this connection, for as long as it is in use.
pub(crate) fn connected(link: &Arc<Link>, options: ClientOptions) {
    *source() = Some(Source {
        link: Arc::downgrade(link),
        options,
    });
}

fn source() -> MutexGuard<'static, Option<Source>> {
    SOURCE.lock().unwrap_or_else(PoisonError::into_inner)
}
