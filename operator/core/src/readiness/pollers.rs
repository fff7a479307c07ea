//! `PollersReady`: whether Temporal sees our pods polling every queue.

use super::{ConditionType, Input, Reason, Truth, Verdict};
use crate::autoscale::Seen;
use crate::world::PodView;

/// Pollers of a queue that are pods of this fleet. The server remembers pollers for minutes, so pods that went do not count;
/// foreign pollers never do. An identity is `[prefix/]pod/namespace/uid`, or an SDK's default `pid@pod`.
pub fn own_pollers(identities: &[String], pods: &[PodView]) -> usize {
    pods.iter()
        .filter(|pod| pod.serves())
        .filter(|pod| {
            identities.iter().any(|identity| {
                identity.rsplit('/').next() == Some(pod.uid.as_str())
                    || identity.rsplit('@').next() == Some(pod.name.as_str())
            })
        })
        .count()
}

/// Whether every queue is polled by pods of the fleet.
pub(super) fn pollers(input: &Input) -> Verdict {
    let condition = ConditionType::PollersReady;
    if input.replicas == 0 {
        return Verdict::new(condition, Truth::True, Reason::ScaledToZero, "no pod should poll");
    }
    let Seen::Known(pods) = &input.world.pods else {
        return Verdict::new(
            condition,
            Truth::Unknown,
            Reason::NotObserved,
            "the pods were not observed",
        );
    };
    let mut counts = Vec::new();
    let mut missing = Vec::new();
    for view in &input.world.queues {
        let Seen::Known(identities) = &view.pollers else {
            return Verdict::new(
                condition,
                Truth::Unknown,
                Reason::NotObserved,
                format!("the pollers of {} are not known", view.queue),
            );
        };
        let own = own_pollers(identities, pods);
        counts.push(format!("{} {own}", view.queue));
        if own == 0 {
            missing.push(view.queue.to_string());
        }
    }
    if missing.is_empty() {
        Verdict::new(condition, Truth::True, Reason::Polling, counts.join(", "))
    } else if missing.len() == input.world.queues.len() {
        Verdict::new(
            condition,
            Truth::False,
            Reason::NoPollers,
            format!("no pod of the fleet polls {}", missing.join(", ")),
        )
    } else {
        Verdict::new(
            condition,
            Truth::False,
            Reason::QueueNotPolled,
            format!("no pod of the fleet polls {}", missing.join(", ")),
        )
    }
}
