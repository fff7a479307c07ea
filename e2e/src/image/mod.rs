//! Container images without a container daemon: one layer, from scratch, a static binary (or a tree of files) and the few files
//! that every program expects, written as an OCI archive. The same input gives the same digest, on any machine.
//!
//! Owns the content and the archive format. Which images there are, and of which binaries, says `catalog.rs`.

use std::io;
use std::path::PathBuf;

mod archive;
pub mod catalog;
mod content;
mod debian;
pub mod python;

pub use archive::{Archived, inspect, write};
pub use content::{File, Folder, Image};

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("failed to {action} {path}", path = path.display())]
    File {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A binary that goes into an image was not built.
    #[error("{path} is missing: run `make {target}`", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The target that makes it.
        target: &'static str,
    },
    /// Cargo did not build the static binaries; it has said why.
    #[error("cargo failed to build the static binaries ({status})")]
    Build {
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// A program that makes a part of an image could not be started.
    #[error("failed to run {name}: is it installed? `make setup` does that")]
    Run {
        /// The program.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A program that makes a part of an image failed.
    #[error("{name} failed ({status}); debootstrap needs root, and both it and pip need the network:\n{output}")]
    Command {
        /// The program.
        name: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last lines it wrote.
        output: String,
    },
    /// A binary needs an interpreter, which an image from scratch does not have.
    #[error("{path} is no static binary: build it for x86_64-unknown-linux-musl", path = path.display())]
    NotStatic {
        /// The file.
        path: PathBuf,
    },
    /// The metadata of the image could not be put together.
    #[error("failed to describe the image {reference}")]
    Describe {
        /// The image.
        reference: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An archive holds no image that can be imported.
    #[error("{path} is no image archive: {reason}", path = path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
