"""The activities of the guide. A plain function runs on the executor of `worker.py`, an async one on the event loop."""

import asyncio
import random
import time

from temporalio import activity
from temporalio.exceptions import CancelledError


@activity.defn
def process_data_activity(data: str) -> str:
    """A synchronous activity that simulates data processing."""
    activity.logger.info(f"Processing data: {data}")
    # Simulate a blocking I/O or CPU-intensive task
    time.sleep(random.uniform(1, 3))
    processed_data = data.upper() + "-PROCESSED"
    activity.logger.info(f"Finished processing. Result: {processed_data}")
    return processed_data


@activity.defn
async def fetch_external_resource(url: str) -> str:
    """An asynchronous activity that simulates fetching an external resource."""
    activity.logger.info(f"Fetching resource from: {url}")
    # Simulate an async network call
    await asyncio.sleep(1)
    return f"Content from {url}"


@activity.defn
def long_running_activity(task_id: str) -> str:
    """A long-running activity that heartbeats and handles cancellation."""
    for i in range(10):
        try:
            activity.logger.info(f"Long-running task {task_id}: step {i + 1}/10")
            time.sleep(2)  # Simulate work
            activity.heartbeat(f"Progress: {i + 1}/10")  # Report progress
        except CancelledError:
            activity.logger.warning(f"Long-running task {task_id} cancelled at step {i + 1}")
            raise  # Re-raise to propagate cancellation
    return f"Long-running task {task_id} completed."


ALL = [process_data_activity, fetch_external_resource, long_running_activity]
