//! `Reading`: the latest word of a remote source, with its age and its failures. Missing is not empty.

use std::sync::Arc;
use std::time::Duration;

use fleet_core::Seen;
use jiff::Timestamp;

use crate::error::Error;

/// What is known of one remote source.
#[derive(Clone, Debug)]
pub struct Reading<T> {
    /// The last good answer and when it came. It stays through failures: its age tells what it is worth.
    pub last: Option<(Arc<T>, Timestamp)>,
    /// The failure that lasts, if the last attempt failed.
    pub failure: Option<Failure>,
    /// Time asked for between two readings.
    pub interval: Duration,
    /// How long the last attempt had to wait for the budget of its Temporal namespace.
    pub waited: Duration,
}

/// A failure that lasts.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the last attempt met.
    pub error: Arc<Error>,
    /// Attempts of this source that failed in a row; 0 when it only shares the failure of another one.
    pub count: u32,
    /// When the first of them failed.
    pub since: Timestamp,
}

impl<T> Reading<T> {
    /// Nothing is known yet.
    pub(crate) fn pending(interval: Duration) -> Self {
        Self {
            last: None,
            failure: None,
            interval,
            waited: Duration::ZERO,
        }
    }

    /// The next reading, to be completed by the outcome of an attempt.
    pub(crate) fn successor(&self, interval: Duration, waited: Duration) -> Self {
        Self {
            last: self.last.clone(),
            failure: self.failure.clone(),
            interval,
            waited,
        }
    }

    /// An attempt brought a value.
    pub(crate) fn accept(&mut self, value: T, at: Timestamp) {
        self.last = Some((Arc::new(value), at));
        self.failure = None;
    }

    /// An attempt failed.
    pub(crate) fn fail(&mut self, error: Arc<Error>, at: Timestamp) {
        let (count, since) = self
            .failure
            .as_ref()
            .map_or((0, at), |failure| (failure.count, failure.since));
        self.failure = Some(Failure {
            error,
            count: count.saturating_add(1),
            since,
        });
    }

    /// Another source met a failure that concerns this one too.
    pub(crate) fn share(&mut self, error: Arc<Error>, at: Timestamp) {
        let (count, since) = self
            .failure
            .as_ref()
            .map_or((0, at), |failure| (failure.count, failure.since));
        self.failure = Some(Failure { error, count, since });
    }

    /// Neither an answer nor a failure has come yet.
    pub fn is_pending(&self) -> bool {
        self.last.is_none() && self.failure.is_none()
    }

    /// The value if the last attempt brought one, with the time it is of.
    pub fn seen(&self) -> Seen<(&T, Timestamp)> {
        match (&self.failure, &self.last) {
            (Some(failure), _) => Seen::unknown(failure.error.to_string()),
            (None, Some((value, at))) => Seen::Known((value.as_ref(), *at)),
            (None, None) => Seen::unknown("not observed yet"),
        }
    }

    /// The budget of the Temporal namespace makes this source come later than it was asked for, by half an interval or more.
    pub fn stretched(&self) -> bool {
        self.waited > self.interval / 2
    }
}
