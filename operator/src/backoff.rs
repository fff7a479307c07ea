//! How long an object waits after a failure: per UID, by the class of the error, exponential with jitter, forgotten on success.
//!
//! The interval between two attempts never falls before a success: errors must not tighten a loop.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use fleet_core::Class;

use crate::random::Jitter;

/// Wait after the first failure of most classes.
pub const BASE: Duration = Duration::from_secs(1);
/// Longest wait of the exponential classes, before jitter.
pub const CAP: Duration = Duration::from_mins(5);
/// Wait of the classes that only a change can cure.
pub const RESYNC: Duration = Duration::from_mins(10);
/// Wait after the first lost race: a fresh read, at once, but not in the same breath.
pub const CONFLICT_BASE: Duration = Duration::from_millis(50);

/// Failures in a row of one object.
#[derive(Clone, Copy, Debug)]
struct Streak {
    failures: u32,
    class: &'static str,
    last: Duration,
}

/// The waits of all objects.
#[derive(Debug)]
pub struct Backoff {
    seed: String,
    streaks: Mutex<BTreeMap<String, Streak>>,
}

impl Backoff {
    /// No failures yet. Two processes with two seeds jitter apart.
    pub fn new(seed: impl Into<String>) -> Self {
        Self {
            seed: seed.into(),
            streaks: Mutex::default(),
        }
    }

    /// The wait after one more failure of the object `uid`.
    pub fn failed(&self, uid: &str, class: Class) -> Duration {
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        let old = streaks.get(uid).copied();
        let failures = old.map_or(1, |streak| streak.failures.saturating_add(1));
        let mut jitter = Jitter::seeded_by(&format!("{}/{uid}/{failures}", self.seed));
        // Between half and one and a half.
        let mut spread = |wait: Duration| wait.mul_f64(0.5 + jitter.unit());
        let wait = match class {
            Class::Conflict => spread(doubled(CONFLICT_BASE, failures)),
            Class::Throttled { after: Some(after) } => {
                // Never earlier than asked, and not all at the same moment.
                let asked = Duration::try_from(after).unwrap_or(Duration::ZERO).min(RESYNC);
                asked + spread(asked / 5)
            }
            Class::Throttled { after: None } | Class::Unavailable | Class::Bug => spread(doubled(BASE, failures)),
            Class::Denied | Class::Invalid => spread(RESYNC),
        };
        // Within one class the interval never falls, whatever the jitter says.
        let floor = old
            .filter(|streak| streak.class == class.as_str())
            .map_or(Duration::ZERO, |streak| streak.last);
        let last = wait.max(floor);
        streaks.insert(
            uid.to_owned(),
            Streak {
                failures,
                class: class.as_str(),
                last,
            },
        );
        last
    }

    /// A pass of the object `uid` did what it was for.
    pub fn succeeded(&self, uid: &str) {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// The object `uid` is gone.
    pub fn forget(&self, uid: &str) {
        self.succeeded(uid);
    }

    /// Objects that are failing.
    pub fn failing(&self) -> usize {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// `base · 2^(failures − 1)`, at most [`CAP`].
fn doubled(base: Duration, failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(CAP)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_outage_is_met_with_longer_and_longer_waits_up_to_the_cap() {
        let backoff = Backoff::new("s");
        let waits: Vec<f64> = (0..20)
            .map(|_| backoff.failed("a", Class::Unavailable).as_secs_f64())
            .collect();
        assert!((0.5..1.5).contains(&waits[0]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 450.0), "{waits:?}");
        assert!(waits[19] >= 150.0, "{waits:?}");
        assert!(waits.is_sorted(), "{waits:?}");
    }

    #[test]
    fn success_starts_anew_and_objects_are_apart() {
        let backoff = Backoff::new("s");
        for _ in 0..8 {
            backoff.failed("a", Class::Unavailable);
        }
        assert!(backoff.failed("b", Class::Unavailable) < Duration::from_millis(1500));
        backoff.succeeded("a");
        assert!(backoff.failed("a", Class::Unavailable) < Duration::from_millis(1500));
        assert_eq!(backoff.failing(), 2);
        backoff.forget("a");
        backoff.forget("b");
        assert_eq!(backoff.failing(), 0, "nothing is kept of what is gone");
    }

    #[test]
    fn each_class_has_its_pace() {
        let first = |class| Backoff::new("s").failed("a", class);
        assert!(first(Class::Conflict) < Duration::from_millis(80));
        let asked = first(Class::Throttled {
            after: Some(SignedDuration::from_secs(30)),
        });
        assert!((30.0..40.0).contains(&asked.as_secs_f64()), "{asked:?}");
        for class in [Class::Denied, Class::Invalid] {
            assert!(
                (300.0..900.0).contains(&first(class).as_secs_f64()),
                "a slow resync: a change wakes it"
            );
        }
    }

    #[test]
    fn objects_that_fail_together_do_not_return_together() {
        let backoff = Backoff::new("s");
        let mut waits: Vec<Duration> = (0..100)
            .map(|n| backoff.failed(&n.to_string(), Class::Unavailable))
            .collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 90);
    }

    proptest! {
        #[test]
        fn the_interval_of_a_class_never_falls_before_success(count in 1usize..60, seed in ".{0,8}") {
            let backoff = Backoff::new(seed);
            for class in [Class::Conflict, Class::Unavailable, Class::Bug, Class::Throttled { after: None }] {
                backoff.succeeded("a");
                let waits: Vec<Duration> = (0..count).map(|_| backoff.failed("a", class)).collect();
                prop_assert!(waits.is_sorted());
                prop_assert!(waits.iter().all(|wait| *wait <= CAP.mul_f64(1.5)));
            }
        }
    }
}
