//! The local cluster: a real Kubernetes of one node and a real Temporal on this machine, without a container registry and
//! without a Docker daemon. Owns their life from `up` to `down`. Knows nothing of the operator or its chart: whatever is
//! installed into the cluster is installed as into any other.
//!
//! Two rules above all others: no packet of a pod, a Service or the node leaves the machine (`network.rs`, `egress.rs`),
//! and after `down` the machine is as it was (`residue.rs`).

use std::path::{Path, PathBuf};

mod addons;
pub mod command;
mod components;
mod config;
pub mod discovery;
mod down;
pub mod egress;
mod error;
mod images;
mod kubernetes;
mod layout;
pub mod network;
mod outside;
mod pki;
mod ports;
mod process;
pub mod residue;
mod status;
pub mod temporal;
mod up;

pub use config::Ports;
pub use down::down;
pub use error::{Error, Result};
pub use images::{holds_archives, import_folder, imported_digest, tag_image};
pub use kubernetes::client;
pub use layout::*;
pub use ports::stored as stored_ports;
pub use status::{Status, status};
pub use up::up;

/// Where a program of the distribution lies: the first hit in `PATH` and in the system's folders; its bare name if nowhere.
fn host_program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    folders
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| Path::new(name).to_owned())
}
