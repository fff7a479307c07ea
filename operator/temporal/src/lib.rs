//! Temporal as the operator sees it: a port in domain types ([`Temporal`]), the adapter that speaks gRPC ([`Client`]), and the
//! shared, budgeted observation of queues and servers ([`Observatory`]). Kubernetes is unknown here.

pub mod address;
pub mod budget;
pub mod client;
#[cfg(feature = "fake")]
pub mod contract;
mod convert;
pub mod credentials;
pub mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod gate;
pub mod poller;
mod pool;
pub mod port;
pub mod reading;
mod schedule;
pub mod secret;
mod task;
mod transport;

pub use address::AddressPolicy;
pub use budget::{Budget, BudgetKey, Ticket};
pub use client::{Client, ClientSettings};
pub use credentials::{ApiKey, CaBundle, ClientCert, CredentialError, Origin};
pub use error::{Error, sanitise};
pub use poller::{Observatory, Observer, QueueKey, Settings};
pub use port::{
    Authentication, Clock, Endpoint, EndpointKey, Poller, QueueLimit, QueueState, Scope, SecretVersion, ServerInfo,
    Temporal, Tls, system_clock,
};
pub use reading::{Failure, Reading};
pub use secret::Secret;
