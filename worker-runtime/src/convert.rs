//! How values become payloads: the parts of the SDK's data converter, and protobuf messages as other SDKs write them.

use prost::Name;
use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::{
    data_converters::{
        DataConverter, DefaultFailureConverter, DefaultPayloadCodec, FailureConverter, PayloadCodec,
        PayloadConversionError, PayloadConverter, SerializationContext, SerializationContextData,
        TemporalDeserializable, TemporalSerializable,
    },
    error::{IncomingError, OutgoingError},
    protos::temporal::api::{common::v1::Payload, failure::v1::Failure},
};

const ENCODING: &str = "encoding";
const MESSAGE_TYPE: &str = "messageType";
const JSON: &[u8] = b"json/protobuf";
const BINARY: &[u8] = b"binary/protobuf";

/// A protobuf message as input or output, readable by every SDK.
///
/// Written as `json/protobuf` with the message's type, which is what Python needs to read it and writes itself. Reads that, and
/// `binary/protobuf`. The message needs the canonical JSON mapping, which `pbjson` generates, and its name (`prost::Name`, generated with
/// `enable_type_names`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProtoJson<T>(pub T);

impl<T: Name + Serialize + 'static> TemporalSerializable for ProtoJson<T> {
    fn to_payload(&self, _: &SerializationContext<'_>) -> Result<Payload, PayloadConversionError> {
        Ok(Payload {
            metadata: [
                (ENCODING.to_owned(), JSON.to_vec()),
                (MESSAGE_TYPE.to_owned(), T::full_name().into_bytes()),
            ]
            .into(),
            data: serde_json::to_vec(&self.0).map_err(refuse)?,
            ..Payload::default()
        })
    }
}

impl<T: Name + Default + DeserializeOwned + 'static> TemporalDeserializable for ProtoJson<T> {
    fn from_payload(_: &SerializationContext<'_>, payload: Payload) -> Result<Self, PayloadConversionError> {
        // All fields of a message are optional: another message would be read as an empty one.
        if let Some(name) = payload.metadata.get(MESSAGE_TYPE)
            && name.as_slice() != T::full_name().as_bytes()
        {
            let name = String::from_utf8_lossy(name);
            let text = format!("the payload holds a message {name}, not {}", T::full_name());
            return Err(PayloadConversionError::EncodingError(text.into()));
        }
        match payload.metadata.get(ENCODING).map(Vec::as_slice) {
            Some(JSON) => serde_json::from_slice(&payload.data).map(Self).map_err(refuse),
            Some(BINARY) => T::decode(payload.data.as_slice()).map(Self).map_err(refuse),
            _ => Err(PayloadConversionError::WrongEncoding),
        }
    }
}

fn refuse(error: impl std::error::Error + Send + Sync + 'static) -> PayloadConversionError {
    PayloadConversionError::EncodingError(Box::new(error))
}

/// The parts of a data converter that a worker's author chose.
#[derive(Default)]
pub(crate) struct Conversion {
    pub(crate) whole: Option<DataConverter>,
    pub(crate) payload: Option<PayloadConverter>,
    pub(crate) failure: Option<Box<dyn FailureConverter + Send + Sync>>,
    pub(crate) codec: Option<Box<dyn PayloadCodec + Send + Sync>>,
}

impl Conversion {
    /// Whether a whole converter and a part of one were chosen: one of them would be without effect.
    pub(crate) const fn is_contradictory(&self) -> bool {
        self.whole.is_some() && (self.payload.is_some() || self.failure.is_some() || self.codec.is_some())
    }

    /// The converter for all Workers and clients.
    pub(crate) fn converter(self) -> DataConverter {
        let Self {
            whole,
            payload,
            failure,
            codec,
        } = self;
        whole.unwrap_or_else(|| {
            DataConverter::new(
                payload.unwrap_or_default(),
                Boxed(failure.unwrap_or_else(|| Box::new(DefaultFailureConverter::default()))),
                Boxed(codec.unwrap_or_else(|| Box::new(DefaultPayloadCodec))),
            )
        })
    }
}

/// The SDK takes values, not trait objects.
struct Boxed<T: ?Sized>(Box<T>);

impl FailureConverter for Boxed<dyn FailureConverter + Send + Sync> {
    fn to_failure(
        &self,
        error: OutgoingError,
        converter: &PayloadConverter,
        context: &SerializationContextData,
    ) -> Failure {
        self.0.to_failure(error, converter, context)
    }

    fn to_error(
        &self,
        failure: Failure,
        converter: &PayloadConverter,
        context: &SerializationContextData,
    ) -> Result<IncomingError, PayloadConversionError> {
        self.0.to_error(failure, converter, context)
    }
}

impl PayloadCodec for Boxed<dyn PayloadCodec + Send + Sync> {
    fn encode(&self, context: &SerializationContextData, payloads: Vec<Payload>) -> Coded {
        self.0.encode(context, payloads)
    }

    fn decode(&self, context: &SerializationContextData, payloads: Vec<Payload>) -> Coded {
        self.0.decode(context, payloads)
    }
}

type Coded = futures::future::BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>>;

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
