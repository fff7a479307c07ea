//! The rate limit of the Activity queues, set once at the server: workers that each brought a value of their own would overwrite each
//! other's.

use crate::autoscale::{Seen, TaskType};
use crate::desired::Desired;
use crate::notice::{Notice, NoticeReason};
use crate::step::Step;
use crate::world::World;

/// The server keeps limits in single precision.
const PRECISION: f64 = 1e-6;

/// Steps that make the server's limits what the fleet wants, and what is to be said. A limit that somebody else set is replaced if
/// the fleet wants one, and left alone if it wants none.
pub fn queue_rate(desired: &Desired, world: &World) -> (Vec<Step>, Vec<Notice>) {
    let reason = format!("TemporalWorker {}/{}", desired.namespace, desired.name);
    if let (Some(wanted), Some(older)) = (desired.queue_rate, &world.rate_claimed_by) {
        let message = format!(
            "{older}, which is older, sets another maxTaskQueueActivitiesPerSecond for a queue of this fleet; {wanted} is not set: \
             give both the same value, or only one of them any"
        );
        return (
            Vec::new(),
            vec![Notice::warning(NoticeReason::TaskQueueRateConflict, message)],
        );
    }
    let activity_queues = world
        .queues
        .iter()
        .filter(|view| view.queue.task_type == TaskType::Activity);
    let steps = activity_queues.filter_map(|view| {
        let Seen::Known(present) = &view.rate_limit else {
            return None;
        };
        let per_second = match (desired.queue_rate, present) {
            (Some(wanted), Some(limit)) if (limit.per_second - wanted).abs() <= wanted * PRECISION => return None,
            (Some(wanted), _) => Some(wanted),
            // Ours, of a time when the fleet wanted one.
            (None, Some(limit)) if limit.reason == reason => None,
            (None, _) => return None,
        };
        Some(Step::LimitQueue {
            queue: view.queue.name.clone(),
            per_second,
            reason: reason.clone(),
        })
    });
    (steps.collect(), Vec::new())
}
