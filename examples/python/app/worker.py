"""The worker: `python -m app.worker`, with `--processes` to run plain activities in processes instead of threads."""

import asyncio
import logging
import multiprocessing
import multiprocessing.managers
import os
import signal
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import SharedStateManager, Worker

from . import activities, fleet, workflows

QUEUE = "my-data-processing-task-queue"
log = logging.getLogger("app.worker")


async def run(processes: bool) -> None:
    """Serves until SIGTERM or SIGINT, then lets running tasks finish for as long as the fleet allows."""
    stop_event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_event.set)
    arguments = fleet.worker_arguments(os.environ, QUEUE)
    # One thread or process for each task that may run: with fewer, tasks would wait inside the pod, where nobody sees them.
    executor, shared = pool(arguments["max_concurrent_activities"], processes)
    runtime = Runtime(**fleet.runtime_arguments(os.environ))
    client = await connect(runtime, stop_event)
    if client is None:
        return
    worker = Worker(
        client,
        workflows=workflows.ALL,
        activities=activities.ALL,
        activity_executor=executor,
        **shared,
        **arguments,
    )
    log.info("Worker started, polling task queue %r...", arguments["task_queue"])
    async with worker:
        await stop_event.wait()
        log.info("Stop event received, initiating worker shutdown.")
    executor.shutdown(wait=True)
    log.info("Worker gracefully shut down.")


def pool(size: int, processes: bool) -> tuple[Executor, dict[str, Any]]:
    """An executor of that size, and what the SDK needs to serve it."""
    if not processes:
        return ThreadPoolExecutor(max_workers=size, thread_name_prefix="activity"), {}
    # Spawned, not forked: the SDK's runtime has threads, which a fork would lose. A terminal sends SIGINT to children too.
    context = multiprocessing.get_context("spawn")
    manager = multiprocessing.managers.SyncManager(ctx=context)
    manager.start(leave_the_end_to_the_parent)
    executor = ProcessPoolExecutor(size, mp_context=context, initializer=leave_the_end_to_the_parent)
    return executor, {"shared_state_manager": SharedStateManager.create_from_multiprocessing(manager)}


def leave_the_end_to_the_parent() -> None:
    """Runs first in every child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def connect(runtime: Runtime, stop_event: asyncio.Event) -> Client | None:
    """Tries until Temporal answers: a worker that exited would be restarted in ever longer intervals."""
    while not stop_event.is_set():
        try:
            return await Client.connect(**fleet.client_arguments(os.environ), runtime=runtime)
        except RuntimeError as error:
            log.warning("Cannot connect to Temporal, trying again: %s", error)
            try:
                await asyncio.wait_for(stop_event.wait(), timeout=2)
            except asyncio.TimeoutError:
                pass
    return None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(run(processes="--processes" in sys.argv[1:]))
