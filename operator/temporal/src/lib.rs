//! Temporal as the operator sees it: a port in domain types ([`Temporal`]), the adapter that speaks gRPC ([`Client`]), and the
//! shared, budgeted observation of queues and servers ([`Observatory`]). Kubernetes is unknown here.

pub mod address;
pub mod budget;
pub mod client;
mod convert;
pub mod credentials;
pub mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod gate;
mod pool;
pub mod poller;
pub mod port;
pub mod reading;
mod schedule;
pub mod secret;
mod task;
mod transport;

pub use address::AddressPolicy;
pub use budget::{Budget, BudgetKey, Ticket};
pub use client::{Client, ClientSettings};
pub use credentials::{ApiKey, CaBundle, ClientCert, CredentialError};
pub use error::{Error, sanitise};
pub use poller::{Observatory, Observer, QueueKey, Settings};
pub use port::{
    Authentication, Clock, Endpoint, EndpointKey, Poller, QueueState, Scope, SecretVersion, ServerInfo, Temporal, Tls,
    system_clock,
};
pub use reading::{Failure, Reading};
pub use secret::Secret;
