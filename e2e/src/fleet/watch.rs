//! Follows the pods of a fleet as they come and go, from watch events: a pod that lives for a second is not missed.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::task::JoinHandle;

use super::{
    handle::Fleet,
    pods::{PodLedger, PodLife},
};
use crate::clock;

/// A watch that runs until it is dropped.
#[derive(Debug)]
pub struct PodWatch {
    ledger: Arc<Mutex<PodLedger>>,
    task: JoinHandle<()>,
}

impl PodWatch {
    /// Begins to watch.
    pub fn start(fleet: &Fleet) -> Self {
        let ledger = Arc::new(Mutex::new(PodLedger::default()));
        let config = watcher::Config::default().labels(&fleet.selector()).timeout(60);
        let events = watcher(fleet.pods_api(), config).default_backoff();
        let shared = ledger.clone();
        let task = tokio::spawn(async move {
            futures::pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => note(
                        &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
                        event,
                        clock::now(),
                    ),
                    // The stream relists by itself; the ledger keeps what it has until then.
                    Err(error) => tracing::debug!(%error, "the watch of the fleet's pods was interrupted"),
                }
            }
        });
        Self { ledger, task }
    }

    /// Pods that serve, and pods that were asked to end.
    pub fn counts(&self) -> (usize, usize) {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        (ledger.serving(), ledger.ending())
    }

    /// All lives seen so far.
    pub fn lives(&self) -> Vec<PodLife> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).lives()
    }
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(ledger: &mut PodLedger, event: watcher::Event<k8s_openapi::api::core::v1::Pod>, now: Timestamp) {
    match event {
        watcher::Event::Init => ledger.begin_list(),
        watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => ledger.apply(&pod, now),
        watcher::Event::InitDone => ledger.end_list(now),
        watcher::Event::Delete(pod) => ledger.delete(&pod, now),
    }
}
