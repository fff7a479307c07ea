//! The operator as a library: everything that talks to Kubernetes. The binary only parses its arguments and calls it.

pub mod backoff;
pub mod k8s;
pub mod leader;
pub mod random;
