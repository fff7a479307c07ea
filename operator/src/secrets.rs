//! Secrets by name, only those that an object of ours names, and each again every 30 s: rotation is noticed without the right
//! to list or watch Secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::Instant;

use crate::k8s::{Cluster, Error, read};

/// For how long a Secret that was read counts as read.
const FRESH: Duration = Duration::from_secs(30);
/// The same for one that was not there: who makes it should not wait half a minute.
const FRESH_ABSENT: Duration = Duration::from_secs(3);

type Key = (String, String);
/// When a Secret was read, and what was there.
type Entry = (Instant, Option<Arc<Secret>>);

/// Reads Secrets by name and remembers them for a moment.
pub struct Secrets {
    cluster: Cluster,
    read: Mutex<HashMap<Key, Entry>>,
}

impl Secrets {
    /// Reads from `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            read: Mutex::default(),
        }
    }

    /// The Secret of that name, or `None` if there is none.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, Error> {
        let key = (namespace.to_owned(), name.to_owned());
        let now = Instant::now();
        if let Some((at, secret)) = self.lock().get(&key) {
            let fresh = if secret.is_some() { FRESH } else { FRESH_ABSENT };
            if now.duration_since(*at) < fresh {
                return Ok(secret.clone());
            }
        }
        let api: Api<Secret> = Api::namespaced(self.cluster.client(), namespace);
        let secret = read::get(&self.cluster, &api, name).await?.map(Arc::new);
        let mut read = self.lock();
        // Names that nobody asks for any more leave with the next read.
        read.retain(|_, (at, _)| now.duration_since(*at) < FRESH * 4);
        read.insert(key, (now, secret.clone()));
        Ok(secret)
    }

    /// Forgets a Secret, so that the next read asks the server.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Entry>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
