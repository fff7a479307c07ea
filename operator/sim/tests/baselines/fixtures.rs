//! Small fleets as a scaler sees them.

use fleet_autoscale::TaskType;
use fleet_sim::scaler::{Phase, Pod, Queue, Scaler, Seen, Slots, Time};
use fleet_sim::setting::Setting;

/// One queue of activities, ten slots and one core per pod, 1 to 20 pods that start in 30 s and have an hour of grace.
pub(crate) fn setting() -> Setting {
    Setting {
        min_replicas: 1,
        max_replicas: 20,
        start_replicas: 1,
        slots: vec![10],
        types: vec![TaskType::Activity],
        cpu_request: 1.0,
        cpu_limit: 1.0,
        pod_start_seconds: 30.0,
        objective_seconds: 5.0,
        objective_percentile: 99.0,
        grace_seconds: 3600.0,
        policy: None,
    }
}

/// A pod that was Ready long before the run began and uses `cores` of its one core.
pub(crate) fn ready(id: u64, cores: f64) -> Pod {
    Pod {
        id,
        phase: Phase::Ready,
        created: -1000.0,
        ready: Some(-970.0),
        cpu_request: 1.0,
        cpu_limit: 1.0,
        cpu_cores: Some(cores),
        cpu_seconds: 0.0,
        slots: vec![slots(0, 0)],
        schedule_to_start: Vec::new(),
    }
}

/// A pod created at `created` that is not on a node yet.
pub(crate) fn pending(id: u64, created: Time) -> Pod {
    Pod {
        phase: Phase::Pending,
        created,
        ready: None,
        cpu_cores: None,
        slots: Vec::new(),
        ..ready(id, 0.0)
    }
}

/// The ten slots for a queue, so many of them taken.
pub(crate) fn slots(queue: usize, used: u32) -> Slots {
    Slots {
        queue,
        used,
        limit: 10,
        completions: 0,
        busy_seconds: 0.0,
    }
}

/// A queue in which nothing moves, as the server answers.
#[expect(clippy::unnecessary_wraps, reason = "as it stands in `Seen`")]
pub(crate) fn queue(backlog: u64) -> Option<Queue> {
    Some(Queue {
        backlog,
        age_seconds: 0.0,
        add_rate: 0.0,
        dispatch_rate: 0.0,
        rate_limited: false,
        stale_seconds: 0.0,
    })
}

/// A fleet of Ready pods at their CPU target, all slots taken, and an empty queue.
pub(crate) fn busy(now: Time, replicas: u32) -> Seen {
    let pod = |id| Pod {
        slots: vec![slots(0, 10)],
        ..ready(u64::from(id), 0.8)
    };
    Seen {
        now,
        replicas,
        pods: (0..replicas).map(pod).collect(),
        queues: vec![queue(0)],
    }
}

/// A fleet of idle Ready pods with so many waiting tasks.
pub(crate) fn waiting(now: Time, replicas: u32, backlog: u64) -> Seen {
    Seen {
        now,
        replicas,
        pods: (0..replicas).map(|id| ready(u64::from(id), 0.0)).collect(),
        queues: vec![queue(backlog)],
    }
}

/// Sizes that a scaler writes from `from` on, until it wants to look after `until`. Pods are there as soon as they are asked for.
pub(crate) fn writes(
    scaler: &mut dyn Scaler,
    replicas: &mut u32,
    from: Time,
    until: Time,
    see: impl Fn(Time, u32) -> Seen,
) -> Vec<(Time, u32)> {
    let mut now = from;
    let mut written = Vec::new();
    while now <= until {
        if let Some(next) = scaler.look(&see(now, *replicas)) {
            *replicas = next;
            written.push((now, next));
        }
        let next = scaler.next(now);
        assert!(next > now, "{} looks twice at {now}", scaler.name());
        now = next;
    }
    written
}
