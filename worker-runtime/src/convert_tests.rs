//! The table of encodings in `docs/worker/data.md`: what each kind of value is written as, and that it is read back.

use std::{collections::BTreeSet, fmt};

use serde::Deserialize;
use temporalio_common::data_converters::{GenericPayloadConverter, MultiArgs2, ProstSerializable, RawValue};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    number: String,
    lines: Vec<u32>,
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
enum Level {
    High = 3,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            3 => Ok(Self::High),
            _ => Err(format!("{number} is no level")),
        }
    }
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parcel {
    #[prost(string, tag = "1")]
    tracking_code: String,
    #[prost(uint32, tag = "2")]
    grams: u32,
}

impl Name for Parcel {
    const NAME: &'static str = "Parcel";
    const PACKAGE: &'static str = "shop.v1";
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
struct Other {}

impl Name for Other {
    const NAME: &'static str = "Other";
    const PACKAGE: &'static str = "shop.v1";
}

fn write<T: TemporalSerializable + 'static>(value: &T) -> Vec<Payload> {
    let converter = PayloadConverter::default();
    let context = SerializationContext::new(&SerializationContextData::None, &converter);
    converter.to_payloads(&context, value).expect("written")
}

fn read<T: TemporalDeserializable + 'static>(payloads: Vec<Payload>) -> Result<T, PayloadConversionError> {
    let converter = PayloadConverter::default();
    converter.from_payloads(
        &SerializationContext::new(&SerializationContextData::None, &converter),
        payloads,
    )
}

fn payload(encoding: &str, data: &[u8]) -> Payload {
    Payload {
        metadata: [(ENCODING.to_owned(), encoding.as_bytes().to_vec())].into(),
        data: data.to_vec(),
        ..Payload::default()
    }
}

/// Checks encoding and content of what is written, and that it is read back.
fn row<T>(value: &T, encoding: &str, data: &str)
where
    T: TemporalSerializable + TemporalDeserializable + PartialEq + fmt::Debug + 'static,
{
    let converter = PayloadConverter::default();
    let context = SerializationContext::new(&SerializationContextData::None, &converter);
    let payload = converter.to_payload(&context, value).expect("written");
    assert_eq!(payload.metadata[ENCODING], encoding.as_bytes(), "{value:?}");
    assert_eq!(String::from_utf8_lossy(&payload.data), data, "{value:?}");
    assert_eq!(&converter.from_payload::<T>(&context, payload).expect("read"), value);
}

#[test]
fn every_kind_of_value_is_written_as_the_table_says_and_read_back() {
    row(&(), "binary/null", "");
    row(&None::<String>, "binary/null", "");
    row(&Some("x".to_owned()), "json/plain", r#""x""#);
    row(&b"bytes".to_vec(), "binary/plain", "bytes");
    row(&"text".to_owned(), "json/plain", r#""text""#);
    row(&true, "json/plain", "true");
    row(&-5_i64, "json/plain", "-5");
    row(&0.5_f64, "json/plain", "0.5");
    row(&vec![1_u32, 2], "json/plain", "[1,2]");
    row(&BTreeSet::from(["a".to_owned()]), "json/plain", r#"["a"]"#);
    row(&("a".to_owned(), 1_u8), "json/plain", r#"["a",1]"#);
    let order = Order {
        number: "7".to_owned(),
        lines: vec![1],
        note: None,
    };
    row(&order, "json/plain", r#"{"number":"7","lines":[1],"note":null}"#);
    row(&Colour::Red, "json/plain", r#""red""#);
    row(&Level::High, "json/plain", "3");
    let noon: jiff::Timestamp = "2026-01-02T12:00:00Z".parse().expect("a time");
    row(&noon, "json/plain", r#""2026-01-02T12:00:00Z""#);
}

#[test]
fn no_argument_is_no_payload() {
    assert!(write(&()).is_empty());
    read::<()>(Vec::new()).expect("read");
}

#[test]
fn several_arguments_are_several_payloads() {
    let arguments = MultiArgs2("a".to_owned(), 2_u32);
    let payloads = write(&arguments);
    assert_eq!(payloads.len(), 2);
    assert_eq!(read::<MultiArgs2<String, u32>>(payloads).expect("read"), arguments);
}

#[test]
fn raw_payloads_pass_unchanged() {
    let raw = vec![payload("own/thing", b"1"), payload("json/plain", b"2")];
    assert_eq!(read::<RawValue>(raw.clone()).expect("read").payloads, raw);
    assert_eq!(write(&RawValue::new(raw.clone())), raw);
}

#[test]
fn a_message_is_written_as_json_with_its_type_and_read_from_both_forms() {
    let parcel = Parcel {
        tracking_code: "T1".to_owned(),
        grams: 250,
    };
    let written = write(&ProtoJson(parcel.clone()));
    assert_eq!(written[0].metadata[ENCODING], JSON);
    assert_eq!(written[0].metadata[MESSAGE_TYPE], b"shop.v1.Parcel");
    assert_eq!(written[0].data, br#"{"trackingCode":"T1","grams":250}"#);
    assert_eq!(read::<ProtoJson<Parcel>>(written).expect("JSON").0, parcel);
    let binary = write(&ProstSerializable(parcel.clone()));
    assert_eq!(binary[0].metadata[ENCODING], BINARY);
    assert_eq!(read::<ProtoJson<Parcel>>(binary).expect("binary").0, parcel);
}

#[test]
fn a_message_is_not_taken_for_another() {
    let error = read::<ProtoJson<Other>>(write(&ProtoJson(Parcel::default()))).expect_err("another message");
    assert!(
        error.to_string().contains("shop.v1.Parcel, not shop.v1.Other"),
        "{error}"
    );
    assert!(read::<ProtoJson<Parcel>>(vec![payload("json/plain", b"{}")]).is_err());
    assert!(read::<ProtoJson<Parcel>>(vec![payload("json/protobuf", b"{")]).is_err());
}

#[test]
fn a_part_beside_a_whole_converter_is_a_contradiction() {
    let mut conversion = Conversion {
        whole: Some(DataConverter::default()),
        ..Conversion::default()
    };
    assert!(!conversion.is_contradictory());
    conversion.codec = Some(Box::new(DefaultPayloadCodec));
    assert!(conversion.is_contradictory());
}
