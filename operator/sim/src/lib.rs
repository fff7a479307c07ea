//! A discrete-event world around the production scaling law, and the means to compare scalers in it.
//!
//! The world has no clock but its own and draws nothing but from seeds: a rerun is the same to the bit. Arrivals and service
//! times are drawn before a run and do not depend on the scaler, so that all scalers meet the same work.
//!
//! What it leaves out: the time from a match to the start of a task, pollers (every Ready pod with a free slot has a poll
//! open), memory, and that nodes share their cores.

pub mod against;
pub mod baselines;
pub mod clock;
pub mod compare;
pub mod erlang;
pub mod load;
pub mod oracle;
pub mod ours;
pub mod plot;
mod random;
pub mod recording;
pub mod report;
pub mod scaler;
pub mod scalers;
pub mod scenario;
pub mod score;
pub mod series;
pub mod setting;
pub mod stats;
mod temporal;
pub mod world;
