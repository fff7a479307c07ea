//! Why a body failed, in a form that crosses the border between processes.

use serde::{Deserialize, Serialize};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// Why the body of a task failed. Retryable unless told otherwise; any error becomes one with `?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    message: String,
    kind: Option<String>,
    non_retryable: bool,
    cancelled: bool,
}

impl Failure {
    /// A retryable failure. The message is shown to people and stored in the workflow's history.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: None,
            non_retryable: false,
            cancelled: false,
        }
    }

    /// The body stopped because it was cancelled.
    pub fn cancelled() -> Self {
        Self {
            cancelled: true,
            ..Self::new("cancelled")
        }
    }

    /// Gives the failure a type, which retry policies can name.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// The activity is not tried again.
    #[must_use]
    pub const fn non_retryable(mut self) -> Self {
        self.non_retryable = true;
        self
    }
}

// Not an error itself, so that every error can become one.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(crate::chain(&error))
    }
}

impl From<Failure> for ActivityError {
    fn from(failure: Failure) -> Self {
        let Failure {
            message,
            kind,
            non_retryable,
            cancelled,
        } = failure;
        if cancelled {
            return Self::cancelled();
        }
        let builder = ApplicationFailure::builder(anyhow::anyhow!(message)).non_retryable(non_retryable);
        Self::application(match kind {
            Some(kind) => builder.type_name(kind).build(),
            None => builder.build(),
        })
    }
}
