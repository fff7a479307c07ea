//! Calls to the API server: one deadline per call, one counter of writes, one error type with a class.
//!
//! Nothing here decides: callers hand in rendered objects and preconditions, and get back what the server stored.

pub mod apply;
pub mod client;
pub mod conditions;
pub mod delete;
pub mod errors;
pub mod events;
pub mod managed_fields;
pub mod quantity;
pub mod read;
pub mod writes;

use std::{future::Future, time::Duration};

use kube::Client;

pub use errors::{Error, chain};
pub use writes::Writes;

/// Longest time that one call to the API server may take. A request that is accepted and never answered would wait for
/// ever otherwise: the client has no read timeout.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// The cluster as the operator reaches it: a client, and the count of what was written through it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    writes: Writes,
}

impl Cluster {
    /// A cluster behind `client`. `writes` counts each write and ends the process where a test asked for it.
    pub fn new(client: Client, writes: Writes) -> Self {
        Self { client, writes }
    }

    /// The client, for watches and for `Api::namespaced`.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Writes done so far.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Runs one read within [`CALL_DEADLINE`].
    ///
    /// # Errors
    /// [`Error::Deadline`] if no answer came in time, else [`Error::Call`]; both name `what` was tried.
    pub(crate) async fn read<T>(
        &self,
        what: impl Into<String>,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        within(CALL_DEADLINE, what, call).await
    }

    /// Runs one write within [`CALL_DEADLINE`] and counts it once the server has answered, whatever it answered: a
    /// refused write is a point at which a process can die as well.
    pub(crate) async fn write<T>(
        &self,
        what: impl Into<String>,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answer = within(CALL_DEADLINE, what, call).await;
        self.writes.count();
        answer
    }
}

/// Runs `call` for at most `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    what: impl Into<String>,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Call {
            what: what.into(),
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Deadline {
            what: what.into(),
            after: deadline,
        }),
    }
}

#[cfg(test)]
pub(crate) mod testing;
