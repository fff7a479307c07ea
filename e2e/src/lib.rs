//! Black-box tools and tests: a real cluster and a real Temporal on one machine, the load on it, and the demo. Nothing
//! here links the operator: what it does is seen through the Kubernetes API, Temporal's API and metrics, as users see it.

pub mod bed;
pub mod bench;
pub mod clock;
pub mod cluster;
pub mod demo;
pub mod dev_server;
pub mod fences;
pub mod fleet;
pub mod image;
pub mod lint;
pub mod live;
pub mod load;
pub mod newcomer;
pub mod program;
