//! What can go wrong on the way to Temporal: errors with a class (what to do) and a reason (what the condition says).
//!
//! Texts are made for status and events: fixed words of ours, at most 128 sanitised characters of the other side's, no secret.
//! Whether a connection was refused, timed out or had no name is deliberately one and the same text: an address in an object must
//! not turn the operator into a port scanner. The difference is logged at debug level only.

use std::error::Error as StdError;
use std::time::Duration;

use fleet_core::{Class, Reason};
use jiff::{SignedDuration, Timestamp};
use rustls::{AlertDescription, CertificateError};
use tonic::{Code, Status};

use crate::address::AddressError;
use crate::credentials::{ApiKey, CredentialError};
use crate::port::Endpoint;

/// Longest piece of remote text that is passed on [characters].
const REMOTE_TEXT: usize = 128;

/// Why a call to Temporal failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// No connection: no name, no route, refused, too slow.
    #[error("no connection to {address}: check the address, DNS and the network")]
    Connect {
        /// The address as configured.
        address: String,
    },
    /// The two sides could not agree on TLS.
    #[error("TLS handshake failed: {what}")]
    Tls {
        /// In fixed words.
        what: String,
    },
    /// A certificate is past its time.
    #[error("the server's certificate has expired")]
    ServerCertificateExpired,
    /// The operator's own certificate is past its time.
    #[error("the client certificate expired at {at}")]
    ClientCertificateExpired {
        /// Its end.
        at: Timestamp,
    },
    /// The server did not answer in time.
    #[error("no answer to {call} within {}s", after.as_secs())]
    Deadline {
        /// Name of the call.
        call: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The Temporal namespace is not there, or is deleted.
    #[error("Temporal namespace {temporal_namespace:?} not found")]
    TemporalNamespaceNotFound {
        /// Its name.
        temporal_namespace: String,
    },
    /// Metadata of the connection cannot be sent.
    #[error("metadata {name:?} cannot be sent: names are lower-case ASCII, values visible ASCII")]
    Metadata {
        /// Its name.
        name: String,
    },
    /// Metadata that proves who we are would be read by anybody on the way.
    #[error(
        "metadata {name:?} would be sent in the clear: turn TLS on (`tls: {{}}` of the connection), or leave it out"
    )]
    InTheClear {
        /// Its name.
        name: String,
    },
    /// The server refused or could not.
    #[error("{call} failed: {code:?}{}{text}", if text.is_empty() { "" } else { ": " })]
    Status {
        /// Name of the call.
        call: &'static str,
        /// gRPC code.
        code: Code,
        /// The server's text, sanitised.
        text: String,
        /// The delay that the server asked for.
        after: Option<Duration>,
    },
}

impl Error {
    /// What the failure asks for.
    pub fn class(&self) -> Class {
        match self {
            Self::Address(_)
            | Self::Credentials(_)
            | Self::ClientCertificateExpired { .. }
            | Self::TemporalNamespaceNotFound { .. }
            | Self::Metadata { .. }
            | Self::InTheClear { .. } => Class::Invalid,
            Self::Connect { .. } | Self::Deadline { .. } | Self::Tls { .. } | Self::ServerCertificateExpired => {
                Class::Unavailable
            }
            Self::Status { code, after, .. } => match code {
                Code::Unauthenticated | Code::PermissionDenied => Class::Denied,
                Code::ResourceExhausted => Class::Throttled {
                    after: after.and_then(|after| SignedDuration::try_from(after).ok()),
                },
                Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => Class::Conflict,
                Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::Unimplemented => Class::Invalid,
                Code::Ok => Class::Bug,
                Code::Cancelled
                | Code::DataLoss
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::Unavailable
                | Code::Unknown => Class::Unavailable,
            },
        }
    }

    /// What the condition says. A throttled call says nothing about the connection: only its signals are missing.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Address(AddressError::NotAllowed { .. } | AddressError::Malformed { .. }) => {
                Reason::AddressNotAllowed
            }
            Self::Credentials(CredentialError::Expired { .. })
            | Self::ClientCertificateExpired { .. }
            | Self::ServerCertificateExpired => Reason::CertificateExpired,
            Self::Credentials(_) | Self::Metadata { .. } | Self::InTheClear { .. } => Reason::SecretInvalid,
            Self::Tls { .. } => Reason::TLSHandshakeFailed,
            Self::TemporalNamespaceNotFound { .. } => Reason::TemporalNamespaceNotFound,
            Self::Connect { .. } | Self::Deadline { .. } => Reason::Unreachable,
            Self::Status { code, .. } => match code {
                Code::Unauthenticated | Code::PermissionDenied => Reason::Unauthenticated,
                Code::ResourceExhausted => Reason::SignalsUnknown,
                Code::Ok
                | Code::Cancelled
                | Code::Unknown
                | Code::InvalidArgument
                | Code::DeadlineExceeded
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss => Reason::Unreachable,
            },
        }
    }

    /// A person has to act: time alone does not help.
    pub fn needs_a_person(&self) -> bool {
        match self.class() {
            Class::Denied | Class::Invalid => true,
            Class::Conflict | Class::Throttled { .. } | Class::Bug => false,
            // A handshake that fails is a matter of certificates and names, until somebody changes them.
            Class::Unavailable => matches!(self, Self::Tls { .. } | Self::ServerCertificateExpired),
        }
    }

    /// The connection that met this is not worth keeping: credentials refused, or the transport is gone.
    pub(crate) fn spoils_connection(&self) -> bool {
        match self {
            Self::Status { code, .. } => {
                matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::Unavailable)
            }
            Self::TemporalNamespaceNotFound { .. } | Self::Metadata { .. } | Self::InTheClear { .. } => false,
            Self::Address(_)
            | Self::Credentials(_)
            | Self::Connect { .. }
            | Self::Deadline { .. }
            | Self::Tls { .. }
            | Self::ServerCertificateExpired
            | Self::ClientCertificateExpired { .. } => true,
        }
    }

    /// Every call to the Temporal namespace would meet the same: one asks again for all. Throttling is the budget's business.
    pub(crate) fn concerns_all(&self) -> bool {
        match self {
            // One slow queue must not stop the others.
            Self::Deadline { .. } => false,
            Self::Status { code, .. } => {
                matches!(code, Code::Unauthenticated | Code::PermissionDenied)
            }
            Self::Address(_)
            | Self::Credentials(_)
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::ServerCertificateExpired
            | Self::ClientCertificateExpired { .. }
            | Self::TemporalNamespaceNotFound { .. }
            | Self::Metadata { .. }
            | Self::InTheClear { .. } => true,
        }
    }

    /// From a failed connection attempt.
    pub(crate) fn from_connect(endpoint: &Endpoint, error: &(dyn StdError + 'static)) -> Self {
        tracing::debug!(address = endpoint.address(), error = %chain(error), "connection attempt failed");
        if let Some(refused) = find::<AddressError>(error) {
            return Self::Address(refused.clone());
        }
        match find::<rustls::Error>(error) {
            Some(tls) => Self::from_tls(tls),
            None => Self::Connect {
                address: endpoint.address().to_owned(),
            },
        }
    }

    /// From the status of a call. With TLS 1.3 a server refuses a client's certificate only after the handshake, so a transport
    /// error may still be a matter of TLS.
    pub(crate) fn from_status(
        endpoint: &Endpoint,
        temporal_namespace: &str,
        call: &'static str,
        status: &Status,
    ) -> Self {
        if let Some(source) = status.source() {
            tracing::debug!(address = endpoint.address(), call, error = %chain(source), "transport failed");
            if let Some(tls) = find::<rustls::Error>(source) {
                return Self::from_tls(tls);
            }
            if let Some(refused) = find::<AddressError>(source) {
                return Self::Address(refused.clone());
            }
            if let Some(alert) = alert(&chain(source)) {
                return Self::from_tls(&rustls::Error::AlertReceived(alert));
            }
            if status.code() == Code::Unavailable || find::<tonic::transport::Error>(source).is_some() {
                return Self::Connect {
                    address: endpoint.address().to_owned(),
                };
            }
        }
        if status.code() == Code::NotFound {
            return Self::TemporalNamespaceNotFound {
                temporal_namespace: temporal_namespace.to_owned(),
            };
        }
        let after = status
            .metadata()
            .get("grpc-retry-pushback-ms")
            .and_then(|value| value.to_str().ok());
        let after = after
            .and_then(|ms| ms.parse::<u32>().ok())
            .map(|ms| Duration::from_millis(ms.into()));
        Self::Status {
            call,
            code: status.code(),
            text: sanitise(status.message(), endpoint),
            after,
        }
    }

    fn from_tls(error: &rustls::Error) -> Self {
        let what = match error {
            rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                return Self::ServerCertificateExpired;
            }
            rustls::Error::InvalidCertificate(error) => match error {
                // The latter: another authority of the same name.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => "the server's certificate is not signed by a trusted authority",
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "the server's certificate is for another name; set tls.serverName"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "the server's certificate is not valid yet"
                }
                _ => "the server's certificate is not acceptable",
            },
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                // OpenSSL and some proxies answer so when they wanted a certificate and got none.
                | AlertDescription::HandshakeFailure,
            ) => "the server wants a client certificate, or other parameters than ours",
            rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => "the server says our certificate has expired",
            rustls::Error::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied,
            ) => "the server refuses the client certificate",
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => "the server does not know the name we ask for",
            rustls::Error::InvalidMessage(_) => "the server does not speak TLS",
            _ => "the server's side of the handshake is not acceptable",
        };
        Self::Tls { what: what.to_owned() }
    }
}

/// The first error of type `E` in the chain. An `io::Error` hides what it wraps from `source()`, so it is opened here.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The alert that ended an established connection. The HTTP/2 layer keeps only the text of what it met below.
fn alert(chain: &str) -> Option<AlertDescription> {
    let (_, alert) = chain.split_once("received fatal alert: ")?;
    let name = alert.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    [
        AlertDescription::AccessDenied,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateRequired,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateUnknown,
        AlertDescription::DecryptError,
        AlertDescription::HandshakeFailure,
        AlertDescription::NoCertificate,
        AlertDescription::UnknownCA,
        AlertDescription::UnsupportedCertificate,
    ]
    .into_iter()
    .find(|alert| format!("{alert:?}") == name)
}

/// The chain of an error in one line, for the debug log.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text.chars().take(1024).collect()
}

/// Remote text as it may be shown: the endpoint's own secrets blotted out, everything but letters, digits, punctuation and
/// single spaces dropped, at most 128 characters.
pub fn sanitise(text: &str, endpoint: &Endpoint) -> String {
    // Cut first, generously: nobody may make us search megabytes.
    let mut text: String = text.chars().take(16 * REMOTE_TEXT).collect();
    let secrets = endpoint
        .api_key()
        .map(ApiKey::secret)
        .into_iter()
        .chain(endpoint.headers().values());
    for secret in secrets {
        let secret = secret.expose();
        // One or two characters are no secret, and would blot out the words.
        if secret.len() >= 4 {
            text = text.replace(secret, "[redacted]");
        }
    }
    printable(&text, REMOTE_TEXT)
}

/// `text` without control, formatting and direction characters, white space collapsed, at most `limit` characters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let shown = |c: char| {
        if c.is_ascii_graphic() || c.is_alphanumeric() {
            c
        } else {
            ' '
        }
    };
    let mut clean = String::new();
    for c in text.chars().map(shown) {
        if c != ' ' || !(clean.is_empty() || clean.ends_with(' ')) {
            clean.push(c);
        }
    }
    let clean = clean.trim_end();
    if clean.chars().count() <= limit {
        return clean.to_owned();
    }
    clean.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}
