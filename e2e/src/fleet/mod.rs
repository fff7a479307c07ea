//! A fleet in some cluster as a user sees it: through kubectl, Helm, the Kubernetes API and Temporal's address.
//!
//! Shared by the demo and the tests on a real cluster; works with any kubeconfig. It never links the operator and reads
//! statuses leniently: a field that is missing is `None`, not a failure of the reader.

pub mod access;
mod error;
pub mod handle;
pub mod manifest;
pub mod metrics;
pub mod operator;
pub mod plugin;
pub mod pods;
pub mod sizes;
pub mod status;
pub mod temporal;
pub mod watch;

pub use access::Access;
pub use error::{Error, Result};
pub use handle::Fleet;
pub use manifest::FleetManifest;
pub use status::FleetStatus;
