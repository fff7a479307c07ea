//! Payloads encrypted with AES-256-GCM under named keys: the layout of Temporal's public samples, so that workers, clients and codec servers
//! in other languages read them with the same keys.

use std::{collections::HashMap, path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture, future::ready};
use prost::Message;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use temporalio_common::{
    data_converters::{PayloadCodec, PayloadConversionError, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};

const ENCODING: &str = "encoding";
const ENCRYPTED: &[u8] = b"binary/encrypted";
const KEY_ID: &str = "encryption-key-id";

/// Encrypts with one key, decrypts with any that it knows: that is how keys are rotated.
pub(crate) struct Encryption {
    keys: Arc<Keys>,
}

struct Keys {
    current: String,
    all: HashMap<String, LessSafeKey>,
    random: SystemRandom,
}

/// Why a payload cannot be encrypted or decrypted. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("failed to read the keys in {0}")]
    Read(String, #[source] std::io::Error),
    /// A key does not have 32 bytes.
    #[error("key {0:?} does not have 32 bytes")]
    Length(String),
    /// The key is not there.
    #[error("there is no key {0:?}")]
    Unknown(String),
    /// The payload was changed, or another key has this name.
    #[error("the payload does not fit key {0:?}")]
    Forged(String),
    /// The content is no payload.
    #[error("the decrypted payload cannot be read")]
    Content(#[source] prost::DecodeError),
    /// The system gives no random bytes.
    #[error("failed to encrypt")]
    Encrypt,
}

impl Encryption {
    /// Keys of 32 bytes by name; `current` encrypts.
    pub(crate) fn new(current: &str, keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, Error> {
        let key = |(name, bytes): (String, Vec<u8>)| {
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::Length(name.clone()))?;
            Ok((name, LessSafeKey::new(key)))
        };
        let all: HashMap<_, _> = keys.into_iter().map(key).collect::<Result<_, Error>>()?;
        if !all.contains_key(current) {
            return Err(Error::Unknown(current.to_owned()));
        }
        let keys = Keys {
            current: current.to_owned(),
            all,
            random: SystemRandom::new(),
        };
        Ok(Self { keys: Arc::new(keys) })
    }

    /// The files of a directory, such as a mounted Secret: the name of each is that of a key.
    pub(crate) fn from_directory(current: &str, directory: &Path) -> Result<Self, Error> {
        let read = || {
            let mut keys = Vec::new();
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                // A mounted Secret has directories of its own beside the keys.
                if path.is_file()
                    && let Some(name) = path.file_name().and_then(|name| name.to_str())
                {
                    keys.push((name.to_owned(), std::fs::read(&path)?));
                }
            }
            Ok(keys)
        };
        let keys = read().map_err(|error| Error::Read(directory.display().to_string(), error))?;
        Self::new(current, keys)
    }
}

impl Keys {
    fn encrypt(&self, payload: &Payload) -> Result<Payload, Error> {
        let key = self
            .all
            .get(&self.current)
            .ok_or_else(|| Error::Unknown(self.current.clone()))?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| Error::Encrypt)?;
        let mut sealed = payload.encode_to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::Encrypt)?;
        let metadata = [
            (ENCODING.to_owned(), ENCRYPTED.to_vec()),
            (KEY_ID.to_owned(), self.current.clone().into_bytes()),
        ];
        Ok(Payload {
            metadata: metadata.into(),
            data: [nonce.as_slice(), &sealed].concat(),
            ..Payload::default()
        })
    }

    /// What is not encrypted passes: workflows that began before encryption was turned on go on.
    fn decrypt(&self, payload: Payload) -> Result<Payload, Error> {
        if payload.metadata.get(ENCODING).map(Vec::as_slice) != Some(ENCRYPTED) {
            return Ok(payload);
        }
        let name = payload.metadata.get(KEY_ID).cloned().unwrap_or_default();
        let name = String::from_utf8_lossy(&name).into_owned();
        let key = self.all.get(&name).ok_or_else(|| Error::Unknown(name.clone()))?;
        let forged = || Error::Forged(name.clone());
        let (nonce, sealed) = payload.data.split_at_checked(NONCE_LEN).ok_or_else(forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| forged())?;
        let mut sealed = sealed.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::empty(), &mut sealed)
            .map_err(|_| forged())?;
        Payload::decode(&*plain).map_err(Error::Content)
    }
}

fn result(payloads: Result<Vec<Payload>, Error>) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
    ready(payloads.map_err(|error| PayloadConversionError::EncodingError(Box::new(error)))).boxed()
}

impl PayloadCodec for Encryption {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        result(payloads.iter().map(|payload| self.keys.encrypt(payload)).collect())
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        result(payloads.into_iter().map(|payload| self.keys.decrypt(payload)).collect())
    }
}
