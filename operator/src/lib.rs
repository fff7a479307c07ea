//! The operator as a library: everything that talks to Kubernetes. The binary only parses its arguments and calls it.

pub mod args;
pub mod backoff;
pub mod claims;
pub mod connection;
pub mod context;
pub mod control_secret;
pub mod controllers;
pub mod drains;
pub mod health;
pub mod k8s;
pub mod leader;
pub mod metered;
pub mod metrics;
pub mod random;
pub mod recorder;
pub mod render;
pub mod rivals;
pub mod run;
pub mod secrets;
pub mod serve;
pub mod signals;
pub mod stores;
pub mod telemetry;
pub mod temporal;
pub mod watches;
