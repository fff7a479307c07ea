//! The Secret `<fleet>-control`: the certificate and the token of a fleet's `WorkerControl`, made by us and pinned by us.
//!
//! Pods mount it, serve with the certificate and expect the token; the operator reads the same Secret and trusts nothing else.
//! If it is lost or damaged it is made anew, and pods follow as their mount changes.

use std::collections::BTreeMap;
use std::fmt;

use fleet_crds::names;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::random::hex;
use crate::render::Fleet;

/// Key of the certificate, as PEM. Clients trust it, and it alone.
const CERTIFICATE: &str = "tls.crt";
/// Key of the private key, as PEM.
const PRIVATE_KEY: &str = "tls.key";
/// Key of what clients trust: the certificate again, where tools look for it.
const AUTHORITY: &str = "ca.crt";
/// Key of the token.
const TOKEN: &str = "token";
/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;
/// Longest value that is looked at, in bytes.
const LIMIT: usize = 64 * 1024;

/// Why the Secret could not be made. Texts carry no content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate could not be made.
    #[error("the certificate of the fleet's WorkerControl could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The system has no random bytes to give.
    #[error("the system gives no random bytes for a token")]
    Randomness,
}

/// What a client of one fleet's `WorkerControl` needs. `Debug` shows the name only.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlCredentials {
    /// The one certificate to trust, as PEM.
    pub certificate: String,
    /// Name in the certificate: `<fleet>.control`.
    pub server_name: String,
    /// The token, without prefix.
    pub token: String,
}

impl fmt::Debug for ControlCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            certificate: _,
            server_name,
            token: _,
        } = self;
        formatter
            .debug_struct("ControlCredentials")
            .field("server_name", server_name)
            .finish_non_exhaustive()
    }
}

/// A new Secret for a fleet: another key and another token each time.
///
/// # Errors
/// If there is no randomness, or the name fits no certificate.
pub fn secret(fleet: &Fleet<'_>) -> Result<Secret, Error> {
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(names::control_secret(&fleet.name())),
            namespace: fleet.worker.namespace(),
            labels: Some(fleet.labels()),
            owner_references: fleet.owner().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data(&fleet.name())?),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

/// What a client needs, from the Secret of `fleet`; `None` if something that clients or pods need is missing or unusable.
pub fn credentials(fleet: &str, secret: &Secret) -> Option<ControlCredentials> {
    let data = secret.data.as_ref()?;
    let certificate = pem(data, CERTIFICATE)?.to_owned();
    pem(data, PRIVATE_KEY)?;
    let token = text(data, TOKEN)?.trim().to_owned();
    let usable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| ControlCredentials {
        certificate,
        server_name: server_name(fleet),
        token,
    })
}

/// The name that the certificate of a fleet carries.
fn server_name(fleet: &str) -> String {
    format!("{fleet}.control")
}

fn data(fleet: &str) -> Result<BTreeMap<String, ByteString>, Error> {
    let name = server_name(fleet);
    let mut params = CertificateParams::new(vec![name.clone()])?;
    // It lives as long as its Secret, and clocks of nodes differ: no date is worth an outage here.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // No authority: trusting this certificate means trusting it alone, and nothing that its key might sign.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let mut random = [0u8; TOKEN_BYTES];
    let provider = rustls::crypto::ring::default_provider();
    provider
        .secure_random
        .fill(&mut random)
        .map_err(|_| Error::Randomness)?;
    let entries = [
        (CERTIFICATE, certificate.clone()),
        (PRIVATE_KEY, key.serialize_pem()),
        (AUTHORITY, certificate),
        (TOKEN, hex(&random)),
    ];
    Ok(entries
        .into_iter()
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .collect())
}

fn pem<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Option<&'a str> {
    text(data, key).filter(|text| text.contains("-----BEGIN "))
}

fn text<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Option<&'a str> {
    let bytes = &data.get(key)?.0;
    if bytes.len() > LIMIT {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A Secret of the fleet `orders`, without owner.
    pub(crate) fn made() -> Secret {
        Secret {
            data: Some(data("orders").unwrap()),
            ..Secret::default()
        }
    }

    #[test]
    fn what_is_made_can_be_read_and_is_another_each_time() {
        let (one, two) = (made(), made());
        let keys: Vec<&str> = one.data.as_ref().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key", "token"]);
        let (a, b) = (
            credentials("orders", &one).unwrap(),
            credentials("orders", &two).unwrap(),
        );
        assert_eq!(a.server_name, "orders.control");
        assert_eq!(a.token.len(), 64);
        assert_ne!(a.token, b.token);
        assert_ne!(a.certificate, b.certificate);
    }

    #[test]
    fn a_damaged_secret_gives_no_credentials() {
        for (key, bytes) in [
            (TOKEN, None),
            (TOKEN, Some(b"  \n".to_vec())),
            (TOKEN, Some(b"two words".to_vec())),
            (PRIVATE_KEY, Some(b"no pem".to_vec())),
            (CERTIFICATE, Some(vec![0xff])),
            (CERTIFICATE, Some(vec![b'a'; LIMIT + 1])),
        ] {
            let mut secret = made();
            let data = secret.data.as_mut().unwrap();
            match bytes {
                Some(bytes) => data.insert(key.into(), ByteString(bytes)),
                None => data.remove(key),
            };
            assert_eq!(credentials("orders", &secret), None, "{key}");
        }
        assert_eq!(credentials("orders", &Secret::default()), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = credentials("orders", &made()).unwrap();
        assert_eq!(
            format!("{credentials:?}"),
            r#"ControlCredentials { server_name: "orders.control", .. }"#
        );
    }

    #[test]
    fn the_longest_fleet_name_fits_a_certificate() {
        assert!(data(&"a".repeat(names::WORKER_NAME_MAX)).is_ok());
    }
}
