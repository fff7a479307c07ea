//! Every size that a fleet's Deployment was given, in order, from watch events: a wrong size that lasts for a moment is seen.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt, watcher};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::handle::Fleet;
use crate::clock;

/// One size and when it was seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// When it was seen.
    pub at: Timestamp,
    /// Replicas asked for.
    pub replicas: u32,
}

/// A watch that runs until it is dropped.
#[derive(Debug)]
pub struct SizeWatch {
    sizes: Arc<Mutex<Vec<Size>>>,
    task: JoinHandle<()>,
}

impl SizeWatch {
    /// Begins to watch.
    pub fn start(fleet: &Fleet) -> Self {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let config = watcher::Config::default().labels(&fleet.selector()).timeout(60);
        let events = watcher(fleet.deployments_api(), config)
            .default_backoff()
            .applied_objects();
        let shared = sizes.clone();
        let task = tokio::spawn(async move {
            futures::pin_mut!(events);
            while let Some(event) = events.next().await {
                if let Ok(deployment) = event {
                    note(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), &deployment);
                }
            }
        });
        Self { sizes, task }
    }

    /// All sizes so far, each different from the one before.
    pub fn sizes(&self) -> Vec<Size> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SizeWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(sizes: &mut Vec<Size>, deployment: &Deployment) {
    let replicas = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .and_then(|count| u32::try_from(count).ok());
    if let Some(replicas) = replicas
        && sizes.last().is_none_or(|last| last.replicas != replicas)
    {
        sizes.push(Size {
            at: clock::now(),
            replicas,
        });
    }
}

/// How often the direction changed: out after in, or in after out.
pub fn reversals(sizes: &[Size]) -> usize {
    let directions: Vec<bool> = sizes
        .windows(2)
        .map(|pair| pair[1].replicas > pair[0].replicas)
        .collect();
    directions.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversals_count_changes_of_direction() {
        let sizes = |list: &[u32]| {
            list.iter()
                .map(|replicas| Size {
                    at: Timestamp::UNIX_EPOCH,
                    replicas: *replicas,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(reversals(&sizes(&[1, 4, 6])), 0);
        assert_eq!(reversals(&sizes(&[1, 6, 3, 1, 0])), 1);
        assert_eq!(reversals(&sizes(&[1, 6, 3, 6, 3])), 3);
        assert_eq!(reversals(&sizes(&[])), 0);
    }

    #[test]
    fn a_repeated_size_is_noted_once() {
        let of = |replicas: i32| {
            serde_json::from_value(serde_json::json!({"spec": {"replicas": replicas, "selector": {}, "template": {}}}))
        };
        let mut sizes = Vec::new();
        for replicas in [1, 1, 4, 4, 1] {
            note(&mut sizes, &of(replicas).unwrap());
        }
        assert_eq!(sizes.iter().map(|size| size.replicas).collect::<Vec<_>>(), [1, 4, 1]);
    }
}
