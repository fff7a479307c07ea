//! Slots for one SDK Worker: between what the SDK asks of its suppliers and the pod's gates.

use std::{
    collections::BTreeSet,
    marker::PhantomData,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use futures::future::join_all;
use temporalio_sdk_core::{
    ActivitySlotKind, FixedSizeSlotSupplier, LocalActivitySlotKind, NexusSlotKind, SlotInfo, SlotInfoTrait, SlotKind,
    SlotMarkUsedContext, SlotReleaseContext, SlotReservationContext, SlotSupplier, SlotSupplierPermit, WorkerTuner,
    WorkflowSlotKind,
};

use super::{
    Error,
    allowance::{Allowance, Resources},
};
use crate::{
    gate::{Gate, Intake, LaneId, Permit},
    metrics::count,
    pod::{Half, Lanes, Pod},
    register::Registered,
};

/// Where CPU and memory decide: shortest time between two slots, as in the SDK. An activity may use much of both and shows it late; a
/// workflow task is short.
const ACTIVITY_RAMP: Duration = Duration::from_millis(50);
const WORKFLOW_TASK_RAMP: Duration = Duration::ZERO;

type Slots<K> = Arc<dyn SlotSupplier<SlotKind = K> + Send + Sync>;

/// The suppliers of one SDK Worker. Those of kinds it does not poll are never asked.
pub(super) struct Tuner {
    workflow: Slots<WorkflowSlotKind>,
    activity: Slots<ActivitySlotKind>,
    local_activity: Slots<LocalActivitySlotKind>,
    nexus: Slots<NexusSlotKind>,
}

/// Where one SDK Worker takes its slots: what it does not poll is absent.
#[derive(Debug, Clone)]
pub(crate) struct Intakes {
    normal: Option<Arc<Intake>>,
    sticky: Option<Arc<Intake>>,
    activity: Option<Arc<Intake>>,
    local: Option<Arc<Intake>>,
}

impl Tuner {
    /// Suppliers for half a queue, and the intakes that they take from; with `resources` once CPU and memory allow it.
    pub(super) fn new(
        half: &Half,
        pod: &Pod,
        registered: &Registered,
        resources: Option<&Resources>,
    ) -> Result<(Self, Intakes), Error> {
        let Lanes { workflows, activities } = half.lanes;
        let known = |types: Vec<String>| {
            Arc::new(Known {
                types: types.into_iter().collect(),
                others: Arc::clone(&pod.counters.unregistered),
            })
        };
        let gates = &pod.gates;
        let intake = |gate: &Option<Arc<Gate>>, lane: Option<LaneId>| Some(gate.as_ref()?.intake(lane?));
        let intakes = Intakes {
            normal: intake(&gates.workflow, workflows.map(|lanes| lanes.normal)),
            sticky: intake(&gates.workflow, workflows.and_then(|lanes| lanes.sticky)),
            activity: intake(&gates.activity, activities),
            local: intake(&gates.local_activity, workflows.and_then(|lanes| lanes.local)),
        };
        let source = |intake: &Option<Arc<Intake>>, ramp| match intake {
            Some(intake) => Source::new(intake, resources, ramp).map(Some),
            None => Ok(None),
        };
        let tuner = Self {
            workflow: slots(
                source(&intakes.normal, WORKFLOW_TASK_RAMP)?,
                source(&intakes.sticky, WORKFLOW_TASK_RAMP)?,
                known(registered.workflow_types()),
            ),
            activity: slots(
                source(&intakes.activity, ACTIVITY_RAMP)?,
                None,
                known(registered.activity_types()),
            ),
            // Only activities that the worker itself asked for.
            local_activity: slots(source(&intakes.local, ACTIVITY_RAMP)?, None, Arc::default()),
            nexus: Arc::new(FixedSizeSlotSupplier::new(1)),
        };
        Ok((tuner, intakes))
    }
}

fn slots<K>(normal: Option<Source>, sticky: Option<Source>, known: Arc<Known>) -> Slots<K>
where
    K: SlotKind + Send + Sync + 'static,
{
    match normal {
        Some(normal) => Arc::new(Supplier {
            sticky: sticky.unwrap_or_else(|| normal.clone()),
            normal,
            known,
            kind: PhantomData,
        }),
        None => Arc::new(FixedSizeSlotSupplier::new(1)),
    }
}

impl Intakes {
    /// No new task from the server any more. Local activities of workflow tasks that run still get their slots.
    pub(crate) fn close(&self) {
        let polled = [&self.normal, &self.sticky, &self.activity];
        polled.into_iter().flatten().for_each(|intake| intake.close());
    }

    /// Waits until neither a poll is open nor a task runs. Local activities are part of a workflow task, and the SDK holds a slot for
    /// the next one at all times.
    pub(crate) async fn emptied(&self) {
        let polled = [&self.normal, &self.sticky, &self.activity];
        join_all(polled.into_iter().flatten().map(|intake| intake.emptied())).await;
    }

    /// Activities that were started, remote and local.
    pub(crate) fn activities(&self) -> u64 {
        let both = [&self.activity, &self.local];
        both.into_iter().flatten().map(|intake| intake.started()).sum()
    }
}

impl WorkerTuner for Tuner {
    fn workflow_task_slot_supplier(&self) -> Slots<WorkflowSlotKind> {
        Arc::clone(&self.workflow)
    }

    fn activity_task_slot_supplier(&self) -> Slots<ActivitySlotKind> {
        Arc::clone(&self.activity)
    }

    fn local_activity_slot_supplier(&self) -> Slots<LocalActivitySlotKind> {
        Arc::clone(&self.local_activity)
    }

    fn nexus_task_slot_supplier(&self) -> Slots<NexusSlotKind> {
        Arc::clone(&self.nexus)
    }
}

/// The types that an SDK Worker knows (none = all), and where tasks of others are counted.
#[derive(Default)]
struct Known {
    types: BTreeSet<String>,
    others: Arc<AtomicU64>,
}

/// Where the slots of one lane come from.
#[derive(Clone)]
struct Source {
    intake: Arc<Intake>,
    allowance: Option<Allowance>,
}

impl Source {
    fn new(intake: &Arc<Intake>, resources: Option<&Resources>, ramp: Duration) -> Result<Self, Error> {
        Ok(Self {
            intake: Arc::clone(intake),
            allowance: resources.map(|resources| resources.allowance(ramp)).transpose()?,
        })
    }

    async fn reserve(&self, ctx: &dyn SlotReservationContext) -> Permit {
        let Self { intake, allowance } = self;
        match allowance {
            Some(allowance) => intake.reserve_after(|| allowance.granted(ctx, intake)).await,
            None => intake.reserve().await,
        }
    }

    fn try_reserve(&self, ctx: &dyn SlotReservationContext) -> Option<Permit> {
        let Self { intake, allowance } = self;
        let allowed = allowance
            .as_ref()
            .is_none_or(|allowance| allowance.is_granted(ctx, intake));
        allowed.then(|| intake.try_reserve(Instant::now())).flatten()
    }
}

/// Hands out slots to one SDK Worker.
struct Supplier<K> {
    normal: Source,
    sticky: Source,
    known: Arc<Known>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Supplier<K> {
    fn source(&self, ctx: &dyn SlotReservationContext) -> &Source {
        if ctx.is_sticky() { &self.sticky } else { &self.normal }
    }
}

#[async_trait::async_trait]
impl<K: SlotKind + Send + Sync + 'static> SlotSupplier for Supplier<K> {
    type SlotKind = K;

    async fn reserve_slot(&self, ctx: &dyn SlotReservationContext) -> SlotSupplierPermit {
        SlotSupplierPermit::with_user_data(self.source(ctx).reserve(ctx).await)
    }

    fn try_reserve_slot(&self, ctx: &dyn SlotReservationContext) -> Option<SlotSupplierPermit> {
        self.source(ctx)
            .try_reserve(ctx)
            .map(SlotSupplierPermit::with_user_data)
    }

    fn mark_slot_used(&self, ctx: &dyn SlotMarkUsedContext<SlotKind = K>) {
        let name = match ctx.info().downcast() {
            SlotInfo::Workflow(info) => info.workflow_type.as_str(),
            SlotInfo::Activity(info) => info.activity_type.as_str(),
            SlotInfo::LocalActivity(info) => info.activity_type.as_str(),
            SlotInfo::Nexus(info) => info.operation.as_str(),
        };
        let Known { types, others } = self.known.as_ref();
        if !types.is_empty() && !types.contains(name) {
            count(others);
            tracing::warn!(
                name,
                "a task of a type that is not registered: it fails and is tried again"
            );
        }
        if let Some(permit) = ctx.permit().user_data::<Permit>() {
            permit.start(name, Instant::now());
        }
    }

    fn release_slot(&self, ctx: &dyn SlotReleaseContext<SlotKind = K>) {
        if let Some(permit) = ctx.permit().user_data::<Permit>() {
            permit.end(Instant::now());
        }
    }

    fn available_slots(&self) -> Option<usize> {
        let Source { intake, allowance } = &self.normal;
        allowance.is_none().then(|| intake.available() as usize)
    }

    fn slot_supplier_kind(&self) -> String {
        // The SDK's words. Readers of heartbeats trust the number of free slots with the former only.
        match self.normal.allowance {
            None => "Fixed".to_owned(),
            Some(_) => "ResourceBased".to_owned(),
        }
    }
}
