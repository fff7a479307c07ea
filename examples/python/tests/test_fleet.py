"""`python -m unittest` in the folder above, with the packages of requirements.txt."""

import os
import unittest
from datetime import timedelta

from app.fleet import client_arguments, runtime_arguments, worker_arguments
from temporalio.common import VersioningBehavior
from temporalio.service import TLSConfig
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum

POD = {"POD_NAME": "data-7d9", "POD_NAMESPACE": "shop", "POD_UID": "2b2c"}


class Client(unittest.TestCase):
    def test_without_any_variable_it_is_a_development_server(self):
        self.assertEqual(client_arguments({}), {"target_host": "localhost:7233"})

    def test_the_environment_of_a_process_will_do(self):
        self.assertIn("target_host", client_arguments(os.environ))

    def test_address_namespace_and_identity_of_the_pod(self):
        env = POD | {"TEMPORAL_ADDRESS": "temporal:7233", "TEMPORAL_NAMESPACE": "orders"}
        self.assertEqual(
            client_arguments(env),
            {"target_host": "temporal:7233", "namespace": "orders", "identity": "data-7d9/shop/2b2c"},
        )

    def test_a_prefix_stands_before_the_identity(self):
        env = POD | {"TEMPORAL_FLEET_IDENTITY_PREFIX": "green"}
        self.assertEqual(client_arguments(env)["identity"], "green/data-7d9/shop/2b2c")

    def test_an_api_key_turns_tls_on(self):
        arguments = client_arguments({"TEMPORAL_API_KEY": "key", "TEMPORAL_ADDRESS": "eu.tmprl.cloud:7233"})
        self.assertEqual((arguments["api_key"], arguments["tls"]), ("key", True))

    def test_certificates_are_read_from_their_files(self):
        env = {"TEMPORAL_TLS": "true", "TEMPORAL_TLS_SERVER_NAME": "temporal", "TEMPORAL_TLS_SERVER_CA_CERT_PATH": __file__}
        tls = client_arguments(env)["tls"]
        self.assertIsInstance(tls, TLSConfig)
        self.assertEqual(tls.domain, "temporal")
        with open(__file__, "rb") as file:
            self.assertEqual(tls.server_root_ca_cert, file.read())


class Runtime(unittest.TestCase):
    def test_metrics_are_served_where_the_fleet_says(self):
        arguments = runtime_arguments({"TEMPORAL_FLEET_METRICS_PORT": "9464"})
        metrics = arguments["telemetry"].metrics
        self.assertEqual(metrics.bind_address, "0.0.0.0:9464")
        buckets = metrics.histogram_bucket_overrides["activity_schedule_to_start_latency"]
        self.assertEqual((buckets[0], buckets[-1]), (1.0, 300_000.0))
        self.assertEqual(buckets, sorted(buckets))

    def test_two_workers_on_a_laptop_do_not_fight_over_a_port(self):
        self.assertIsNone(runtime_arguments({})["telemetry"].metrics)

    def test_heartbeats_come_often_enough_to_decide_by(self):
        self.assertEqual(runtime_arguments({})["worker_heartbeat_interval"], timedelta(seconds=15))


class Worker(unittest.TestCase):
    def test_without_any_variable_it_has_the_defaults_of_a_fleet(self):
        self.assertEqual(
            worker_arguments({}, "mine"),
            {
                "task_queue": "mine",
                "max_concurrent_activities": 100,
                "max_concurrent_workflow_tasks": 100,
                "max_concurrent_local_activities": 100,
                "max_cached_workflows": 1000,
                "graceful_shutdown_timeout": timedelta(seconds=60),
            },
        )

    def test_queue_and_limits_of_the_fleet(self):
        arguments = worker_arguments(
            {
                "TEMPORAL_TASK_QUEUE": "orders",
                "TEMPORAL_FLEET_TASK_QUEUES": '[{"name":"orders","types":["Workflow","Activity"]}]',
                "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES": "4",
                "TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS": "5",
                "TEMPORAL_FLEET_MAX_CONCURRENT_LOCAL_ACTIVITIES": "6",
                "TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS": "0",
                "TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND": "0.5",
                "TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS": "40",
            },
            "mine",
        )
        self.assertEqual(arguments["task_queue"], "orders")
        limits = [arguments[f"max_concurrent_{kind}"] for kind in ("activities", "workflow_tasks", "local_activities")]
        self.assertEqual(limits, [4, 5, 6])
        self.assertEqual(arguments["max_cached_workflows"], 0)
        self.assertEqual(arguments["max_activities_per_second"], 0.5)
        self.assertNotIn("max_task_queue_activities_per_second", arguments)
        self.assertEqual(arguments["graceful_shutdown_timeout"], timedelta(seconds=40))

    def test_cancelling_at_once_can_be_asked_for(self):
        arguments = worker_arguments({"TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS": "0"}, "mine")
        self.assertEqual(arguments["graceful_shutdown_timeout"], timedelta(0))

    def test_pollers(self):
        arguments = worker_arguments(
            {
                "TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS": '{"simpleMaximum":3}',
                "TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS": '{"autoscaling":{"minimum":2,"maximum":9,"initial":4}}',
            },
            "mine",
        )
        self.assertEqual(arguments["workflow_task_poller_behavior"], PollerBehaviorSimpleMaximum(maximum=3))
        self.assertEqual(
            arguments["activity_task_poller_behavior"], PollerBehaviorAutoscaling(minimum=2, maximum=9, initial=4)
        )

    def test_a_version_needs_both_of_its_names(self):
        self.assertNotIn("deployment_config", worker_arguments({"TEMPORAL_WORKER_BUILD_ID": "v7"}, "mine"))
        env = {"TEMPORAL_DEPLOYMENT_NAME": "shop/orders", "TEMPORAL_WORKER_BUILD_ID": "v7"}
        config = worker_arguments(env, "mine")["deployment_config"]
        self.assertEqual((config.version.deployment_name, config.version.build_id), ("shop/orders", "v7"))
        self.assertTrue(config.use_worker_versioning)
        self.assertEqual(config.default_versioning_behavior, VersioningBehavior.PINNED)

    def test_a_second_queue_is_refused_rather_than_forgotten(self):
        with self.assertRaisesRegex(ValueError, "one queue"):
            worker_arguments({"TEMPORAL_FLEET_TASK_QUEUES": '[{"name":"a"},{"name":"b"}]'}, "mine")


if __name__ == "__main__":
    unittest.main()
