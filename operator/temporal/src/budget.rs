//! `Budget`: requests per second toward one Temporal namespace, shared by all who read it. A token bucket that hands out start
//! times: who comes too early is told when its turn is, first come, first served, so that nobody starves.
//!
//! The configured rate is a ceiling. A server that throttles halves the rate, answers raise it again by a hundredth each: it
//! settles a little below what the server grants, whatever that is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::port::Endpoint;

/// Slowest rate that throttling leads to [1/s].
const FLOOR: f64 = 0.1;
/// Pause after throttling, unless the server names another.
const PAUSE: Duration = Duration::from_secs(1);
/// Time constant of the figure of what was used.
const WINDOW: Duration = Duration::from_mins(1);
/// A budget whose requests have faded to less is not in use.
const FORGOTTEN: f64 = 0.01;
/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Who shares a budget: all readers of one Temporal namespace at one address out of one Kubernetes namespace. Another tenant of
/// the same address has its own, so that nobody can spend a stranger's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetKey {
    kubernetes_namespace: String,
    address: String,
    temporal_namespace: String,
}

impl BudgetKey {
    /// Kubernetes namespace of those who read.
    pub fn kubernetes_namespace(&self) -> &str {
        &self.kubernetes_namespace
    }

    /// Address of the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The Temporal namespace.
    pub fn temporal_namespace(&self) -> &str {
        &self.temporal_namespace
    }

    /// The budget that a call to this Temporal namespace is charged to.
    pub fn new(endpoint: &Endpoint, temporal_namespace: &str) -> Self {
        Self {
            kubernetes_namespace: endpoint.key().scope().kubernetes_namespace.clone(),
            address: endpoint.address().to_owned(),
            temporal_namespace: temporal_namespace.to_owned(),
        }
    }
}

/// Buckets of all Temporal namespaces in use.
#[derive(Debug)]
pub struct Budget {
    /// Configured rate [1/s].
    ceiling: f64,
    buckets: Mutex<HashMap<BudgetKey, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Present rate [1/s].
    rate: f64,
    /// When the next request would start if the requests so far were evenly spaced.
    turn: Instant,
    /// Grows with each throttling: older turns are void.
    epoch: u64,
    /// Requests, each fading over [`WINDOW`], as of `used_at`.
    used: f64,
    used_at: Instant,
}

impl Bucket {
    fn cost(&self) -> Duration {
        Duration::from_secs_f64(self.rate.recip())
    }

    /// Requests per second of late, as a share of the present rate.
    fn used_ratio(&self, now: Instant) -> f64 {
        self.faded(now) / WINDOW.as_secs_f64() / self.rate
    }

    fn faded(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.used_at).as_secs_f64();
        self.used * (-since / WINDOW.as_secs_f64()).exp()
    }

    /// The turn of a full bucket: it holds one second's worth of requests, at least one.
    fn full(&self, now: Instant) -> Instant {
        now.checked_sub(Duration::from_secs(1).saturating_sub(self.cost()))
            .unwrap_or(now)
    }
}

/// A request's turn.
#[derive(Debug)]
pub struct Ticket {
    key: BudgetKey,
    epoch: u64,
    waited: Duration,
}

impl Ticket {
    /// How long the request waited for its turn.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Budget {
    /// At most `per_second` requests per second and key, clamped to 0.1..=100 000, with a burst of one second's worth.
    pub fn new(per_second: f64) -> Self {
        let ceiling = if per_second.is_nan() {
            FLOOR
        } else {
            per_second.clamp(FLOOR, 100_000.0)
        };
        Self {
            ceiling,
            buckets: Mutex::default(),
        }
    }

    /// Waits for the turn of one request. Dropping the future gives nothing back.
    pub async fn acquire(&self, key: &BudgetKey) -> Ticket {
        let came = Instant::now();
        loop {
            let (turn, epoch) = self.reserve(key, Instant::now());
            tokio::time::sleep_until(turn).await;
            // Throttled meanwhile: this turn was of the old rate.
            if self.buckets().get(key).is_none_or(|bucket| bucket.epoch == epoch) {
                return Ticket {
                    key: key.clone(),
                    epoch,
                    waited: Instant::now().duration_since(came),
                };
            }
        }
    }

    /// The server throttled a request: half the rate, and nobody's turn before `after` (by default 1 s, at most 60 s). Requests
    /// that were under way together count once.
    pub fn throttled(&self, ticket: &Ticket, after: Option<Duration>, now: Instant) {
        let mut buckets = self.buckets();
        let Some(bucket) = buckets
            .get_mut(&ticket.key)
            .filter(|bucket| bucket.epoch == ticket.epoch)
        else {
            return;
        };
        bucket.rate = (bucket.rate / 2.0).max(FLOOR);
        bucket.epoch += 1;
        bucket.turn = now + after.unwrap_or(PAUSE).min(LONGEST_PAUSE).max(bucket.cost());
        tracing::debug!(rate = bucket.rate, "the server throttles: slower");
    }

    /// The server answered a request.
    pub fn succeeded(&self, ticket: &Ticket) {
        if let Some(bucket) = self.buckets().get_mut(&ticket.key) {
            bucket.rate = (bucket.rate * 1.01).min(self.ceiling);
        }
    }

    /// What each budget in use was charged in the last minute or so, as a share of its present rate: 1 and above means that
    /// requests wait for their turn.
    pub fn used(&self, now: Instant) -> Vec<(BudgetKey, f64)> {
        self.buckets()
            .iter()
            .filter(|(_, bucket)| bucket.faded(now) > FORGOTTEN)
            .map(|(key, bucket)| (key.clone(), bucket.used_ratio(now)))
            .collect()
    }

    /// Takes one request out of the bucket.
    fn reserve(&self, key: &BudgetKey, now: Instant) -> (Instant, u64) {
        let mut buckets = self.buckets();
        if !buckets.contains_key(key) {
            // What is full and at its ceiling needs no memory: nothing grows with the number of names ever seen.
            buckets.retain(|_, bucket| bucket.rate < self.ceiling || bucket.turn > bucket.full(now));
        }
        let fresh = Bucket {
            rate: self.ceiling,
            turn: now,
            epoch: 0,
            used: 0.0,
            used_at: now,
        };
        let bucket = buckets.entry(key.clone()).or_insert(Bucket {
            turn: fresh.full(now),
            ..fresh
        });
        let turn = bucket.turn.max(bucket.full(now));
        bucket.turn = turn + bucket.cost();
        bucket.used = bucket.faded(now) + 1.0;
        bucket.used_at = now;
        (turn, bucket.epoch)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<BudgetKey, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
