//! Events about our objects, through `events.k8s.io/v1`.
//!
//! An own publisher, as the one of the client library folds events that differ in their note alone into one series that shows the
//! first note for ever, and our notes carry the arithmetic of a decision. At most one event per minute, object and reason.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};

use super::{Cluster, Error, errors::cut};

/// Shortest time between two events with the same object and reason.
pub const INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Longest note, in bytes: the API server refuses more.
pub const NOTE_LIMIT: usize = 1024;

/// Whether an event needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something happened as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Normal or warning.
    pub kind: Kind,
    /// One word in CamelCase, from the documented list; at most 128 bytes.
    pub reason: String,
    /// What the operator was doing, one word in CamelCase: `Scale`, `Apply`; at most 128 bytes.
    pub action: String,
    /// The sentence, with its numbers; cut at [`NOTE_LIMIT`].
    pub note: String,
}

/// Writes events, thinned out. Shared by all passes.
pub struct Publisher {
    cluster: Cluster,
    controller: String,
    instance: String,
    sent: Mutex<BTreeMap<(String, String), Timestamp>>,
    serial: AtomicU64,
}

impl Publisher {
    /// A publisher that reports as `controller` (`temporal-fleet.dev/operator`), from `instance` (the pod's name).
    pub fn new(cluster: Cluster, controller: impl Into<String>, instance: impl Into<String>) -> Self {
        let (mut controller, mut instance) = (controller.into(), instance.into());
        cut(&mut controller, 128);
        cut(&mut instance, 128);
        Self {
            cluster,
            controller,
            instance,
            sent: Mutex::default(),
            serial: AtomicU64::default(),
        }
    }

    /// Publishes `notice` about `regarding`, unless one with the same object and reason was sent less than [`INTERVAL`] before `now`.
    /// True if it was sent. After a failure the next one is let through: nothing was told yet.
    ///
    /// # Errors
    /// As for every call. An event is a courtesy: log the error and go on.
    pub async fn publish(&self, regarding: &ObjectReference, notice: &Notice, now: Timestamp) -> Result<bool, Error> {
        let key = (regarding.uid.clone().unwrap_or_default(), notice.reason.clone());
        if !self.claim(&key, now) {
            return Ok(false);
        }
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".into());
        let event = self.event(regarding, &namespace, notice, now);
        let api: Api<Event> = Api::namespaced(self.cluster.client(), &namespace);
        let what = format!(
            "publish event {} of {namespace}/{}",
            notice.reason,
            regarding.name.as_deref().unwrap_or("?")
        );
        match self
            .cluster
            .write(what, api.create(&PostParams::default(), &event))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) => {
                self.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                Err(error)
            }
        }
    }

    /// Takes the right to send for `key`. Old entries go, so that the map holds what was sent in the last interval only.
    fn claim(&self, key: &(String, String), now: Timestamp) -> bool {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not silence anything: an entry of the future is old as well.
        sent.retain(|_, at| {
            let age = now.duration_since(*at);
            age >= SignedDuration::ZERO && age < INTERVAL
        });
        if sent.contains_key(key) {
            return false;
        }
        sent.insert(key.clone(), now);
        true
    }

    fn event(&self, regarding: &ObjectReference, namespace: &str, notice: &Notice, now: Timestamp) -> Event {
        let Notice {
            kind,
            reason,
            action,
            note,
        } = notice.clone();
        let (mut reason, mut action, mut note) = (reason, action, note);
        cut(&mut reason, 128);
        cut(&mut action, 128);
        cut(&mut note, NOTE_LIMIT);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        // Unique as client-go's: the object's name and the time; the serial parts events of one pass.
        let name = format!(
            "{}.{:x}{serial:x}",
            regarding.name.as_deref().unwrap_or("unnamed"),
            now.as_nanosecond()
        );
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.into()),
                ..ObjectMeta::default()
            },
            action: Some(action),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(reason),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(match kind {
                Kind::Normal => "Normal".into(),
                Kind::Warning => "Warning".into(),
            }),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::testing::{Answer, mock};

    fn regarding(uid: &str) -> ObjectReference {
        ObjectReference {
            api_version: Some("temporal-fleet.dev/v1alpha1".into()),
            kind: Some("TemporalWorker".into()),
            name: Some("orders".into()),
            namespace: Some("shop".into()),
            uid: Some(uid.into()),
            ..ObjectReference::default()
        }
    }

    fn notice(reason: &str, note: &str) -> Notice {
        Notice {
            kind: Kind::Warning,
            reason: reason.into(),
            action: "Scale".into(),
            note: note.into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn one_a_minute_per_object_and_reason_with_the_newest_note() {
        let (cluster, calls) = mock(Answer::echo);
        let publisher = Publisher::new(cluster, "temporal-fleet.dev/operator", "pod-1");
        let (a, b) = (regarding("a"), regarding("b"));
        assert!(
            publisher
                .publish(&a, &notice("ScaledUp", "1 -> 2"), at(1000))
                .await
                .unwrap()
        );
        assert!(
            !publisher
                .publish(&a, &notice("ScaledUp", "2 -> 3"), at(1059))
                .await
                .unwrap()
        );
        assert!(
            publisher
                .publish(&a, &notice("ScaledDown", "3 -> 2"), at(1059))
                .await
                .unwrap(),
            "another reason"
        );
        assert!(
            publisher
                .publish(&b, &notice("ScaledUp", "1 -> 2"), at(1059))
                .await
                .unwrap(),
            "another object"
        );
        assert!(
            publisher
                .publish(&a, &notice("ScaledUp", "3 -> 4"), at(1060))
                .await
                .unwrap()
        );
        let calls = calls.take();
        assert_eq!(calls.len(), 4);
        assert!(
            calls
                .iter()
                .all(|call| call.line() == "POST /apis/events.k8s.io/v1/namespaces/shop/events")
        );
        assert_eq!(calls[3].body["note"], "3 -> 4");
        assert_eq!(calls[3].body["type"], "Warning");
        assert_eq!(calls[3].body["reportingController"], "temporal-fleet.dev/operator");
        assert_eq!(calls[3].body["regarding"]["uid"], "a");
        assert_eq!(calls[3].body["eventTime"], "1970-01-01T00:17:40.000000Z");
        let mut names: Vec<&str> = calls
            .iter()
            .map(|call| call.body["metadata"]["name"].as_str().unwrap())
            .collect();
        names.dedup();
        assert_eq!(names.len(), 4, "names are unique, of one instant too");
    }

    #[tokio::test]
    async fn a_failure_does_not_silence_the_next() {
        let (cluster, calls) = mock(|_| Answer::failure(503, "ServiceUnavailable"));
        let publisher = Publisher::new(cluster, "c", "i");
        assert!(
            publisher
                .publish(&regarding("a"), &notice("R", "n"), at(10))
                .await
                .is_err()
        );
        assert!(
            publisher
                .publish(&regarding("a"), &notice("R", "n"), at(11))
                .await
                .is_err()
        );
        assert_eq!(calls.take().len(), 2);
    }

    #[tokio::test]
    async fn a_clock_set_back_does_not_silence_and_a_note_fits() {
        let (cluster, calls) = mock(Answer::echo);
        let publisher = Publisher::new(cluster, "c", "i");
        assert!(
            publisher
                .publish(&regarding("a"), &notice("R", "n"), at(5000))
                .await
                .unwrap()
        );
        assert!(
            publisher
                .publish(&regarding("a"), &notice("R", &"é".repeat(2000)), at(100))
                .await
                .unwrap()
        );
        assert!(calls.take()[1].body["note"].as_str().unwrap().len() <= NOTE_LIMIT);
    }
}
