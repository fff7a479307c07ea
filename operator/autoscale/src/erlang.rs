//! Queueing theory: how many slots keep the share of late starts within bounds, for a given number of busy slots.

use crate::num::finite;

/// Fleets are never planned fuller than this.
const FULLEST: f64 = 0.95;
/// Above this many busy slots the bound of `FULLEST` is the larger one; below it the recursion is cheap.
const LARGE: f64 = 5000.0;

/// The delay condition: `P(wait > seconds) <= late`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objective {
    /// T, longest acceptable wait [s].
    pub(crate) seconds: f64,
    /// ε, acceptable share of tasks that wait longer.
    pub(crate) late: f64,
}

/// What the delay condition is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Demand [busy slots].
    pub(crate) busy: f64,
    /// Mean service time [s].
    pub(crate) service: f64,
    /// Burstiness of the arrivals, 1 (Poisson) to 4.
    pub(crate) burstiness: f64,
    /// Slots that exist for each slot that CPU can keep at full speed, ≥ 1. Where CPU is the limit, a task still starts at
    /// once as long as a slot is free; it runs slower. That is the business of the CPU target, not of this one.
    pub(crate) room: f64,
}

/// Erlang's C, step by step: probability that a task finds all slots busy.
struct ErlangC {
    busy: f64,
    slots: u32,
    blocked: f64,
}

impl ErlangC {
    fn new(busy: f64) -> Self {
        Self {
            busy,
            slots: 0,
            blocked: 1.0,
        }
    }

    fn next(&mut self) {
        self.slots = self.slots.saturating_add(1);
        self.blocked = self.busy * self.blocked / (f64::from(self.slots) + self.busy * self.blocked);
    }

    fn wait_probability(&self) -> f64 {
        let load = self.busy / f64::from(self.slots.max(1));
        if load >= 1.0 {
            1.0
        } else {
            self.blocked / (1.0 - load + load * self.blocked)
        }
    }
}

/// The smallest number of slots that meets the objective, whatever their load.
pub(crate) fn slots_for_delay(traffic: Traffic, objective: Objective) -> u32 {
    let busy = finite(traffic.busy);
    if busy <= 0.0 {
        return 0;
    }
    let service = finite(traffic.service).max(1e-6) * traffic.burstiness.clamp(1.0, 4.0);
    let extra = (traffic.room - 1.0).max(0.0) / traffic.burstiness.clamp(1.0, 4.0);
    let mut queue = ErlangC::new(busy);
    loop {
        queue.next();
        let slots = f64::from(queue.slots);
        if slots > busy {
            let late = queue.wait_probability()
                * libm::exp(-(slots - busy) * finite(objective.seconds) / service)
                * libm::pow(busy / slots, slots * extra);
            // √-staffing is reached long before this: the second condition only proves that the loop ends.
            if late <= objective.late || slots > 2.0 * busy + 1000.0 {
                return queue.slots;
            }
        }
    }
}

/// Slots for a demand: within the objective, if there is one, and never fuller than 95 %.
pub(crate) fn slots(traffic: Traffic, objective: Option<Objective>) -> f64 {
    let busy = finite(traffic.busy);
    let by_load = libm::ceil(busy / FULLEST);
    match objective {
        Some(objective) if busy <= LARGE => f64::from(slots_for_delay(traffic, objective)).max(by_load),
        _ => by_load,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(busy: f64, service: f64, seconds: f64) -> u32 {
        let traffic = Traffic {
            busy,
            service,
            burstiness: 1.0,
            room: 1.0,
        };
        slots_for_delay(traffic, Objective { seconds, late: 0.01 })
    }

    #[test]
    fn erlang_c_agrees_with_published_values() {
        for (busy, slots, expected) in [(1.0, 2, 1.0 / 3.0), (8.0, 10, 0.409_18), (2.0, 3, 4.0 / 9.0)] {
            let mut queue = ErlangC::new(busy);
            for _ in 0..slots {
                queue.next();
            }
            assert!(
                (queue.wait_probability() - expected).abs() < 1e-4,
                "C({slots}, {busy}) = {}",
                queue.wait_probability()
            );
        }
    }

    #[test]
    fn short_tasks_need_few_spare_slots() {
        assert_eq!([5.0, 20.0, 100.0].map(|busy| delay(busy, 2.0, 5.0)), [7, 22, 102]);
    }

    #[test]
    fn long_tasks_need_more_spare_slots() {
        assert_eq!([5.0, 20.0, 100.0].map(|busy| delay(busy, 60.0, 10.0)), [11, 29, 115]);
    }

    #[test]
    fn no_fleet_is_planned_fuller_than_95_percent() {
        let traffic = Traffic {
            busy: 100.0,
            service: 2.0,
            burstiness: 1.0,
            room: 1.0,
        };
        let objective = Some(Objective {
            seconds: 5.0,
            late: 0.01,
        });
        assert!((slots(traffic, objective) - 106.0).abs() < 1e-9);
        assert!((slots(Traffic { busy: 0.0, ..traffic }, objective)).abs() < 1e-9);
    }

    #[test]
    fn bursty_arrivals_need_more_and_spare_room_needs_less() {
        let objective = Objective {
            seconds: 5.0,
            late: 0.01,
        };
        let calm = Traffic {
            busy: 20.0,
            service: 2.0,
            burstiness: 1.0,
            room: 1.0,
        };
        let bursty = Traffic {
            burstiness: 4.0,
            ..calm
        };
        assert!(slots_for_delay(bursty, objective) > slots_for_delay(calm, objective));
        let roomy = Traffic { room: 4.0, ..bursty };
        assert!(slots_for_delay(roomy, objective) < slots_for_delay(bursty, objective));
    }

    #[test]
    fn the_unit_of_time_does_not_matter() {
        let traffic = Traffic {
            busy: 37.5,
            service: 2.0,
            burstiness: 1.5,
            room: 1.0,
        };
        let in_seconds = slots_for_delay(
            traffic,
            Objective {
                seconds: 5.0,
                late: 0.01,
            },
        );
        let in_millis = slots_for_delay(
            Traffic {
                service: 2000.0,
                ..traffic
            },
            Objective {
                seconds: 5000.0,
                late: 0.01,
            },
        );
        assert_eq!(in_seconds, in_millis);
    }
}
