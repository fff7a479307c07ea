"""The other side of `interop.rs`: `python -m peer activities|workflows|guide` serves TEMPORAL_TASK_QUEUE until it is killed."""

import asyncio
import os
import sys
import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any, Optional

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from app.workflows import DataProcessingWorkflow


@dataclass
class Order:
    number: str
    lines: list[int]
    note: Optional[str]


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


# name, type, value: the rows of `values.rs`.
TABLE: list[tuple[str, Any, Any]] = [
    ("absent", Optional[str], None),
    ("present", Optional[str], "x"),
    ("bytes", bytes, bytes([0, 255, 10])),
    ("text", str, "gr\u00fc\u00dfe \U0001f980"),
    ("truth", bool, True),
    ("number", int, -9_007_199_254_740_993),
    ("fraction", float, 0.5),
    ("list", list[int], [1, 2, 3]),
    ("set", list[str], ["a", "b"]),
    ("pair", list[Any], ["a", 1]),
    ("record", Order, Order("7", [1, 2], None)),
    ("colour", Colour, Colour.GREEN),
    ("level", Level, Level.HIGH),
    ("unique", uuid.UUID, uuid.UUID("5e8c1b7e-5b8f-4b0e-9a51-0f4b0c5b7a11")),
    ("moment", str, "2026-01-02T12:00:00Z"),
    ("message", WorkflowExecution, WorkflowExecution(workflow_id="w", run_id="r")),
]


def echo(name: str, kind: Any, expected: Any) -> Any:
    """An activity that takes a value of a type, checks it and gives it back."""

    async def run(value: Any) -> Any:
        if value != expected or type(value) is not type(expected):
            raise ValueError(f"{name}: {value!r}, not {expected!r}")
        return value

    run.__annotations__ = {"value": kind, "return": kind}
    return activity.defn(name=f"echo_{name}")(run)


@activity.defn(name="echo_nothing")
async def nothing() -> None:
    return None


@activity.defn(name="echo_several")
async def several(text: str, number: int, data: bytes) -> str:
    return f"{text} {number} {list(data)}"


@workflow.defn(name="Values", sandboxed=False)
class Values:
    @workflow.run
    async def run(self) -> list[str]:
        """Says which values did not come back as they were."""
        wrong = []
        timeout: Any = {"start_to_close_timeout": timedelta(minutes=1)}
        for name, kind, value in TABLE:
            back = await workflow.execute_activity(f"echo_{name}", value, result_type=kind, **timeout)
            if back != value or type(back) is not type(value):
                wrong.append(f"{name}: {back!r}, not {value!r}")
        if (back := await workflow.execute_activity("echo_nothing", **timeout)) is not None:
            wrong.append(f"nothing: {back!r}")
        arguments = ["a", 2, bytes([3, 255])]
        back = await workflow.execute_activity("echo_several", args=arguments, result_type=str, **timeout)
        if back != "a 2 [3, 255]":
            wrong.append(back)
        return wrong


async def main(part: str) -> None:
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    parts: dict[str, Any] = {
        "activities": {"activities": [echo(*row) for row in TABLE] + [nothing, several]},
        "workflows": {"workflows": [Values]},
        "guide": {"workflows": [DataProcessingWorkflow]},
    }
    runner = UnsandboxedWorkflowRunner()
    await Worker(client, task_queue=os.environ["TEMPORAL_TASK_QUEUE"], workflow_runner=runner, **parts[part]).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
