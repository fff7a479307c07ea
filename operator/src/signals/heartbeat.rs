//! Worker heartbeats that the server keeps, for pods that neither serve `WorkerControl` nor a metrics page. Read through the
//! shared observation of Temporal, one list per queue, only while some pod needs it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleet_autoscale::Seen;
use fleet_core::signals::{Beats, Heartbeat};
use fleet_core::{Source, WorkerReport};
use fleet_temporal::{Endpoint, EndpointKey, Observatory, Observer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::Instant;

/// Time between two lists. Workers send one each 15 to 60 s.
const INTERVAL: Duration = Duration::from_secs(10);
/// A fleet or pod that nobody asked about for this long is gone.
const FORGET: Duration = Duration::from_mins(2);

/// Where a fleet's workers are listed.
pub struct Place<'a> {
    /// UID of the fleet.
    pub fleet: &'a str,
    /// Its Temporal.
    pub endpoint: &'a Endpoint,
    /// Its Temporal namespace.
    pub temporal_namespace: &'a str,
    /// Its task queues.
    pub queues: Vec<&'a str>,
}

/// Heartbeats of fleets, and what is remembered of each pod's.
pub struct Heartbeats {
    observatory: Observatory,
    fleets: Mutex<HashMap<String, Subscription>>,
    pods: Mutex<HashMap<String, (Beats, Instant)>>,
}

struct Subscription {
    endpoint: EndpointKey,
    temporal_namespace: String,
    observers: BTreeMap<String, Observer<Option<Vec<Heartbeat>>>>,
    asked: Instant,
}

impl Heartbeats {
    /// Reads through `observatory`.
    pub fn new(observatory: Observatory) -> Self {
        Self {
            observatory,
            fleets: Mutex::default(),
            pods: Mutex::default(),
        }
    }

    /// What the pod's heartbeats say, stamped with the time on this side when each was seen first.
    pub fn of(&self, pod: &Pod, place: &Place<'_>, now: Timestamp) -> Seen<WorkerReport> {
        let listed = match self.listed(place) {
            Ok(listed) => listed,
            Err(reason) => return Seen::unknown(reason),
        };
        let (name, namespace, uid) = (
            pod.name_any(),
            pod.namespace().unwrap_or_default(),
            pod.uid().unwrap_or_default(),
        );
        let mine = listed
            .iter()
            .filter(|heartbeat| heartbeat.is_of(&name, &namespace, &uid));
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, (_, asked)| asked.elapsed() < FORGET);
        let (beats, asked) = pods
            .entry(uid.clone())
            .or_insert_with(|| (Beats::default(), Instant::now()));
        *asked = Instant::now();
        let Some((report, draining)) = beats.report(mine, now) else {
            return Seen::unknown("the server has no recent worker heartbeat with the pod's identity");
        };
        Seen::Known(WorkerReport {
            source: Source::Heartbeat,
            pod: report,
            oldest_task: None,
            draining,
            drained: false,
            reloads_credentials: false,
            polled: Vec::new(),
        })
    }

    /// All heartbeats of the fleet's queues, or why they are not known.
    fn listed(&self, place: &Place<'_>) -> Result<Vec<Heartbeat>, String> {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.retain(|_, subscription| subscription.asked.elapsed() < FORGET);
        let fits = fleets.get(place.fleet).is_some_and(|present| {
            &present.endpoint == place.endpoint.key()
                && present.temporal_namespace == place.temporal_namespace
                && place.queues.iter().all(|queue| present.observers.contains_key(*queue))
        });
        if !fits {
            fleets.insert(place.fleet.to_owned(), self.subscribe(place));
        }
        let Some(subscription) = fleets.get_mut(place.fleet) else {
            return Err("not listed".to_owned());
        };
        subscription.asked = Instant::now();
        let mut all = Vec::new();
        for observer in subscription.observers.values() {
            match observer.latest().seen() {
                Seen::Known((Some(heartbeats), _)) => all.extend(heartbeats.iter().cloned()),
                Seen::Known((None, _)) => {
                    return Err("the server keeps no worker heartbeats (Temporal 1.30 or newer does)".to_owned());
                }
                Seen::Unknown { reason } => return Err(format!("worker heartbeats: {reason}")),
            }
        }
        Ok(all)
    }

    fn subscribe(&self, place: &Place<'_>) -> Subscription {
        let observer = |queue: &&str| {
            let observer = self
                .observatory
                .workers(place.endpoint, place.temporal_namespace, queue, INTERVAL);
            ((*queue).to_owned(), observer)
        };
        Subscription {
            endpoint: place.endpoint.key().clone(),
            temporal_namespace: place.temporal_namespace.to_owned(),
            observers: place.queues.iter().map(observer).collect(),
            asked: Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleet_autoscale::SlotKind;
    use fleet_core::signals::HeartbeatSlots;
    use fleet_temporal::fake::Fake;
    use fleet_temporal::{Scope, Settings};
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:10:00Z".parse().unwrap()
    }

    fn pod(uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a", "namespace": "shop", "uid": uid}})).unwrap()
    }

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            instance: "i".into(),
            identity: "a/shop/u".into(),
            started: now(),
            at: now(),
            interval: SignedDuration::from_secs(15),
            ending: false,
            slots: vec![HeartbeatSlots {
                kind: SlotKind::Activity,
                used: 2,
                limit: Some(4),
                processed: 9,
            }],
        }
    }

    fn endpoint() -> Endpoint {
        let scope = Scope {
            kubernetes_namespace: "shop".into(),
            connection: "main".into(),
            connection_uid: "c".into(),
            secrets: Vec::new(),
        };
        Endpoint::new(scope, "temporal:7233")
    }

    async fn of(heartbeats: &Heartbeats, pod: &Pod) -> Seen<WorkerReport> {
        let endpoint = endpoint();
        let place = Place {
            fleet: "f",
            endpoint: &endpoint,
            temporal_namespace: "default",
            queues: vec!["orders"],
        };
        // The first look subscribes.
        heartbeats.of(pod, &place, now());
        tokio::time::sleep(INTERVAL * 2).await;
        heartbeats.of(pod, &place, now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_is_known_by_the_heartbeat_of_its_identity_and_others_are_not() {
        let fake = Fake::default();
        fake.set_workers("default", "orders", Some(vec![heartbeat()]));
        let heartbeats = Heartbeats::new(Observatory::new(
            Arc::new(fake.clone()),
            Settings::default(),
            Arc::new(now),
        ));
        let Seen::Known(report) = of(&heartbeats, &pod("u")).await else {
            panic!("listed")
        };
        assert_eq!(report.source, Source::Heartbeat);
        assert_eq!((report.pod.slots[0].used, report.pod.slots[0].limit), (2, Some(4)));
        let other = of(&heartbeats, &pod("v")).await;
        assert!(
            other.reason().is_some_and(|reason| reason.contains("identity")),
            "{other:?}"
        );
        assert!(
            fake.calls().len() < 10,
            "one list per interval, not per pod: {:?}",
            fake.calls()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_without_heartbeats_is_told_apart_from_one_without_workers() {
        let fake = Fake::default();
        fake.set_workers("default", "orders", None);
        let heartbeats = Heartbeats::new(Observatory::new(Arc::new(fake), Settings::default(), Arc::new(now)));
        let seen = of(&heartbeats, &pod("u")).await;
        assert!(seen.reason().is_some_and(|reason| reason.contains("1.30")), "{seen:?}");
    }
}
