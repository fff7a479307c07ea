//! The lives of a fleet's pods, put together from watch events: when each began, was asked to end, and was gone. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::{Deserialize, Serialize};

/// Label of pods, `"true"` on one that drains without a deadline.
pub const QUARANTINED_LABEL: &str = "temporal-fleet.dev/quarantined";

/// The life of one pod. Times are the API server's, but for `gone` and the begin of quarantine, which are when we were told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodLife {
    /// Pod name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its container began to run first.
    #[serde(default)]
    pub running: Option<Timestamp>,
    /// When it was Ready first.
    pub ready: Option<Timestamp>,
    /// When its end was asked for: its deletion, or its way into quarantine, where it may first finish what it runs.
    pub end_asked: Option<Timestamp>,
    /// When it was gone.
    pub gone: Option<Timestamp>,
    /// Exit code of its container, once seen.
    pub exit_code: Option<i32>,
    /// Restarts of its containers.
    pub restarts: u32,
}

/// All pods that were ever seen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodLedger {
    lives: BTreeMap<String, PodLife>,
    /// UIDs seen since a relist began; `None` outside of one.
    listing: Option<Vec<String>>,
}

impl PodLedger {
    /// A relist begins: pods it does not name ended unseen.
    pub fn begin_list(&mut self) {
        self.listing = Some(Vec::new());
    }

    /// A relist is complete.
    pub fn end_list(&mut self, now: Timestamp) {
        let Some(listed) = self.listing.take() else { return };
        for life in self.lives.values_mut().filter(|life| !listed.contains(&life.uid)) {
            life.gone.get_or_insert(now);
        }
    }

    /// A pod as it is now.
    pub fn apply(&mut self, pod: &Pod, now: Timestamp) {
        let (Some(uid), Some(name)) = (&pod.metadata.uid, &pod.metadata.name) else {
            return;
        };
        if let Some(listing) = &mut self.listing {
            listing.push(uid.clone());
        }
        let life = self.lives.entry(uid.clone()).or_insert_with(|| PodLife {
            name: name.clone(),
            uid: uid.clone(),
            created: None,
            running: None,
            ready: None,
            end_asked: None,
            gone: None,
            exit_code: None,
            restarts: 0,
        });
        life.created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        // The first stamp counts: at the very end the kubelet deletes once more, with a grace period of 0.
        life.end_asked = life.end_asked.or_else(|| end_asked(pod, now));
        let Some(status) = &pod.status else { return };
        let ready = status
            .conditions
            .iter()
            .flatten()
            .find(|each| each.type_ == "Ready" && each.status == "True");
        if let Some(since) = ready.and_then(|each| each.last_transition_time.as_ref()) {
            life.ready.get_or_insert(since.0);
        }
        let containers = || status.container_statuses.iter().flatten();
        life.restarts = containers()
            .map(|each| u32::try_from(each.restart_count).unwrap_or(0))
            .sum();
        if let Some(since) = containers().find_map(began) {
            life.running.get_or_insert(since);
        }
        let ended = containers().find_map(|each| each.state.as_ref()?.terminated.as_ref().map(|end| end.exit_code));
        life.exit_code = ended.or(life.exit_code);
    }

    /// A pod was deleted; `pod` is its last state.
    pub fn delete(&mut self, pod: &Pod, now: Timestamp) {
        self.apply(pod, now);
        if let Some(life) = pod.metadata.uid.as_ref().and_then(|uid| self.lives.get_mut(uid)) {
            life.gone = Some(now);
            // Deleted without a grace period: the end and the request are one.
            life.end_asked.get_or_insert(now);
        }
    }

    /// Pods that are there and were not asked to end.
    pub fn serving(&self) -> usize {
        self.lives
            .values()
            .filter(|life| life.gone.is_none() && life.end_asked.is_none())
            .count()
    }

    /// Pods that are there and were asked to end.
    pub fn ending(&self) -> usize {
        self.lives
            .values()
            .filter(|life| life.gone.is_none() && life.end_asked.is_some())
            .count()
    }

    /// All lives, in no particular order.
    pub fn lives(&self) -> Vec<PodLife> {
        self.lives.values().cloned().collect()
    }
}

/// The API server stamps a deleted pod with the time by which it must be gone: the request lies one grace period before. A pod in
/// quarantine has no such time yet.
fn end_asked(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let Some(by) = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0) else {
        let quarantined = pod.metadata.labels.as_ref()?.get(QUARANTINED_LABEL)?;
        return (quarantined == "true").then_some(now);
    };
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    by.checked_sub(grace).ok()
}

/// When the container began to run, whether it still does or not; a restarted one tells its last beginning.
fn began(container: &ContainerStatus) -> Option<Timestamp> {
    let state = container.state.as_ref()?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or(ended).map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, extra: &serde_json::Value) -> Pod {
        let mut object = json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-11-22T12:00:00Z"},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T12:00:02Z"}],
                       "containerStatuses": [{"name": "worker", "image": "i", "imageID": "", "ready": true, "restartCount": 1,
                                              "state": {"running": {"startedAt": "2026-11-22T12:00:01Z"}}}]}
        });
        if let (Some(metadata), Some(extra)) = (object["metadata"].as_object_mut(), extra.as_object()) {
            metadata.extend(extra.clone());
        }
        serde_json::from_value(object).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-22T12:00:03Z")
    }

    #[test]
    fn the_end_is_asked_for_one_grace_period_before_the_stamp() {
        let mut ledger = PodLedger::default();
        ledger.apply(&pod("a", &json!({})), now());
        ledger.apply(&pod("b", &json!({})), now());
        assert_eq!((ledger.serving(), ledger.ending()), (2, 0));
        let ending = pod(
            "a",
            &json!({"deletionTimestamp": "2026-11-22T12:01:30Z", "deletionGracePeriodSeconds": 80}),
        );
        ledger.apply(&ending, now());
        assert_eq!((ledger.serving(), ledger.ending()), (1, 1));
        let confirmed = pod(
            "a",
            &json!({"deletionTimestamp": "2026-11-22T12:00:25Z", "deletionGracePeriodSeconds": 0}),
        );
        ledger.delete(&confirmed, at("2026-11-22T12:00:25Z"));
        assert_eq!((ledger.serving(), ledger.ending()), (1, 0));
        let life = ledger.lives().into_iter().find(|life| life.name == "a").unwrap();
        assert_eq!(life.end_asked, Some(at("2026-11-22T12:00:10Z")));
        assert_eq!(life.gone, Some(at("2026-11-22T12:00:25Z")));
        assert_eq!(life.running, Some(at("2026-11-22T12:00:01Z")));
        assert_eq!((life.ready, life.restarts), (Some(at("2026-11-22T12:00:02Z")), 1));
    }

    #[test]
    fn the_end_is_asked_for_by_quarantine_long_before_the_deletion() {
        let mut ledger = PodLedger::default();
        let labelled = |value: &str| pod("a", &json!({"labels": {QUARANTINED_LABEL: value}}));
        ledger.apply(&labelled("false"), now());
        assert_eq!((ledger.serving(), ledger.ending()), (1, 0));
        let (begin, gone) = (at("2026-11-22T12:01:00Z"), at("2026-11-22T14:00:00Z"));
        ledger.apply(&labelled("true"), begin);
        assert_eq!((ledger.serving(), ledger.ending()), (0, 1));
        ledger.delete(&labelled("true"), gone);
        let life = ledger.lives().into_iter().next().unwrap();
        assert_eq!((life.end_asked, life.gone), (Some(begin), Some(gone)));
    }

    #[test]
    fn a_pod_that_a_relist_no_longer_names_is_gone() {
        let mut ledger = PodLedger::default();
        ledger.apply(&pod("a", &json!({})), now());
        ledger.apply(&pod("b", &json!({})), now());
        ledger.begin_list();
        ledger.apply(&pod("b", &json!({})), now());
        ledger.end_list(at("2026-11-22T12:05:00Z"));
        let gone: Vec<_> = ledger
            .lives()
            .into_iter()
            .filter(|life| life.gone.is_some())
            .map(|life| life.name)
            .collect();
        assert_eq!(gone, ["a"]);
    }
}
