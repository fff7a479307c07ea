"""From the environment that Temporal Fleet gives each pod to arguments of the SDK. Without it: a development server here."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, TelemetryConfig
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum, WorkerDeploymentConfig

BUCKETS = [float(n) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 12e4, 3e5)]  # ms


def client_arguments(env: Mapping[str, str]) -> dict[str, Any]:
    """For `Client.connect`: address, credentials, and the identity by which the operator finds the pod of a poller."""
    arguments: dict[str, Any] = {"target_host": "localhost:7233"}
    arguments |= ClientConfig.load_client_connect_config(override_env_vars=dict(env))
    if "POD_NAME" in env:
        parts = [env.get("TEMPORAL_FLEET_IDENTITY_PREFIX"), env["POD_NAME"], env["POD_NAMESPACE"], env["POD_UID"]]
        arguments["identity"] = "/".join(part for part in parts if part)
    return arguments


def runtime_arguments(env: Mapping[str, str]) -> dict[str, Any]:
    """For `Runtime`: slots and latencies on the metrics port, and heartbeats often enough to decide by."""
    port, metrics = env.get("TEMPORAL_FLEET_METRICS_PORT"), None
    if port:
        names = ["activity_schedule_to_start_latency", "workflow_task_schedule_to_start_latency"]
        metrics = PrometheusConfig(f"0.0.0.0:{port}", histogram_bucket_overrides=dict.fromkeys(names, BUCKETS))
    return {"telemetry": TelemetryConfig(metrics=metrics), "worker_heartbeat_interval": timedelta(seconds=15)}


def worker_arguments(env: Mapping[str, str], default_queue: str) -> dict[str, Any]:
    """For `Worker`: queue, limits, the time that running tasks get at the end, and the version if the fleet has some."""
    queues = {queue["name"] for queue in json.loads(env.get("TEMPORAL_FLEET_TASK_QUEUES") or "[]")}
    if len(queues) > 1:
        raise ValueError(f"TEMPORAL_FLEET_TASK_QUEUES: this worker serves one queue, not {sorted(queues)}")
    arguments: dict[str, Any] = {"task_queue": env.get("TEMPORAL_TASK_QUEUE") or default_queue}
    for name in ("activities", "workflow_tasks", "local_activities"):
        arguments[f"max_concurrent_{name}"] = int(env.get(f"TEMPORAL_FLEET_MAX_CONCURRENT_{name.upper()}") or 100)
    for name in ("max_activities_per_second", "max_task_queue_activities_per_second"):
        if rate := env.get(f"TEMPORAL_FLEET_{name.upper()}"):
            arguments[name] = float(rate)
    arguments["max_cached_workflows"] = int(env.get("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS") or 1000)
    for name in ("workflow_task", "activity_task"):
        if pollers := env.get(f"TEMPORAL_FLEET_{name.upper()}_POLLERS"):
            arguments[f"{name}_poller_behavior"] = _pollers(json.loads(pollers))
    seconds = int(env.get("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS") or 60)  # the SDK's own default is 0: cancel at once
    arguments["graceful_shutdown_timeout"] = timedelta(seconds=seconds)
    deployment, build = env.get("TEMPORAL_DEPLOYMENT_NAME"), env.get("TEMPORAL_WORKER_BUILD_ID")
    if deployment and build:
        arguments["deployment_config"] = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(deployment_name=deployment, build_id=build),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
    return arguments


def _pollers(value: dict[str, Any]) -> PollerBehaviorSimpleMaximum | PollerBehaviorAutoscaling:
    if "simpleMaximum" in value:
        return PollerBehaviorSimpleMaximum(maximum=value["simpleMaximum"])
    return PollerBehaviorAutoscaling(**value["autoscaling"])
