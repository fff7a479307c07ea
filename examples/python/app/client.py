"""A client of the worker: `python -m app.client [text]` starts a workflow, talks to it and prints its result."""

import asyncio
import os
import sys
import uuid

from temporalio.client import Client, WorkflowUpdateFailedError

from . import fleet
from .worker import QUEUE
from .workflows import DataProcessingWorkflow


async def run(text: str) -> None:
    """One workflow from start to result, by each of the ways to talk to it."""
    client = await Client.connect(**fleet.client_arguments(os.environ))
    handle = await client.start_workflow(
        DataProcessingWorkflow.run,
        text,
        id=f"data-processing-{uuid.uuid4()}",
        task_queue=os.environ.get("TEMPORAL_TASK_QUEUE") or QUEUE,
    )
    await handle.signal(DataProcessingWorkflow.update_data, f"{text}, replaced")
    print("update:", await handle.execute_update(DataProcessingWorkflow.append_to_data, ", extended"))
    try:
        await handle.execute_update(DataProcessingWorkflow.append_to_data, "")
    except WorkflowUpdateFailedError as error:
        print("refused:", error.cause)
    print("query:", await handle.query(DataProcessingWorkflow.get_current_data))
    print("result:", await handle.result())


if __name__ == "__main__":
    asyncio.run(run(" ".join(sys.argv[1:]) or "some data"))
