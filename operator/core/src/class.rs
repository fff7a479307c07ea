//! Classes of errors: what to do about a failure, whoever met it.

use jiff::SignedDuration;

/// What a failure asks for. The class fixes log level, backoff and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody else wrote first: read again and decide again, at once.
    Conflict,
    /// The other side asks for patience.
    Throttled {
        /// The delay it named, if any.
        after: Option<SignedDuration>,
    },
    /// Not reachable or not able now: retry with exponential backoff.
    Unavailable,
    /// Not allowed: retry when something changed.
    Denied,
    /// Refused as wrong: retry when something changed.
    Invalid,
    /// Ours: must not happen.
    Bug,
}

impl Class {
    /// Closed set of values for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::Throttled { .. } => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::Denied => "Denied",
            Self::Invalid => "Invalid",
            Self::Bug => "Bug",
        }
    }
}
