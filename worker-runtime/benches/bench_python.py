"""The Python side of `make bench-runtime`: the worker of examples/python with what worker/seed.rs has, in place of its own activities.

python -c 'import bench_python; bench_python.main()', with examples/python and this folder in PYTHONPATH.
"""

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import asyncio
    import logging

    from app import activities, worker, workflows


@activity.defn(name="process_data_activity")
def process_data(data: str) -> str:
    """The guide's activity without its sleep."""
    return data.upper() + "-PROCESSED"


@activity.defn(name="count_primes_activity")
def count_primes(below: int) -> int:
    """How many primes are below a number, by trial division."""
    count = 0
    for number in range(2, below):
        divisor = 2
        while divisor * divisor <= number and number % divisor != 0:
            divisor += 1
        if divisor * divisor > number:
            count += 1
    return count


@workflow.defn
class ComputeWorkflow:
    """Runs the activity that computes."""

    @workflow.run
    async def run(self, below: int) -> int:
        return await workflow.execute_activity(
            count_primes, below, schedule_to_close_timeout=timedelta(minutes=30)
        )


@workflow.defn
class IdleWorkflow:
    """Holds its text and waits for ever."""

    @workflow.init
    def __init__(self, text: str) -> None:
        self.text = text
        self.done = False

    @workflow.run
    async def run(self, text: str) -> str:
        await workflow.wait_condition(lambda: self.done)
        return self.text

    @workflow.signal
    def end(self) -> None:
        self.done = True


def main() -> None:
    """Serves until it is told to end."""
    # The workflows and activities of the example log each step. Neither side does here.
    logging.basicConfig(level=logging.WARNING)
    activities.ALL[:] = [process_data, count_primes]
    workflows.ALL[:] = [workflows.DataProcessingWorkflow, ComputeWorkflow, IdleWorkflow]
    asyncio.run(worker.run(processes=False))
