//! Tests that share one cluster side by side: each has a fleet of its own in a namespace of its own, and none disturbs another's.

mod bad_input;
mod by_hand;
mod chart;
mod crd;
mod eviction;
mod plugin;
mod python;
mod quarantine;
mod queues;
mod rivals;
mod scaling;
