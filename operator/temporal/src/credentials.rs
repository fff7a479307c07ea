//! Credentials as Secrets hold them: parsed and checked once, before anything is dialled. Errors name the Secret and the key in
//! it, never a byte of the content.

use std::fmt;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Largest value of one key of a Secret that is looked at [bytes]: a chain or bundle is far smaller.
const LARGEST: usize = 512 * 1024;
/// Most certificates in one value.
const MOST_CERTIFICATES: usize = 1024;

/// Where a value was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the Secret.
    pub secret: String,
    /// Key in it.
    pub key: String,
}

impl Origin {
    /// Key `key` of Secret `secret`.
    pub fn new(secret: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            key: key.into(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?} of Secret {:?}", self.key, self.secret)
    }
}

/// Why a value of a Secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(Origin),
    /// It is beyond any credential.
    #[error("{0} is larger than {LARGEST} bytes")]
    TooLarge(Origin),
    /// It is not PEM with a certificate.
    #[error("{0} holds no PEM certificate")]
    NoCertificate(Origin),
    /// A certificate in it cannot be read.
    #[error("certificate {number} in {origin} cannot be read")]
    BadCertificate {
        /// Where.
        origin: Origin,
        /// Which, from 1.
        number: usize,
    },
    /// It is not PEM with a private key.
    #[error(
        "{0} holds no PEM private key, or one of a kind that is not supported (RSA, ECDSA P-256 and P-384, Ed25519 are)"
    )]
    NoPrivateKey(Origin),
    /// Certificate and key are not a pair.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// Where the certificate is.
        certificate: Origin,
        /// Where the key is.
        key: Origin,
    },
    /// The certificate is past its time.
    #[error("the certificate in {origin} expired at {at}")]
    Expired {
        /// Where.
        origin: Origin,
        /// Its end.
        at: Timestamp,
    },
    /// The certificate's time has not come.
    #[error("the certificate in {origin} is not valid before {at}")]
    NotYetValid {
        /// Where.
        origin: Origin,
        /// Its begin.
        at: Timestamp,
    },
    /// It cannot be sent as an API key.
    #[error("{0} is no API key: it must be one line of visible ASCII characters")]
    NotAnApiKey(Origin),
}

/// Authorities that a server's certificate may be signed by.
#[derive(Clone, PartialEq, Eq)]
pub struct CaBundle(Vec<u8>);

impl CaBundle {
    /// From PEM. Expired authorities in a bundle are tolerated, as everywhere: the handshake decides.
    pub fn parse(origin: &Origin, pem: &[u8]) -> Result<Self, CredentialError> {
        let chain = certificates(origin, pem)?;
        for (index, der) in chain.iter().enumerate() {
            certificate(origin, index, der)?;
        }
        Ok(Self(pem.to_vec()))
    }

    pub(crate) fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} bytes)", self.0.len())
    }
}

/// The operator's own certificate with its key, known to be a pair.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCert {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    not_after: Timestamp,
}

impl ClientCert {
    /// From PEM: the leaf first, then what leads to the authority; valid at `now`.
    pub fn parse(
        (chain_origin, chain): (&Origin, &[u8]),
        (key_origin, key): (&Origin, &[u8]),
        now: Timestamp,
    ) -> Result<Self, CredentialError> {
        let ders = certificates(chain_origin, chain)?;
        let mut validity = None;
        for (index, der) in ders.iter().enumerate() {
            let (begin, end) = certificate(chain_origin, index, der)?;
            // The leaf is what the operator shows; the shortest life in the chain is what counts.
            validity = Some(match validity {
                None => (begin, end),
                Some((latest, earliest)) => (begin.max(latest), end.min(earliest)),
            });
        }
        let (not_before, not_after) = validity.ok_or_else(|| CredentialError::NoCertificate(chain_origin.clone()))?;
        sized(key_origin, key)?;
        let no_key = || CredentialError::NoPrivateKey(key_origin.clone());
        let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| no_key())?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| no_key())?;
        CertifiedKey::new(ders, signing)
            .keys_match()
            .map_err(|_| CredentialError::Mismatch {
                certificate: chain_origin.clone(),
                key: key_origin.clone(),
            })?;
        if now >= not_after {
            return Err(CredentialError::Expired {
                origin: chain_origin.clone(),
                at: not_after,
            });
        }
        if now < not_before {
            return Err(CredentialError::NotYetValid {
                origin: chain_origin.clone(),
                at: not_before,
            });
        }
        Ok(Self {
            chain: chain.to_vec(),
            key: Zeroizing::new(key.to_vec()),
            not_after,
        })
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(crate) fn chain_pem(&self) -> &[u8] {
        &self.chain
    }

    pub(crate) fn key_pem(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for ClientCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCert(until {}, key [redacted])", self.not_after)
    }
}

/// A key that stands for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey(Secret);

impl ApiKey {
    /// From the bytes of a Secret; white space around it is dropped, as files end with a newline.
    pub fn parse(origin: &Origin, bytes: &[u8]) -> Result<Self, CredentialError> {
        sized(origin, bytes)?;
        let bad = || CredentialError::NotAnApiKey(origin.clone());
        let text = std::str::from_utf8(bytes).map_err(|_| bad())?.trim_ascii();
        if text.is_empty() {
            return Err(CredentialError::Empty(origin.clone()));
        }
        if text.len() > 16 * 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        Ok(Self(Secret::new(text)))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

fn sized(origin: &Origin, bytes: &[u8]) -> Result<(), CredentialError> {
    match bytes.len() {
        0 => Err(CredentialError::Empty(origin.clone())),
        1..=LARGEST => Ok(()),
        _ => Err(CredentialError::TooLarge(origin.clone())),
    }
}

fn certificates(origin: &Origin, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    sized(origin, pem)?;
    let mut chain = Vec::new();
    for (index, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
        match der {
            Ok(der) if index < MOST_CERTIFICATES => chain.push(der),
            Ok(_) | Err(_) => {
                return Err(CredentialError::BadCertificate {
                    origin: origin.clone(),
                    number: index + 1,
                });
            }
        }
    }
    if chain.is_empty() {
        Err(CredentialError::NoCertificate(origin.clone()))
    } else {
        Ok(chain)
    }
}

/// Validity of one certificate.
fn certificate(origin: &Origin, index: usize, der: &[u8]) -> Result<(Timestamp, Timestamp), CredentialError> {
    let parsed = || {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let begin = Timestamp::from_second(validity.not_before.timestamp()).ok()?;
        let end = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
        rest.is_empty().then_some((begin, end))
    };
    parsed().ok_or_else(|| CredentialError::BadCertificate {
        origin: origin.clone(),
        number: index + 1,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, date_time_ymd};

    use super::*;

    fn origin(key: &str) -> Origin {
        Origin::new("temporal-client", key)
    }

    /// A certificate of the years `from..to`, and its key.
    fn pair(from: i32, to: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["orders".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn client(chain: &str, key: &str) -> Result<ClientCert, CredentialError> {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let (tls_crt, tls_key) = (origin("tls.crt"), origin("tls.key"));
        ClientCert::parse((&tls_crt, chain.as_bytes()), (&tls_key, key.as_bytes()), now)
    }

    #[test]
    fn a_pair_is_taken_and_its_end_known_the_earliest_in_the_chain_counts() {
        let (leaf, key) = pair(2020, 2040);
        let (intermediate, _) = pair(2020, 2035);
        let year = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(
            client(&leaf, &key).ok().map(|c| c.not_after()),
            year("2040-01-01T00:00:00Z")
        );
        assert_eq!(
            client(&(leaf + &intermediate), &key).ok().map(|c| c.not_after()),
            year("2035-01-01T00:00:00Z")
        );
    }

    #[test]
    fn an_ed25519_key_is_taken() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let chain = CertificateParams::new(vec!["orders".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        assert!(client(&chain, &key.serialize_pem()).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_named_by_secret_and_key_and_not_shown() {
        let ((chain, key), (expired, expired_key), (early, early_key)) =
            (pair(2020, 2040), pair(2020, 2029), pair(2031, 2040));
        let junk = "canary".repeat(20_000);
        let not_der = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";
        let not_key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        for (crt, private, says) in [
            (
                "",
                key.as_str(),
                "key \"tls.crt\" of Secret \"temporal-client\" is empty",
            ),
            (&chain, "", "key \"tls.key\" of Secret \"temporal-client\" is empty"),
            (
                &junk,
                &key,
                "key \"tls.crt\" of Secret \"temporal-client\" holds no PEM certificate",
            ),
            (
                &key,
                &key,
                "key \"tls.crt\" of Secret \"temporal-client\" holds no PEM certificate",
            ),
            (
                not_der,
                &key,
                "certificate 1 in key \"tls.crt\" of Secret \"temporal-client\" cannot be read",
            ),
            (
                &(chain.clone() + not_der),
                &key,
                "certificate 2 in key \"tls.crt\" of Secret",
            ),
            (
                &chain,
                &junk,
                "key \"tls.key\" of Secret \"temporal-client\" holds no PEM private key",
            ),
            (
                &chain,
                not_key,
                "key \"tls.key\" of Secret \"temporal-client\" holds no PEM private key",
            ),
            (&chain, &expired_key, "does not belong to the certificate"),
            (&expired, &expired_key, "expired at 2029-01-01T00:00:00Z"),
            (&early, &early_key, "is not valid before 2031-01-01T00:00:00Z"),
        ] {
            let error = client(crt, private).unwrap_err();
            assert!(error.to_string().contains(says), "{error} should say {says}");
            assert!(!format!("{error:?} {error}").contains("canary"));
        }
        let mebibyte = vec![b'x'; 1 << 20];
        assert_eq!(
            CaBundle::parse(&origin("ca.crt"), &mebibyte),
            Err(CredentialError::TooLarge(origin("ca.crt")))
        );
        assert_eq!(
            CaBundle::parse(&origin("ca.crt"), &[0xff; 9]),
            Err(CredentialError::NoCertificate(origin("ca.crt")))
        );
    }

    #[test]
    fn api_keys_are_one_visible_line() {
        let key = |bytes: &[u8]| ApiKey::parse(&origin("key"), bytes);
        assert_eq!(key(b" eyJ.a-b_c \n").unwrap().secret().expose(), "eyJ.a-b_c");
        assert_eq!(key(b" \n"), Err(CredentialError::Empty(origin("key"))));
        for bad in [
            &b"two words"[..],
            b"two\nlines",
            &[0xff, 0xfe],
            "schlüssel".as_bytes(),
            &vec![b'x'; 20_000],
        ] {
            assert_eq!(key(bad), Err(CredentialError::NotAnApiKey(origin("key"))));
        }
        assert_eq!(format!("{:?}", key(b"canary").unwrap()), "ApiKey([redacted])");
    }
}
