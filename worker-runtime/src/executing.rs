//! Which workflow's code runs on a thread at this moment, so that a thread that is stuck can say in whose code, and so that what the
//! code logs says whose it is.
//!
//! The SDK runs all workflow code through interceptors, one set per workflow in memory. Ours notes the run while its code runs, and keeps
//! the log silent while history is replayed: it was written when that happened. The result, the order and the commands of a workflow
//! are as without it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use temporalio_sdk::{
    WorkflowContextView,
    workflow_interceptors::{
        ExecuteWorkflowInput, ExecuteWorkflowResult, HandleQueryInput, HandleQueryResult, HandleSignalInput,
        HandleSignalResult, HandleUpdateInput, HandleUpdateResult, InitializeWorkflowInput, InitializeWorkflowOutput,
        SyncWorkflowInterceptorContext, ValidateUpdateInput, ValidateUpdateResult, WorkflowInterceptor,
        WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowInterceptorFuture, WorkflowNext,
    },
};

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) workflow_type: Arc<str>,
    pub(crate) run_id: Arc<str>,
}

/// The run whose code a thread executes; none between the pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Executing(Arc<Mutex<Option<Run>>>);

impl Executing {
    /// The run whose code runs now.
    pub(crate) fn now(&self) -> Option<Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes from now on which workflow's code runs, for those who are made with this.
    pub(crate) fn interceptor(&self) -> WorkflowInterceptorConstructor {
        let executing = self.clone();
        WorkflowInterceptorConstructor::new(move |view: &WorkflowContextView| Notes {
            executing: executing.clone(),
            run: Run {
                workflow_type: view.workflow_type().into(),
                run_id: view.run_id().into(),
            },
            span: tracing::info_span!(
                "workflow",
                workflow_type = view.workflow_type(),
                workflow_id = view.workflow_id(),
                run_id = view.run_id(),
            ),
        })
    }

    fn set(&self, run: Option<Run>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }
}

/// The interceptor of one run.
struct Notes {
    executing: Executing,
    run: Run,
    span: tracing::Span,
}

/// Clears the note when a piece of workflow code returns, or panics.
struct Piece<'a>(&'a Executing);

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Notes {
    fn piece<T>(&self, replaying: bool, code: impl FnOnce() -> T) -> T {
        self.executing.set(Some(self.run.clone()));
        let _piece = Piece(&self.executing);
        if replaying {
            tracing::dispatcher::with_default(&tracing::Dispatch::none(), code)
        } else {
            self.span.in_scope(code)
        }
    }

    /// Each poll of an asynchronous handler is a piece.
    fn pieces<'a, T: 'a>(
        &'a self,
        context: WorkflowInterceptorContext,
        start: impl FnOnce() -> WorkflowInterceptorFuture<'a, T> + 'a,
    ) -> WorkflowInterceptorFuture<'a, T> {
        WorkflowInterceptorFuture::new(async move {
            let mut handler = self.piece(context.is_replaying_history_events(), start);
            poll_fn(|cx| self.piece(context.is_replaying_history_events(), || handler.poll_unpin(cx))).await
        })
    }
}

impl WorkflowInterceptor for Notes {
    fn initialize_workflow(
        &self,
        _: WorkflowContextView,
        input: InitializeWorkflowInput,
        next: WorkflowNext<'_, InitializeWorkflowInput, InitializeWorkflowOutput>,
    ) -> InitializeWorkflowOutput {
        // The SDK does not tell here whether history is replayed.
        self.piece(false, || next.run(input))
    }

    fn execute<'a>(
        &'a self,
        context: WorkflowInterceptorContext,
        input: ExecuteWorkflowInput,
        next: WorkflowNext<'a, ExecuteWorkflowInput, WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>>,
    ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
        self.pieces(context, || next.run(input))
    }

    fn handle_signal<'a>(
        &'a self,
        context: WorkflowInterceptorContext,
        input: HandleSignalInput,
        next: WorkflowNext<'a, HandleSignalInput, WorkflowInterceptorFuture<'a, HandleSignalResult>>,
    ) -> WorkflowInterceptorFuture<'a, HandleSignalResult> {
        self.pieces(context, || next.run(input))
    }

    fn handle_update<'a>(
        &'a self,
        context: WorkflowInterceptorContext,
        input: HandleUpdateInput,
        next: WorkflowNext<'a, HandleUpdateInput, WorkflowInterceptorFuture<'a, HandleUpdateResult>>,
    ) -> WorkflowInterceptorFuture<'a, HandleUpdateResult> {
        self.pieces(context, || next.run(input))
    }

    fn handle_query(
        &self,
        context: SyncWorkflowInterceptorContext,
        input: HandleQueryInput,
        next: WorkflowNext<'_, HandleQueryInput, HandleQueryResult>,
    ) -> HandleQueryResult {
        self.piece(context.is_replaying_history_events(), || next.run(input))
    }

    fn validate_update(
        &self,
        context: SyncWorkflowInterceptorContext,
        input: ValidateUpdateInput,
        next: WorkflowNext<'_, ValidateUpdateInput, ValidateUpdateResult>,
    ) -> ValidateUpdateResult {
        self.piece(context.is_replaying_history_events(), || next.run(input))
    }
}
