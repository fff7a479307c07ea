//! The connection that all SDK Workers of the process share, and that a reload exchanges.

use std::sync::{Mutex, MutexGuard, PoisonError};

use temporalio_client::Connection;

use crate::connect::Credentials;

/// The connection in use, and the credentials it was made with.
pub(crate) struct Link {
    current: Mutex<(Connection, Credentials)>,
}

impl Link {
    pub(crate) fn new(connected: (Connection, Credentials)) -> Self {
        Self {
            current: Mutex::new(connected),
        }
    }

    /// The connection in use.
    pub(crate) fn connection(&self) -> Connection {
        self.lock().0.clone()
    }

    /// The credentials in use.
    pub(crate) fn credentials(&self) -> Credentials {
        self.lock().1.clone()
    }

    /// From now on this connection is used.
    pub(crate) fn replace(&self, connection: Connection, credentials: Credentials) {
        *self.lock() = (connection, credentials);
    }

    fn lock(&self) -> MutexGuard<'_, (Connection, Credentials)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
