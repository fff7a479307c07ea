//! `Seen<T>`: what a remote source told us. Missing is not empty: a source that did not answer is `Unknown`, never zero.

use serde::{Deserialize, Serialize};

/// A value from a remote source, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Seen<T> {
    /// The source answered.
    Known(T),
    /// The source did not answer, or its answer could not be used.
    Unknown {
        /// One line for people: what failed.
        reason: String,
    },
}

impl<T> Seen<T> {
    /// An unknown value with the reason for it.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }

    /// The value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// Whether the source answered.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Why there is no value, if there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { reason } => Some(reason),
        }
    }

    /// Borrows what was seen.
    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Known(value) => Seen::Known(value),
            Self::Unknown { reason } => Seen::Unknown { reason: reason.clone() },
        }
    }

    /// Changes the value, keeps the reason.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Known(value) => Seen::Known(change(value)),
            Self::Unknown { reason } => Seen::Unknown { reason },
        }
    }
}

impl<T, E: core::fmt::Display> From<Result<T, E>> for Seen<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}
