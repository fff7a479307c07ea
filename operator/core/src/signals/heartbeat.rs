//! From worker heartbeats, as the server keeps them, to the report of a pod.
//!
//! Heartbeats have counters and slots, no busy time and no latencies. Busy time is summed up here: the slots in use at one
//! heartbeat, times the seconds until the next. The times of heartbeats are of the worker's clock; only their differences are used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::{PodReport, SlotKind, SlotReport};

/// A worker that missed so many of its own intervals is gone: the server keeps the dead for minutes.
const MISSED: f64 = 2.5;
/// Bounds of what an interval can be; SDKs allow 1 to 60 s.
const INTERVAL: (f64, f64) = (5.0, 60.0);

/// One worker of a process, as its last heartbeat told.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// The key that the worker gave itself; another one after a restart.
    pub instance: String,
    /// `[prefix/]pod/namespace/uid` of a pod of a fleet.
    pub identity: String,
    /// When the worker started, on its clock.
    pub started: Timestamp,
    /// When it sent the heartbeat, on its clock.
    pub at: Timestamp,
    /// Since the heartbeat before; zero if there was none.
    pub interval: SignedDuration,
    /// It takes no new task.
    pub ending: bool,
    /// Slots, for those kinds that it serves.
    pub slots: Vec<HeartbeatSlots>,
}

/// Slots of one kind of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatSlots {
    /// Which.
    pub kind: SlotKind,
    /// Tasks running.
    pub used: u32,
    /// Room for tasks; `None` unless the number is fixed.
    pub limit: Option<u32>,
    /// Tasks ended since the worker started.
    pub processed: u64,
}

impl Heartbeat {
    /// Whether it comes from the pod of this name and UID in this Kubernetes namespace.
    pub fn is_of(&self, pod: &str, namespace: &str, uid: &str) -> bool {
        let mut parts = self.identity.rsplit('/');
        !uid.is_empty() && parts.next() == Some(uid) && parts.next() == Some(namespace) && parts.next() == Some(pod)
    }
}

/// What is remembered of a pod's heartbeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beats(BTreeMap<String, Beat>);

#[derive(Clone, Debug, PartialEq)]
struct Beat {
    last: Heartbeat,
    /// On our clock: when this heartbeat was seen first, and when the worker started.
    seen: Timestamp,
    started: Timestamp,
    busy_seconds: BTreeMap<SlotKind, f64>,
}

impl Beats {
    /// Takes the heartbeats of a pod as they are now, and sums up those of its workers that live: the report, and whether all of
    /// them take no new task. `None` if there is none.
    pub fn report<'a>(
        &mut self,
        heartbeats: impl IntoIterator<Item = &'a Heartbeat>,
        now: Timestamp,
    ) -> Option<(PodReport, bool)> {
        let listed: BTreeMap<&str, &Heartbeat> = heartbeats
            .into_iter()
            .map(|each| (each.instance.as_str(), each))
            .collect();
        self.0.retain(|instance, _| listed.contains_key(instance.as_str()));
        for (instance, heartbeat) in listed {
            match self.0.get_mut(instance) {
                Some(beat) => beat.next(heartbeat, now),
                None => {
                    self.0.insert(instance.to_owned(), Beat::first(heartbeat, now));
                }
            }
        }
        let alive: Vec<&Beat> = self.0.values().filter(|beat| beat.lives(now)).collect();
        let report = PodReport {
            at: alive.iter().map(|beat| beat.seen).min()?,
            started: alive.iter().map(|beat| beat.started).min()?,
            slots: sum(&alive),
            cpu_seconds: None,
            memory_bytes: None,
            schedule_to_start: Vec::new(),
        };
        let ending = alive.iter().all(|beat| beat.last.ending);
        (!report.slots.is_empty()).then_some((report, ending))
    }
}

impl Beat {
    fn first(heartbeat: &Heartbeat, now: Timestamp) -> Self {
        let age = heartbeat.at.duration_since(heartbeat.started).max(SignedDuration::ZERO);
        Self {
            last: heartbeat.clone(),
            seen: now,
            started: now.checked_sub(age).unwrap_or(now),
            busy_seconds: BTreeMap::new(),
        }
    }

    fn next(&mut self, heartbeat: &Heartbeat, now: Timestamp) {
        let seconds = heartbeat.at.duration_since(self.last.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        for slot in &self.last.slots {
            *self.busy_seconds.entry(slot.kind).or_default() += f64::from(slot.used) * seconds;
        }
        self.last = heartbeat.clone();
        self.seen = now;
    }

    fn lives(&self, now: Timestamp) -> bool {
        let (least, most) = INTERVAL;
        let interval = match self.last.interval.as_secs_f64() {
            none if none <= 0.0 => most,
            interval => interval.clamp(least, most),
        };
        now.duration_since(self.seen).as_secs_f64() <= MISSED * interval
    }
}

fn sum(alive: &[&Beat]) -> Vec<SlotReport> {
    let mut slots: BTreeMap<SlotKind, SlotReport> = BTreeMap::new();
    for beat in alive {
        for slot in &beat.last.slots {
            let busy_seconds = beat.busy_seconds.get(&slot.kind).copied().unwrap_or_default();
            let total = slots.entry(slot.kind).or_insert(SlotReport {
                kind: slot.kind,
                used: 0,
                limit: Some(0),
                completions: 0,
                busy_seconds: 0.0,
            });
            total.used = total.used.saturating_add(slot.used);
            total.limit = total
                .limit
                .zip(slot.limit)
                .map(|(sum, limit)| sum.saturating_add(limit));
            total.completions = total.completions.saturating_add(slot.processed);
            total.busy_seconds += busy_seconds;
        }
    }
    slots.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).expect("in range")
    }

    /// A heartbeat as the server gave it of the Python example's worker; its clock is an hour ahead of ours.
    fn beat(instance: &str, at: i64, used: u32, processed: u64) -> Heartbeat {
        Heartbeat {
            instance: instance.into(),
            identity: "data-7d9/shop/2b2c".into(),
            started: t(3600),
            at: t(3600 + at),
            interval: SignedDuration::from_secs(15),
            ending: false,
            slots: vec![HeartbeatSlots {
                kind: SlotKind::Activity,
                used,
                limit: Some(4),
                processed,
            }],
        }
    }

    #[test]
    fn a_heartbeat_belongs_to_the_pod_whose_identity_it_carries() {
        let of = |identity: &str| Heartbeat {
            identity: identity.into(),
            ..beat("a", 0, 0, 0)
        };
        assert!(of("data-7d9/shop/2b2c").is_of("data-7d9", "shop", "2b2c"));
        assert!(of("green/data-7d9/shop/2b2c").is_of("data-7d9", "shop", "2b2c"));
        for other in [
            "data-7d9/shop/2b2d",
            "data-7d9/mall/2b2c",
            "other/shop/2b2c",
            "2b2c",
            "",
        ] {
            assert!(!of(other).is_of("data-7d9", "shop", "2b2c"), "{other}");
        }
        assert!(
            !of("data-7d9/shop/").is_of("data-7d9", "shop", ""),
            "a pod without UID has no heartbeat"
        );
    }

    #[test]
    fn busy_time_is_slots_times_seconds_between_heartbeats_on_the_workers_clock() {
        let mut beats = Beats::default();
        let (first, _) = beats.report([&beat("a", 15, 3, 1)], t(20)).expect("alive");
        assert_eq!(
            (first.at, first.started),
            (t(20), t(5)),
            "an hour of clock skew does not show"
        );
        assert_eq!(
            first.slots,
            [SlotReport {
                kind: SlotKind::Activity,
                used: 3,
                limit: Some(4),
                completions: 1,
                busy_seconds: 0.0
            }]
        );
        let (same, _) = beats.report([&beat("a", 15, 3, 1)], t(30)).expect("alive");
        assert_eq!(same, first, "the same heartbeat, read again, is as old as it was");
        let (second, _) = beats.report([&beat("a", 30, 1, 3)], t(35)).expect("alive");
        assert_eq!((second.at, second.started), (t(35), t(5)));
        assert!((second.slots[0].busy_seconds - 45.0).abs() < 1e-9, "{second:?}");
    }

    #[test]
    fn workers_of_one_pod_add_up_and_a_resource_based_one_has_no_limit() {
        let mut unbounded = beat("b", 15, 2, 9);
        unbounded.slots[0].limit = None;
        let (both, ending) = Beats::default()
            .report([&beat("a", 15, 3, 1), &unbounded], t(20))
            .expect("alive");
        assert_eq!(
            (both.slots[0].used, both.slots[0].limit, both.slots[0].completions),
            (5, None, 10)
        );
        assert!(!ending);
    }

    #[test]
    fn the_dead_are_not_counted_and_nobody_is_unknown() {
        let mut beats = Beats::default();
        let dead = beat("a", 15, 3, 7);
        assert!(beats.report([&dead], t(20)).is_some());
        assert!(
            beats.report([&dead], t(58)).is_none(),
            "no heartbeat for 2.5 intervals: unknown, not idle"
        );
        let mut fresh = beat("b", 2, 0, 0);
        fresh.ending = true;
        let (report, ending) = beats.report([&dead, &fresh], t(59)).expect("one lives");
        assert_eq!((report.slots[0].used, report.slots[0].completions), (0, 0));
        assert!(ending, "all that live take no new task");
        assert!(beats.report([], t(60)).is_none());
        assert!(beats.0.is_empty(), "what the server forgot is forgotten");
    }
}
