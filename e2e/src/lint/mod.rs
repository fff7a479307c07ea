//! Checks of the repository itself, called by `make lint`: which crate may depend on which, and that every rendering of
//! the Helm chart keeps the chart's rules. Each check returns its findings as sentences; no finding is success.

pub mod arrows;
pub mod chart;
