//! How a worker reaches Temporal.

use crate::{Row, row};

pub(crate) const CONNECTING: &[Row] = &[
    row(
        "connect to an address, with a Temporal namespace",
        "`Client.connect(address, namespace=…)`",
        "`FleetWorker::from_env()`: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/server/outage.rs::a_temporal_namespace_that_does_not_exist_is_named",
        ],
    ),
    row(
        "local development server",
        "`localhost:7233`",
        "the same, when no variable is set",
        &["src/settings_tests.rs::without_variables_a_worker_serves_a_development_server"],
    ),
    row(
        "profiles in a configuration file",
        "`ClientConfig.load_client_connect_config()`",
        "the same file: `TEMPORAL_CONFIG_FILE`, `TEMPORAL_PROFILE`; variables win",
        &[
            "src/settings_tests.rs::a_profile_of_the_configuration_file_is_used_and_variables_win",
            "tests/server/outage.rs::a_worker_is_led_to_its_server_by_a_profile",
        ],
    ),
    row(
        "a client need not be closed",
        "no `close()`",
        "dropped with the worker",
        &["tests/wire/worker.rs::running_tasks_finish_and_late_ones_are_handed_back"],
    ),
    row(
        "a server that is not there yet",
        "`connect` raises",
        "tries for ever, not ready meanwhile, and says why",
        &["tests/server/outage.rs::a_worker_waits_for_a_server_that_is_not_there_yet"],
    ),
    row(
        "a server that goes away",
        "polls are tried again",
        "the same; results that are at hand are kept until it is back",
        &["tests/server/outage.rs::a_server_that_is_killed_and_comes_back_costs_no_task"],
    ),
    row(
        "Temporal Cloud: client certificate",
        "`tls=TLSConfig(client_cert=…, client_private_key=…)`",
        "`TEMPORAL_TLS_CLIENT_CERT_PATH`, `TEMPORAL_TLS_CLIENT_KEY_PATH`",
        &[
            "tests/server/tls.rs::who_is_refused_says_why_in_words",
            "tests/server/tls.rs::a_certificate_is_replaced_while_tasks_run_and_the_old_one_is_needed_no_more",
        ],
    ),
    row(
        "Temporal Cloud: API key",
        "`api_key=…`",
        "`TEMPORAL_FLEET_API_KEY_FILE` or `TEMPORAL_API_KEY`; never without TLS",
        &[
            "tests/server/api_key.rs::an_api_key_is_demanded_replaced_and_revoked_while_tasks_run",
            "src/settings_tests.rs::an_api_key_never_travels_in_the_clear_nor_into_a_message",
        ],
    ),
    row(
        "self-hosted: own address, own authority",
        "`TLSConfig(server_root_ca_cert=…, domain=…)`",
        "`TEMPORAL_TLS_SERVER_CA_CERT_PATH`, `TEMPORAL_TLS_SERVER_NAME`, `TEMPORAL_GRPC_META_*`",
        &[
            "tests/server/tls.rs::who_is_refused_says_why_in_words",
            "src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets",
        ],
    ),
    row(
        "new credentials without a restart",
        "a new worker",
        "files are watched; a new certificate, authority or key is taken into use once it works",
        &[
            "tests/server/tls.rs::a_certificate_is_replaced_while_tasks_run_and_the_old_one_is_needed_no_more",
            "tests/server/api_key.rs::an_api_key_is_demanded_replaced_and_revoked_while_tasks_run",
            "tests/wire/worker.rs::a_new_api_key_is_used_without_a_restart_and_a_bad_file_changes_nothing",
        ],
    ),
    row(
        "credentials that are good no more, while tasks run",
        "the worker ends",
        "it waits for new ones: with a certificate no result is lost, with a revoked key those that are refused cost an attempt",
        &[
            "tests/server/tls.rs::a_certificate_that_is_good_no_more_costs_no_result_until_the_next_one_is_there",
            "tests/server/api_key.rs::a_result_that_is_refused_with_a_revoked_key_costs_an_attempt_and_not_the_activity",
        ],
    ),
    row(
        "settings that cannot work or would do nothing",
        "ignored, or an exception",
        "refused at the start, all mistakes together, exit code 1",
        &[
            "src/settings_tests.rs::all_mistakes_are_reported_together_with_what_is_allowed",
            "src/settings_tests.rs::each_variable_is_refused_by_its_name_with_what_is_allowed",
            "src/settings_tests.rs::no_scheme_of_the_address_undoes_tls",
            "tests/wire/start.rs::an_environment_that_cannot_be_used_is_explained_and_ends_with_exit_code_1",
        ],
    ),
];
