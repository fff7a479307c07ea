//! Who leads: one process of the Kubernetes deployment writes, the others stand by.
//!
//! The protocol is client-go's, over one `Lease`. `protocol` is pure and decides; `elector` does the calls and runs the clock.
//! A leader that cannot renew in time ends the process: nothing that it still holds in memory may be written after that.
//! The lease does not fence what is in flight: writes carry preconditions, and nothing is written to Temporal.

mod elector;
mod protocol;
mod store;

pub use elector::{Elector, Leadership, Lost, random_identity};
pub use protocol::{Claim, LeaseView, Observed, Record, Timing, next};
pub use store::{KubeLease, LeaseStore, StoreError};
