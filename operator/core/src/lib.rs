//! The pure domain of the operator: what a fleet should look like, what was seen of the world, and the plan that leads from
//! one to the other. No Kubernetes client, no Temporal client, no clock.

pub use fleet_autoscale as autoscale;
