//! Erlang's C and the smallest number of slots for an objective. Written here a second time on purpose: the oracle shall not
//! inherit a mistake of the law it judges.

/// Probability that a task finds all of `slots` busy, at `busy` Erlangs.
pub fn wait_probability(slots: u32, busy: f64) -> f64 {
    if busy >= f64::from(slots) {
        return 1.0;
    }
    let mut blocked = 1.0;
    for i in 1..=slots {
        blocked = busy * blocked / (f64::from(i) + busy * blocked);
    }
    let load = busy / f64::from(slots);
    blocked / (1.0 - load + load * blocked)
}

/// Mean wait [s] of a queue with `slots` servers, `busy` Erlangs and exponential service times of mean `service` [s].
pub fn mean_wait(slots: u32, busy: f64, service: f64) -> f64 {
    wait_probability(slots, busy) * service / (f64::from(slots) - busy)
}

/// The smallest number of slots of which at most a share `late` of the tasks waits longer than `seconds`, never fuller than 95 %.
pub fn slots(busy: f64, service: f64, seconds: f64, late: f64) -> u32 {
    if busy <= 0.0 {
        return 0;
    }
    let mut slots = libm::ceil(busy / 0.95) as u32;
    // Above this the load decides.
    while slots < 20_000 {
        let spare = f64::from(slots) - busy;
        if spare > 0.0 && wait_probability(slots, busy) * libm::exp(-spare * seconds / service) <= late {
            break;
        }
        slots += 1;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_published_values() {
        for (busy, servers, expected) in [(1.0, 2, 1.0 / 3.0), (8.0, 10, 0.409_18), (2.0, 3, 4.0 / 9.0)] {
            assert!((wait_probability(servers, busy) - expected).abs() < 1e-4);
        }
        assert_eq!(
            [5.0, 20.0, 100.0].map(|busy| slots(busy, 60.0, 10.0, 0.01)),
            [11, 29, 115]
        );
    }
}
