//! `Pool`: open connections by the whole endpoint key. Who presents the key has the right to the connection: it holds every
//! credential and the objects they came from. Connections are made lazily, one attempt at a time; what is spoilt or unused goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::error::Error;
use crate::port::EndpointKey;

/// A connection that nobody used for so long is closed: longer than the calmest reading of a live endpoint.
const IDLE: Duration = Duration::from_mins(1);

/// Open connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<EndpointKey, Entry>,
    /// A task that closes idle connections runs.
    sweeping: bool,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<OnceCell<Connection>>,
    used: Instant,
}

/// An open connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) channel: Channel,
}

/// A connection with what is needed to give it up.
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    cell: Arc<OnceCell<Connection>>,
    key: EndpointKey,
}

impl Pool {
    /// The connection for `key`, made by `connect` if there is none. Callers that come meanwhile wait for the same attempt; if it
    /// fails or is given up, the next of them tries.
    pub(crate) async fn get<F>(&self, key: &EndpointKey, connect: impl FnOnce() -> F) -> Result<Lease, Error>
    where
        F: Future<Output = Result<Channel, Error>>,
    {
        let cell = {
            let mut state = self.state();
            let now = Instant::now();
            let entry = state.entries.entry(key.clone()).or_insert_with(|| Entry {
                connection: Arc::default(),
                used: now,
            });
            entry.used = now;
            let cell = Arc::clone(&entry.connection);
            if !state.sweeping {
                state.sweeping = true;
                tokio::spawn(sweep(Arc::downgrade(&self.0)));
            }
            cell
        };
        let connection = cell
            .get_or_try_init(|| async { connect().await.map(|channel| Connection { channel }) })
            .await?;
        Ok(Lease {
            connection: connection.clone(),
            key: key.clone(),
            cell: Arc::clone(&cell),
        })
    }

    /// Gives up a connection that is spoilt, unless another has taken its place. Calls that still run on it end by themselves.
    pub(crate) fn evict(&self, lease: &Lease) {
        let mut state = self.state();
        if state
            .entries
            .get(&lease.key)
            .is_some_and(|entry| Arc::ptr_eq(&entry.connection, &lease.cell))
        {
            state.entries.remove(&lease.key);
        }
    }

    /// Connections that are open or being made.
    pub(crate) fn len(&self) -> usize {
        self.state().entries.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes idle connections, and ends when there is none left.
async fn sweep(pool: Weak<Mutex<State>>) {
    loop {
        tokio::time::sleep(IDLE / 4).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.entries.retain(|_, entry| now.duration_since(entry.used) < IDLE);
        if state.entries.is_empty() {
            state.sweeping = false;
            return;
        }
    }
}
