//! A discrete-event world around the production scaling law, and the means to compare scalers in it.
//!
//! The world has no clock but its own and draws nothing but from seeds: a rerun is the same to the bit. Arrivals and service
//! times are drawn before a run and do not depend on the scaler, so that all scalers meet the same work.

pub mod baselines;
pub mod scaler;
pub mod setting;
