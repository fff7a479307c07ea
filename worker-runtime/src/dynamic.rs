//! One handler for several workflow or activity types whose names are known when the worker starts, not when it is compiled.
//!
//! The SDK looks handlers up by exact name and asks for the name once, at registration. Here a handler is registered under each name of
//! a list; the name it is being registered under is handed to the SDK through a variable of the thread.

use std::{any::Any, cell::RefCell, fmt, ops, sync::Arc};

use futures::{
    FutureExt,
    future::{BoxFuture, LocalBoxFuture, ready},
};
use temporalio_common::{
    ActivityDefinition, ActivityError, WorkflowDefinition,
    data_converters::{
        GenericPayloadConverter, PayloadConverter, RawValue, SerializationContext, SerializationContextData,
    },
    protos::temporal::api::common::v1::Payloads,
};
use temporalio_sdk::{
    WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityDefinitions, ActivityImplementer, ExecutableActivity},
    workflows::{WorkflowDefinitionDescriptor, WorkflowError, WorkflowImplementation},
};
use temporalio_workflow::{WorkflowTermination, workflow_interceptors::WorkflowOutputValue};

thread_local! {
    /// The name of the registration that is being made.
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes a registration under a name.
pub(crate) fn named<T>(name: &str, register: impl FnOnce() -> T) -> T {
    NAME.replace(name.to_owned());
    register()
}

type Handler = dyn Fn(ActivityContext, RawValue) -> BoxFuture<'static, Result<RawValue, ActivityError>> + Send + Sync;

/// An activity handler and the names it goes by.
pub(crate) struct DynamicActivities {
    names: Vec<String>,
    handler: Box<Handler>,
}

/// An activity type without types of its own.
struct AnyActivity(String);

impl DynamicActivities {
    pub(crate) fn new<F>(
        names: Vec<String>,
        handler: impl Fn(ActivityContext, RawValue) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<RawValue, ActivityError>> + Send + 'static,
    {
        Self {
            names,
            handler: Box::new(move |ctx, input| handler(ctx, input).boxed()),
        }
    }
}

impl ActivityImplementer for DynamicActivities {
    fn register_all(self: Arc<Self>, definitions: &mut ActivityDefinitions) {
        for name in &self.names {
            named(name, || {
                definitions.register_activity::<AnyActivity>(Arc::clone(&self));
            });
        }
    }
}

impl ActivityDefinition for AnyActivity {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        &self.0
    }
}

impl ExecutableActivity for AnyActivity {
    type Implementer = DynamicActivities;
    const REQUIRES_INSTANCE: bool = true;

    fn definition() -> Self {
        Self(NAME.with_borrow(Clone::clone))
    }

    fn execute(
        receiver: Option<Arc<DynamicActivities>>,
        ctx: ActivityContext,
        input: RawValue,
    ) -> BoxFuture<'static, Result<RawValue, ActivityError>> {
        match receiver {
            Some(activities) => (activities.handler)(ctx, input),
            None => ready(Err(anyhow::anyhow!("an activity without its handler").into())).boxed(),
        }
    }
}

/// A workflow that runs under several names. Its own rules hold as for any workflow: deterministic, no I/O.
///
/// It takes signals and queries of any name. Updates need a name at compile time: an SDK workflow has them.
pub trait DynamicWorkflow: Default + 'static {
    /// The workflow. `ctx.workflow_type()` is the name it was started under; the state is reached with `ctx.state` and `ctx.state_mut`.
    fn run(
        ctx: WorkflowContext<Dynamic<Self>>,
        input: RawValue,
    ) -> impl Future<Output = WorkflowResult<RawValue>> + 'static;

    /// Takes a signal. By default it is dropped.
    fn signal(&mut self, name: &str, input: RawValue) {
        let _ = (name, input);
    }

    /// Answers a query.
    ///
    /// # Errors
    /// By default: there is no such query. The text reaches the caller.
    fn query(&self, name: &str, input: RawValue) -> Result<RawValue, String> {
        let _ = input;
        Err(format!("there is no query {name:?}"))
    }
}

/// State of a [`DynamicWorkflow`], as the SDK holds it.
#[derive(Default)]
pub struct Dynamic<W>(W);

impl<W: fmt::Debug> fmt::Debug for Dynamic<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<W> ops::Deref for Dynamic<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.0
    }
}

impl<W> ops::DerefMut for Dynamic<W> {
    fn deref_mut(&mut self) -> &mut W {
        &mut self.0
    }
}

/// A workflow type without types of its own.
#[derive(Debug)]
pub struct AnyWorkflow(());

impl WorkflowDefinition for AnyWorkflow {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &'static str {
        "dynamic"
    }
}

fn raw(payloads: &Payloads, converter: &PayloadConverter) -> Result<Option<Box<dyn Any>>, WorkflowError> {
    let context = SerializationContext::new(&SerializationContextData::None, converter);
    let value: RawValue = converter.from_payloads(&context, payloads.payloads.clone())?;
    Ok(Some(Box::new(value)))
}

fn unboxed(input: Box<dyn Any>) -> RawValue {
    input.downcast().map(|value| *value).unwrap_or_default()
}

fn no_updates(name: &str) -> WorkflowError {
    WorkflowError::Execution(format!("there is no update {name:?}: dynamic workflows have none").into())
}

impl<W: DynamicWorkflow> WorkflowImplementation for Dynamic<W> {
    type Run = AnyWorkflow;
    const HAS_INIT: bool = false;
    const INIT_TAKES_INPUT: bool = false;

    fn name() -> &'static str {
        "dynamic"
    }

    fn definition() -> WorkflowDefinitionDescriptor {
        WorkflowDefinitionDescriptor {
            workflow_type: NAME.with_borrow(Clone::clone),
            has_init: false,
            init_takes_input: false,
            signals: Vec::new(),
            queries: Vec::new(),
            updates: Vec::new(),
        }
    }

    fn init(_: WorkflowContextView, _: Option<RawValue>) -> Self {
        Self(W::default())
    }

    fn run(
        ctx: WorkflowContext<Self>,
        input: Option<RawValue>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowTermination>> {
        let run = W::run(ctx, input.unwrap_or_default());
        async move { Ok(Box::new(run.await?) as Box<dyn WorkflowOutputValue>) }.boxed_local()
    }

    fn decode_signal_input(
        _: &str,
        payloads: Payloads,
        converter: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        raw(&payloads, converter)
    }

    fn dispatch_signal(
        ctx: WorkflowContext<Self>,
        name: &str,
        input: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<(), WorkflowError>> {
        let (name, input) = (name.to_owned(), unboxed(input));
        async move {
            ctx.state_mut(|state| state.0.signal(&name, input));
            Ok(())
        }
        .boxed_local()
    }

    fn decode_query_input(
        _: &str,
        payloads: &Payloads,
        converter: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        raw(payloads, converter)
    }

    fn dispatch_query(
        &self,
        _: WorkflowContextView,
        name: &str,
        input: Box<dyn Any>,
    ) -> Result<Box<dyn WorkflowOutputValue>, WorkflowError> {
        match self.0.query(name, unboxed(input)) {
            Ok(value) => Ok(Box::new(value)),
            Err(text) => Err(WorkflowError::Execution(text.into())),
        }
    }

    fn dispatch_update(
        _: WorkflowContext<Self>,
        name: &str,
        _: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowError>> {
        ready(Err(no_updates(name))).boxed_local()
    }

    fn validate_update(&self, _: WorkflowContextView, name: &str, _: Box<dyn Any>) -> Result<(), WorkflowError> {
        Err(no_updates(name))
    }
}
