//! The error of a call to the API server, its class, and the one function that prints a chain of errors.

use std::{error::Error as StdError, time::Duration};

use fleet_core::Class;
use jiff::SignedDuration;
use kube::core::Status;

/// Longest text of an error chain, in bytes: what an event's note may hold.
pub const CHAIN_LIMIT: usize = 1024;

/// A call to the API server that did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, or could not be reached.
    #[error("failed to {what}")]
    Call {
        /// What was tried, as a verb and an object: `apply Deployment demo/orders`.
        what: String,
        /// Why. Boxed: the client's error is large.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer in time. The write may have been done.
    #[error("failed to {what}: no answer within {} s", .after.as_secs())]
    Deadline {
        /// What was tried.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// An object could not be turned into JSON, or lacks its name.
    #[error("failed to {what}: the object cannot be sent: {why}")]
    Unsendable {
        /// What was tried.
        what: String,
        /// What is wrong with the object.
        why: String,
    },
}

impl Error {
    /// The class, which fixes log level, backoff and condition.
    pub fn class(&self) -> Class {
        match self {
            Self::Call { what: _, source } => class_of(source),
            Self::Deadline { .. } => Class::Unavailable,
            Self::Unsendable { .. } => Class::Bug,
        }
    }

    /// The server says that a quota of the Kubernetes namespace is used up.
    pub fn is_quota_exceeded(&self) -> bool {
        self.status()
            .is_some_and(|status| status.is_forbidden() && status.message.contains("exceeded quota"))
    }

    /// The object, its Kubernetes namespace or its kind does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(Status::is_not_found)
    }

    /// The Kubernetes namespace is being deleted: nothing can be created in it any more.
    pub fn is_namespace_terminating(&self) -> bool {
        self.status().is_some_and(|status| {
            let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
            causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
        })
    }

    /// What the API server answered, if it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Call { what: _, source } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Deadline { .. } | Self::Unsendable { .. } => None,
        }
    }
}

/// The class of an error of the Kubernetes client.
pub fn class_of(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => class_of_status(status),
        // We built something that is no request, or read something that is no answer.
        kube::Error::BuildRequest(_)
        | kube::Error::HttpError(_)
        | kube::Error::SerdeError(_)
        | kube::Error::FromUtf8(_) => Class::Bug,
        // Connection, TLS, tokens that could not be read: the world around us, and it may pass.
        _ => Class::Unavailable,
    }
}

fn class_of_status(status: &Status) -> Class {
    if status.is_conflict() || status.is_already_exists() || status.is_not_found() {
        // Not found on a write: the object went away after it was read. As with a conflict, a fresh read tells more.
        return Class::Conflict;
    }
    if status.is_forbidden() {
        return Class::Denied;
    }
    if status.is_invalid() {
        return Class::Invalid;
    }
    match status.code {
        429 => {
            let after = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            Class::Throttled {
                after: (after > 0).then(|| SignedDuration::from_secs(i64::from(after))),
            }
        }
        // 401: the token was rotated under us, the next call reads the new one. 410: the snapshot is too old.
        401 | 410 => Class::Unavailable,
        413 => Class::Invalid,
        400..=499 => Class::Bug,
        _ => Class::Unavailable,
    }
}

/// The whole chain of an error, cause after cause, cut at [`CHAIN_LIMIT`] bytes on a character border. A cause whose text the
/// error before it already carries is not repeated.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    cut(&mut text, CHAIN_LIMIT);
    text
}

/// Cuts `text` to at most `limit` bytes, on a character border, with an ellipsis where something was lost.
pub fn cut(text: &mut String, limit: usize) {
    const ELLIPSIS: &str = "…";
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.truncate(end);
    if limit >= ELLIPSIS.len() {
        text.push_str(ELLIPSIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> Error {
        Error::Call {
            what: "apply Deployment a/b".into(),
            source: Box::new(kube::Error::Api(
                Status::failure(message, reason).with_code(code).boxed(),
            )),
        }
    }

    #[test]
    fn each_answer_has_its_class() {
        for (code, reason, class) in [
            (409, "Conflict", Class::Conflict),
            (409, "AlreadyExists", Class::Conflict),
            (404, "NotFound", Class::Conflict),
            (403, "Forbidden", Class::Denied),
            (422, "Invalid", Class::Invalid),
            (413, "RequestEntityTooLarge", Class::Invalid),
            (400, "BadRequest", Class::Bug),
            (415, "UnsupportedMediaType", Class::Bug),
            (401, "Unauthorized", Class::Unavailable),
            (410, "Expired", Class::Unavailable),
            (429, "TooManyRequests", Class::Throttled { after: None }),
            (500, "InternalError", Class::Unavailable),
            (503, "ServiceUnavailable", Class::Unavailable),
            (504, "Timeout", Class::Unavailable),
        ] {
            assert_eq!(api(code, reason, "").class(), class, "{code} {reason}");
        }
    }

    #[test]
    fn a_throttling_server_names_its_delay() {
        let mut status = Status::failure("slow down", "TooManyRequests").with_code(429);
        status.details = serde_json::from_str(r#"{"retryAfterSeconds": 7}"#).ok();
        let class = class_of(&kube::Error::Api(status.boxed()));
        assert_eq!(
            class,
            Class::Throttled {
                after: Some(SignedDuration::from_secs(7))
            }
        );
    }

    #[test]
    fn silence_is_unavailable() {
        let error = Error::Deadline {
            what: "read Secret a/b".into(),
            after: Duration::from_secs(15),
        };
        assert_eq!(error.class(), Class::Unavailable);
        assert_eq!(chain(&error), "failed to read Secret a/b: no answer within 15 s");
    }

    #[test]
    fn a_quota_is_told_from_other_refusals() {
        assert!(api(403, "Forbidden", "deployments \"a\" is forbidden: exceeded quota: q").is_quota_exceeded());
        assert!(!api(403, "Forbidden", "user cannot patch").is_quota_exceeded());
    }

    #[test]
    fn a_chain_is_printed_once_and_cut_on_a_character() {
        let error = api(403, "Forbidden", &"é".repeat(2000));
        let text = chain(&error);
        assert!(text.len() <= CHAIN_LIMIT, "{}", text.len());
        assert!(
            text.starts_with("failed to apply Deployment a/b: ApiError: éé"),
            "{text}"
        );
        assert!(text.ends_with('…'));
        let mut tiny = String::from("äb");
        cut(&mut tiny, 1);
        assert_eq!(tiny, "", "no half character");
    }
}
