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

/// Erlang's B, step by step, as its inverse: `1/B(n) = 1 + (n/a) / B(n-1)` has no division that the next step waits for.
struct ErlangB {
    busy: f64,
    per_busy: f64,
    slots: u32,
    inverse: f64,
}

impl ErlangB {
    fn new(busy: f64) -> Self {
        Self {
            busy,
            per_busy: 1.0 / busy,
            slots: 0,
            inverse: 1.0,
        }
    }

    fn advance_to(&mut self, slots: u32) {
        for next in self.slots.saturating_add(1)..=slots {
            self.inverse = 1.0 + f64::from(next) * self.per_busy * self.inverse;
        }
        self.slots = self.slots.max(slots);
    }

    /// Erlang's C: probability that a task finds all slots busy.
    fn wait_probability(&self) -> f64 {
        let load = self.busy / f64::from(self.slots.max(1));
        let blocked = 1.0 / self.inverse;
        if load >= 1.0 {
            1.0
        } else {
            blocked / (1.0 - load + load * blocked)
        }
    }
}

/// The smallest number of slots, `least` or more, that meets the objective, whatever their load.
pub(crate) fn slots_for_delay(traffic: Traffic, objective: Objective, least: u32) -> u32 {
    let busy = finite(traffic.busy);
    if busy <= 0.0 {
        return 0;
    }
    let service = finite(traffic.service).max(1e-6) * traffic.burstiness.clamp(1.0, 4.0);
    let extra = (traffic.room - 1.0).max(0.0) / traffic.burstiness.clamp(1.0, 4.0);
    let mut queue = ErlangB::new(busy);
    // Fewer than the busy ones never do, and from there on each slot more means fewer late tasks.
    let mut slots = least.max((libm::floor(busy) as u32).saturating_add(1));
    loop {
        let n = f64::from(slots);
        let after = libm::exp(-(n - busy) * finite(objective.seconds) / service) * libm::pow(busy / n, n * extra);
        // Where even those who find all slots busy are served in time, nobody needs to know how many these are.
        if after <= objective.late {
            return slots;
        }
        queue.advance_to(slots);
        // √-staffing is reached long before this: the second condition only proves that the loop ends.
        if queue.wait_probability() * after <= objective.late || n > 2.0 * busy + 1000.0 {
            return slots;
        }
        slots = slots.saturating_add(1);
    }
}

/// Slots that a demand fills to 95 %.
pub(crate) fn slots_by_load(busy: f64) -> f64 {
    libm::ceil(busy / FULLEST)
}

/// Slots for a demand: within the objective, if there is one, and never fuller than 95 %.
pub(crate) fn slots(traffic: Traffic, objective: Option<Objective>) -> f64 {
    let busy = finite(traffic.busy);
    let by_load = slots_by_load(busy);
    match objective {
        Some(objective) if busy <= LARGE => f64::from(slots_for_delay(traffic, objective, by_load as u32)),
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
        slots_for_delay(traffic, Objective { seconds, late: 0.01 }, 0)
    }

    #[test]
    fn erlang_c_agrees_with_published_values() {
        for (busy, slots, expected) in [(1.0, 2, 1.0 / 3.0), (8.0, 10, 0.409_18), (2.0, 3, 4.0 / 9.0)] {
            let mut queue = ErlangB::new(busy);
            queue.advance_to(slots);
            assert!(
                (queue.wait_probability() - expected).abs() < 1e-4,
                "C({slots}, {busy}) = {}",
                queue.wait_probability()
            );
        }
    }

    /// The same step by step from one slot on, by the textbook's recursion.
    fn searched(traffic: Traffic, objective: Objective) -> u32 {
        let Traffic {
            busy,
            service,
            burstiness,
            room,
        } = traffic;
        let (mut slots, mut blocked) = (0_u32, 1.0);
        loop {
            slots += 1;
            let n = f64::from(slots);
            blocked = busy * blocked / (n + busy * blocked);
            let waits = blocked / (1.0 - busy / n + busy / n * blocked);
            let late = waits
                * libm::exp(-(n - busy) * objective.seconds / (service * burstiness))
                * libm::pow(busy / n, n * (room - 1.0) / burstiness);
            if n > busy && (late <= objective.late || n > 2.0 * busy + 1000.0) {
                return slots;
            }
        }
    }

    #[test]
    fn short_cuts_lead_to_the_same_number() {
        let mut compared = 0;
        for busy in [0.01, 0.7, 3.0, 9.99, 47.3, 100.0, 512.7, 1800.0] {
            for (service, seconds) in [(0.05, 5.0), (2.0, 5.0), (60.0, 5.0), (7200.0, 1.0), (1.0, 0.0)] {
                for (burstiness, room) in [(1.0, 1.0), (2.5, 1.0), (1.0, 3.0), (4.0, 1.2)] {
                    let traffic = Traffic {
                        busy,
                        service,
                        burstiness,
                        room,
                    };
                    let objective = Objective { seconds, late: 0.01 };
                    assert_eq!(
                        slots_for_delay(traffic, objective, 0),
                        searched(traffic, objective),
                        "{traffic:?} {objective:?}"
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 160);
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
        assert!(slots_for_delay(bursty, objective, 0) > slots_for_delay(calm, objective, 0));
        let roomy = Traffic { room: 4.0, ..bursty };
        assert!(slots_for_delay(roomy, objective, 0) < slots_for_delay(bursty, objective, 0));
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
            0,
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
            0,
        );
        assert_eq!(in_seconds, in_millis);
    }
}
