"""The workflow of the guide, and one that runs its long activity."""

from datetime import timedelta

from temporalio import workflow

# Import activities from a separate file
with workflow.unsafe.imports_passed_through():
    from .activities import long_running_activity, process_data_activity


@workflow.defn
class DataProcessingWorkflow:
    """Processes one text; while it runs its data can be read, replaced and extended."""

    @workflow.init
    def __init__(self, initial_data: str) -> None:
        self.current_data = initial_data
        workflow.logger.info(f"Workflow initialized with: {self.current_data}")

    @workflow.run
    async def run(self, input_data: str) -> str:
        workflow.logger.info(f"Starting DataProcessingWorkflow with input: {input_data}")
        # Execute an activity
        processed_result = await workflow.execute_activity(
            process_data_activity,
            input_data,
            schedule_to_close_timeout=timedelta(seconds=30),
        )
        self.current_data = processed_result
        workflow.logger.info(f"Workflow completed. Final data: {self.current_data}")
        return processed_result

    @workflow.signal
    async def update_data(self, new_data: str) -> None:
        self.current_data = new_data
        workflow.logger.info(f"Data updated via signal: {self.current_data}")

    @workflow.query
    def get_current_data(self) -> str:
        return self.current_data

    @workflow.update
    async def append_to_data(self, suffix: str) -> str:
        self.current_data += suffix
        workflow.logger.info(f"Data appended via update: {self.current_data}")
        return self.current_data

    # Validator for the update
    @append_to_data.validator
    def validate(self, suffix: str) -> None:
        if not suffix:
            raise ValueError("Suffix cannot be empty")


@workflow.defn
class LongRunningWorkflow:
    """Runs the long activity, which no other workflow does."""

    @workflow.run
    async def run(self, task_id: str) -> str:
        # A heartbeat every two seconds, so ten without one are a lost worker; waiting for a worker fails nothing.
        return await workflow.execute_activity(
            long_running_activity,
            task_id,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=10),
        )


ALL = [DataProcessingWorkflow, LongRunningWorkflow]
