//! The proof that no packet of the cluster leaves the machine: what the guard rejected, and what passed it nevertheless.

use super::error::Result;
use super::network::{LEAK_CHAIN, REJECT_CHAIN, counter};

/// The counters of the guard, in packets since `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    /// Packets of pods for addresses outside, rejected.
    pub rejected: u64,
    /// Packets of our addresses on their way to another link, dropped at the last moment. Anything but 0 is a bug.
    pub leaked: u64,
}

/// Reads the counters.
pub fn read() -> Result<Egress> {
    Ok(Egress {
        rejected: counter("filter", REJECT_CHAIN)?,
        leaked: counter("mangle", LEAK_CHAIN)?,
    })
}
