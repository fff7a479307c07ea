//! Whether CPU and memory allow a further task: the SDK's own resource-based suppliers, asked before a slot of a gate is taken.
//!
//! They only ever answer yes or not yet; who holds a slot is the gates' matter. So nobody who waits for resources holds anything, and
//! closing a gate waits for no resources.

use std::{sync::Arc, time::Duration};

use temporalio_common::{telemetry::metrics::TemporalMeter, worker::WorkerDeploymentVersion};
use temporalio_sdk_core::{
    ActivitySlotKind, ResourceBasedSlotsOptions, ResourceBasedTunerConfig, ResourceController, ResourceSlotOptions,
    SlotReservationContext, SlotSupplier, SlotSupplierOptions, TunerHolderOptions, WorkerTuner,
};

use super::Error;
use crate::{gate::Intake, settings::Tuner};

/// Slots that an SDK Worker gets of each lane whatever CPU and memory say, so that every queue goes on.
const ALWAYS: usize = 1;

/// What measures CPU and memory: one per pod, for all its SDK Workers.
pub(super) struct Resources(Arc<ResourceController>);

/// The answer for one lane of one SDK Worker.
#[derive(Clone)]
pub(super) struct Allowance(Arc<dyn SlotSupplier<SlotKind = ActivitySlotKind> + Send + Sync>);

impl Resources {
    /// `None` if slots are a number.
    pub(super) fn new(tuner: Tuner) -> Option<Self> {
        let Tuner::ResourceBased {
            target_cpu_percent,
            target_memory_percent,
        } = tuner
        else {
            return None;
        };
        let share = |percent| f64::from(percent) / 100.0;
        Some(Self::with_targets(
            share(target_cpu_percent),
            share(target_memory_percent),
        ))
    }

    /// The targets as shares: 1 is all there is.
    fn with_targets(cpu: f64, memory: f64) -> Self {
        let options = ResourceBasedSlotsOptions::builder()
            .target_cpu_usage(cpu)
            .target_mem_usage(memory)
            .build();
        Self(Arc::new(ResourceController::new(options)))
    }

    /// Beyond the first slot at most one more per `ramp`, so that the last one shows in CPU and memory before the next is given.
    ///
    /// Workflow tasks ask as activities do: the SDK's supplier for them counts what it issues and never takes back a slot whose poll
    /// brought no task, after which it may keep a queue without any.
    pub(super) fn allowance(&self, ramp: Duration) -> Result<Allowance, Error> {
        // The ceiling is the gate's.
        let slots = ResourceSlotOptions::new(ALWAYS, usize::MAX, ramp);
        let tuner = TunerHolderOptions::builder()
            .activity_slot_options(SlotSupplierOptions::ResourceBased(slots))
            .resource_based_config(ResourceBasedTunerConfig::Controller(Arc::clone(&self.0)))
            .build_tuner_holder()
            .map_err(|error| Error::Options(format!("{error:#}")))?;
        Ok(Allowance(tuner.activity_task_slot_supplier()))
    }
}

impl Allowance {
    /// Waits until a further slot may be taken.
    pub(super) async fn granted(&self, ctx: &dyn SlotReservationContext, intake: &Intake) {
        // The permit holds nothing: what was granted need not be given back.
        self.0.reserve_slot(&Ask { ctx, intake }).await;
    }

    /// Whether a further slot may be taken now.
    pub(super) fn is_granted(&self, ctx: &dyn SlotReservationContext, intake: &Intake) -> bool {
        self.0.try_reserve_slot(&Ask { ctx, intake }).is_some()
    }
}

/// The SDK's question, with the slots of the one lane: its own count is of the normal and the sticky queue together.
struct Ask<'a> {
    ctx: &'a dyn SlotReservationContext,
    intake: &'a Intake,
}

impl SlotReservationContext for Ask<'_> {
    fn task_queue(&self) -> &str {
        self.ctx.task_queue()
    }

    fn worker_identity(&self) -> &str {
        self.ctx.worker_identity()
    }

    fn worker_deployment_version(&self) -> &Option<WorkerDeploymentVersion> {
        self.ctx.worker_deployment_version()
    }

    fn num_issued_slots(&self) -> usize {
        self.intake.issued() as usize
    }

    fn is_sticky(&self) -> bool {
        self.ctx.is_sticky()
    }

    fn get_metrics_meter(&self) -> Option<TemporalMeter> {
        self.ctx.get_metrics_meter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::gate::{Gate, TaskType};

    /// A question of the SDK whose own count is of more than one lane.
    struct Question;

    impl SlotReservationContext for Question {
        fn task_queue(&self) -> &'static str {
            "q"
        }

        fn worker_identity(&self) -> &'static str {
            "w"
        }

        fn worker_deployment_version(&self) -> &Option<WorkerDeploymentVersion> {
            &None
        }

        fn num_issued_slots(&self) -> usize {
            7
        }

        fn is_sticky(&self) -> bool {
            false
        }
    }

    fn nothing_free() -> Resources {
        let tuner = Tuner::ResourceBased {
            target_cpu_percent: 100,
            target_memory_percent: 1,
        };
        Resources::new(tuner).expect("resource-based")
    }

    #[tokio::test]
    async fn each_lane_gets_its_first_slot_whatever_the_others_hold_and_no_second_one() {
        let now = Instant::now();
        let gate = Arc::new(Gate::new(TaskType::Workflow, 10, now));
        let (normal, sticky) = (gate.intake(gate.add_lane(now)), gate.intake(gate.add_lane(now)));
        let resources = nothing_free();
        let allowance = || resources.allowance(Duration::ZERO).expect("an allowance");
        let (of_normal, of_sticky) = (allowance(), allowance());
        assert!(of_normal.is_granted(&Question, &normal));
        let held = normal.try_reserve(now).expect("a slot");
        assert!(!of_normal.is_granted(&Question, &normal));
        assert!(of_sticky.is_granted(&Question, &sticky));

        let wait = async {
            let freed = async {
                tokio::task::yield_now().await;
                drop(held);
            };
            futures::join!(of_normal.granted(&Question, &normal), freed);
        };
        tokio::time::timeout(Duration::from_secs(5), wait)
            .await
            .expect("granted once the lane is empty");
    }

    #[tokio::test]
    async fn with_room_further_slots_are_granted_one_per_ramp() {
        const RAMP: Duration = Duration::from_millis(200);
        let now = Instant::now();
        let gate = Arc::new(Gate::new(TaskType::Activity, 10, now));
        let intake = gate.intake(gate.add_lane(now));
        // More than there is: always below.
        let allowance = Resources::with_targets(10.0, 10.0)
            .allowance(RAMP)
            .expect("an allowance");
        allowance.granted(&Question, &intake).await;
        let _held = intake.try_reserve(now).expect("a slot");
        allowance.granted(&Question, &intake).await;
        assert!(now.elapsed() >= RAMP, "{:?}", now.elapsed());
    }

    #[test]
    fn fixed_slots_measure_nothing() {
        assert!(Resources::new(Tuner::Fixed).is_none());
    }
}
