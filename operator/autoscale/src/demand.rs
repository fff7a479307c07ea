//! Demand at the horizon: how many slots will be busy when a pod that is asked for now can work.
//! A fluid model runs over the pod start time; then what has piled up is to be worked off within a drain time.

use crate::num::finite;

/// Longest pod start time that is looked ahead over [s].
const FURTHEST: f64 = 600.0;

/// Load of one slot kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// X: tasks in the system, waiting and running, without those on ending pods.
    pub(crate) tasks: f64,
    /// λ: arrivals per second.
    pub(crate) arrivals: f64,
    /// S: mean service time [s], > 0.
    pub(crate) service: f64,
}

/// Slots of one kind, now and soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supply<'a> {
    /// Slots of one pod.
    pub(crate) per_pod: f64,
    /// Pods that work now.
    pub(crate) ready: f64,
    /// When each starting pod will work [s from now], ascending.
    pub(crate) starting: &'a [f64],
}

/// Time in which a pile is to be worked off [s], for an objective of `wait` seconds.
pub(crate) fn drain_time(wait: f64) -> f64 {
    (finite(wait) / 2.0).max(10.0)
}

/// Tasks in the system after the pod start time.
pub(crate) fn tasks_at_horizon(load: Load, supply: Supply<'_>, pod_start: f64) -> f64 {
    let Load {
        tasks,
        arrivals,
        service,
    } = load;
    let mut tasks = finite(tasks);
    let (arrivals, service) = (finite(arrivals), finite(service).max(1e-4));
    let mut due = supply.starting.iter().peekable();
    let mut pods = finite(supply.ready);
    for second in 0..pod_start.clamp(0.0, FURTHEST) as u32 {
        while due.next_if(|at| **at <= f64::from(second)).is_some() {
            pods += 1.0;
        }
        let slots = finite(supply.per_pod) * pods;
        tasks = if service >= 1.0 {
            (tasks + arrivals - tasks.min(slots) / service).max(0.0)
        } else {
            // Within a step of one second more than the tasks present can be served: the floor is the steady state.
            (tasks + arrivals - slots / service).max(arrivals * service)
        };
        tasks = finite(tasks);
    }
    tasks
}

/// Busy slots needed to work off `tasks` within `drain` seconds while `arrivals` go on.
///
/// `n` slots do that if and only if `tasks - n <= drain * (n / service - arrivals)`.
pub(crate) fn busy_slots(tasks: f64, arrivals: f64, service: f64, drain: f64) -> f64 {
    let service = finite(service).max(1e-4);
    finite((finite(tasks) + finite(arrivals) * drain) * service / (service + drain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs().max(1.0)
    }

    #[test]
    fn a_steady_state_needs_what_is_busy() {
        for (arrivals, service) in [(50.0, 0.05), (10.0, 2.0), (0.01, 36_000.0)] {
            let tasks = arrivals * service;
            let supply = Supply {
                per_pod: 10.0,
                ready: 1e4,
                starting: &[],
            };
            let later = tasks_at_horizon(
                Load {
                    tasks,
                    arrivals,
                    service,
                },
                supply,
                30.0,
            );
            assert!(close(later, tasks), "{later} tasks instead of {tasks}");
            assert!(close(busy_slots(later, arrivals, service, drain_time(5.0)), tasks));
        }
    }

    #[test]
    fn short_tasks_are_worked_off_within_the_drain_time() {
        let (backlog, arrivals, service, drain) = (6000.0, 10.0, 0.001, 10.0);
        let needed = busy_slots(arrivals * service + backlog, arrivals, service, drain);
        assert!(
            (needed - (arrivals * service + backlog * service / drain)).abs() < 0.001 * needed,
            "{needed}"
        );
    }

    #[test]
    fn each_waiting_long_task_needs_a_slot_and_never_more_slots_than_tasks() {
        let (tasks, arrivals, drain) = (40.0, 0.5, 15.0);
        let needed = busy_slots(tasks, arrivals, 36_000.0, drain);
        assert!(needed <= tasks + arrivals * drain);
        assert!(needed > 0.999 * (tasks + arrivals * drain));
    }

    #[test]
    fn the_drain_condition_holds_with_equality() {
        let (tasks, arrivals, service, drain) = (300.0, 7.0, 3.0, 12.0);
        let n = busy_slots(tasks, arrivals, service, drain);
        assert!(close(tasks - n, drain * (n / service - arrivals)));
    }

    #[test]
    fn pods_that_start_in_time_count() {
        let load = Load {
            tasks: 100.0,
            arrivals: 10.0,
            service: 2.0,
        };
        let alone = tasks_at_horizon(
            load,
            Supply {
                per_pod: 10.0,
                ready: 1.0,
                starting: &[],
            },
            30.0,
        );
        let soon = tasks_at_horizon(
            load,
            Supply {
                per_pod: 10.0,
                ready: 1.0,
                starting: &[5.0, 5.0],
            },
            30.0,
        );
        let late = tasks_at_horizon(
            load,
            Supply {
                per_pod: 10.0,
                ready: 1.0,
                starting: &[31.0, 32.0],
            },
            30.0,
        );
        assert!(soon < alone);
        assert!(close(late, alone));
    }

    #[test]
    fn the_step_rule_is_continuous_at_one_second() {
        for tasks in [3.0, 50.0, 500.0] {
            let load = |service| Load {
                tasks,
                arrivals: 20.0,
                service,
            };
            let supply = Supply {
                per_pod: 10.0,
                ready: 3.0,
                starting: &[],
            };
            let above = tasks_at_horizon(load(1.0), supply, 30.0);
            let below = tasks_at_horizon(load(1.0 - 1e-9), supply, 30.0);
            assert!((above - below).abs() < 1e-3, "{above} {below}");
        }
    }

    #[test]
    fn nonsense_stays_finite() {
        let load = Load {
            tasks: f64::INFINITY,
            arrivals: f64::NAN,
            service: 0.0,
        };
        let later = tasks_at_horizon(
            load,
            Supply {
                per_pod: f64::NAN,
                ready: 1.0,
                starting: &[],
            },
            f64::INFINITY,
        );
        assert!(later.is_finite());
        assert!(busy_slots(later, f64::INFINITY, f64::NAN, 10.0).is_finite());
    }
}
