//! What pods without `WorkerControl` tell: their SDK's metrics page, or the heartbeats their server keeps. Pure: from text and
//! heartbeats to the same report that `WorkerControl` gives. What they do not say is left out, never zero.

mod exposition;
pub mod heartbeat;
pub mod scrape;

pub use heartbeat::{Beats, Heartbeat, HeartbeatSlots};
pub use scrape::Scraped;
