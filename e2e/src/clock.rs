//! The observer's own clock: when something was seen. What servers did is dated by the servers.

use jiff::Timestamp;

/// Now, by this machine.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where demo and load read the clock"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
