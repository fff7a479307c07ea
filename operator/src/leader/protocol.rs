//! The decision of the election, without clock and without calls.
//!
//! Times are spans on the monotonic clock of *this* process, from an epoch of its own. Times inside the lease are of other clocks:
//! they are written for people and never compared. A lease is dead when this process has seen it unchanged for the lease's
//! own duration. A leader counts its term from before it sent the renewal, and stops `lease_duration - renew_deadline` before
//! anybody else may start: clocks may run at rates as far apart as the quotient of the two.

use std::time::Duration;

/// Spans of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long a candidate respects a lease that does not change.
    pub lease_duration: Duration,
    /// How long after the start of its last successful renewal a leader may lead. Below `lease_duration`.
    pub renew_deadline: Duration,
    /// Time between attempts. Below `renew_deadline`.
    pub retry_period: Duration,
}

/// The part of the lease that the protocol writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Identity of the holder; empty when it was released.
    pub holder: String,
    /// The duration that the holder promised others to respect.
    pub lease_duration: Duration,
    /// Number of changes of holder.
    pub transitions: u32,
}

/// The lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Version of the object: changes with each write.
    pub version: String,
    /// What stands in it.
    pub record: Record,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Another process holds a lease that is alive: read again after the retry period.
    Wait,
    /// Write this record over the version that was read (or create the lease if there is none). It is ours if that succeeds.
    Take(Record),
}

/// What this process has seen of the lease, and the term it has won.
#[derive(Clone, Debug)]
pub struct Observed {
    identity: String,
    timing: Timing,
    last: Option<(String, Duration)>,
    leads_until: Option<Duration>,
}

/// What to do about `lease` (`None`: it does not exist), read at `now`. Updates what was observed; a lease held by somebody else
/// ends our own term at once.
pub fn next(lease: Option<&LeaseView>, observed: &mut Observed, now: Duration) -> Claim {
    let Some(LeaseView { version, record }) = lease else {
        observed.last = None;
        return Claim::Take(observed.record(0));
    };
    let since = match &observed.last {
        Some((seen, since)) if seen == version => *since,
        _ => {
            observed.last = Some((version.clone(), now));
            now
        }
    };
    if record.holder == observed.identity {
        return Claim::Take(observed.record(record.transitions));
    }
    observed.leads_until = None;
    let alive = !record.holder.is_empty() && now < since.saturating_add(record.lease_duration);
    if alive {
        return Claim::Wait;
    }
    Claim::Take(observed.record(record.transitions.saturating_add(1)))
}

impl Observed {
    /// Nothing seen yet. `identity` must be of this process alone: a restarted one must not take itself for its predecessor.
    pub fn new(identity: impl Into<String>, timing: Timing) -> Self {
        Self {
            identity: identity.into(),
            timing,
            last: None,
            leads_until: None,
        }
    }

    /// Our record was written as `version`, by a request that was started at `sent`: the term runs from then.
    pub fn won(&mut self, version: impl Into<String>, sent: Duration) {
        self.last = Some((version.into(), sent));
        self.leads_until = Some(sent.saturating_add(self.timing.renew_deadline));
    }

    /// End of the term on our clock; `None` when we do not lead. It may lie in the past: ask with [`Observed::leads_at`].
    pub fn leads_until(&self) -> Option<Duration> {
        self.leads_until
    }

    /// We lead at `now`.
    pub fn leads_at(&self, now: Duration) -> bool {
        self.leads_until.is_some_and(|until| now < until)
    }

    /// The term is over or given up.
    pub fn resign(&mut self) {
        self.leads_until = None;
    }

    /// The record that gives the lease back: anybody may take it at once.
    pub fn released(&self, transitions: u32) -> Record {
        Record {
            holder: String::new(),
            lease_duration: Duration::from_secs(1),
            transitions,
        }
    }

    fn record(&self, transitions: u32) -> Record {
        Record {
            holder: self.identity.clone(),
            lease_duration: self.timing.lease_duration,
            transitions,
        }
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
