//! Values and how they travel.

use crate::{Row, row};

const BOTH_WAYS: &[&str] = &[
    "tests/server/interop.rs::python_runs_the_activities_of_our_workflow",
    "tests/server/interop.rs::we_run_the_activities_of_a_python_workflow",
];

pub(crate) const DATA: &[Row] = &[
    row("nothing", "`None`", "`()`, `Option::None`", BOTH_WAYS),
    row("bytes", "`bytes`", "`Vec<u8>`", BOTH_WAYS),
    row(
        "protobuf messages",
        "`google.protobuf.message.Message`",
        "`ProtoJson<T>`",
        BOTH_WAYS,
    ),
    row("records", "dataclass", "struct with `serde`", BOTH_WAYS),
    row(
        "Pydantic models",
        "`pydantic_data_converter`",
        "struct with `serde`; the JSON is that of a dataclass, Pydantic itself is not part of the tests",
        BOTH_WAYS,
    ),
    row("iterables", "`list`, `set`", "`Vec`, sets, tuples", BOTH_WAYS),
    row(
        "`IntEnum`, `StrEnum`",
        "enumerations",
        "enumerations with `serde`, as number or text",
        BOTH_WAYS,
    ),
    row(
        "UUID",
        "`uuid.UUID`",
        "hyphenated text, as `uuid::Uuid` writes it; the tests use the text",
        BOTH_WAYS,
    ),
    row(
        "not date, time, datetime",
        "RFC 3339 text",
        "RFC 3339 text, as `jiff::Timestamp` writes it",
        BOTH_WAYS,
    ),
    row(
        "text, numbers, several arguments",
        "as they are",
        "as they are",
        BOTH_WAYS,
    ),
    row(
        "how each is written",
        "default data converter",
        "the same encodings, see [data](data.md)",
        &[
            "tests/server/values.rs::every_kind_of_value_goes_through_a_server_and_back",
            "src/convert_tests.rs::every_kind_of_value_is_written_as_the_table_says_and_read_back",
            "src/convert_tests.rs::a_message_is_written_as_json_with_its_type_and_read_from_both_forms",
        ],
    ),
    row(
        "custom payload converters",
        "`CompositePayloadConverter`",
        "a wrapper type with `TemporalSerializable`, or one `serde` format for all. **Gap:** an own list of converters",
        &["src/convert_tests.rs::raw_payloads_pass_unchanged"],
    ),
    row(
        "encryption",
        "`PayloadCodec`",
        "`.codec(…)`, `.encode_failures()`",
        &[
            "tests/server/data.rs::the_server_sees_nothing_readable_and_a_wrong_key_fails_the_task_and_not_the_process",
            "tests/wire/encryption.rs::nothing_readable_leaves_the_worker_and_old_keys_are_still_read",
        ],
    ),
    row(
        "values beyond the server's limits",
        "the task fails",
        "the same; the worker goes on",
        &[
            "tests/server/data.rs::what_an_activity_sends_beyond_the_servers_limits_fails_it_and_harms_no_other",
            "tests/server/data.rs::what_a_workflow_sends_beyond_them_fails_its_task_and_harms_no_other",
        ],
    ),
    row(
        "both languages in one conversation",
        "`examples/python`",
        "`examples/data_processing.rs`: same names, same values",
        &[
            "tests/server/interop.rs::a_python_client_talks_with_our_worker",
            "tests/server/interop.rs::our_client_talks_with_a_python_worker",
        ],
    ),
];
