//! The election under skewed clocks, lost and late messages and restarts: never two leaders, and one in the end.

use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn view(version: &str, holder: &str) -> LeaseView {
    let record = Record {
        holder: holder.into(),
        lease_duration: secs(15),
        transitions: 3,
    };
    LeaseView {
        version: version.into(),
        record,
    }
}

#[test]
fn a_lease_that_does_not_exist_is_created() {
    let mut observed = Observed::new("a", TIMING);
    let Claim::Take(record) = next(None, &mut observed, secs(0)) else {
        panic!("wait")
    };
    assert_eq!(
        record,
        Record {
            holder: "a".into(),
            lease_duration: secs(15),
            transitions: 0
        }
    );
    assert!(!observed.leads_at(secs(0)), "not before it is written");
}

#[test]
fn a_lease_of_another_is_respected_until_it_stands_still_for_its_duration() {
    let mut observed = Observed::new("a", TIMING);
    assert_eq!(next(Some(&view("1", "b")), &mut observed, secs(100)), Claim::Wait);
    assert_eq!(next(Some(&view("1", "b")), &mut observed, secs(114)), Claim::Wait);
    assert_eq!(
        next(Some(&view("2", "b")), &mut observed, secs(115)),
        Claim::Wait,
        "it was renewed"
    );
    assert_eq!(next(Some(&view("2", "b")), &mut observed, secs(129)), Claim::Wait);
    let Claim::Take(record) = next(Some(&view("2", "b")), &mut observed, secs(130)) else {
        panic!("wait")
    };
    assert_eq!(record.transitions, 4);
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let mut observed = Observed::new("a", TIMING);
    assert!(matches!(
        next(Some(&view("9", "")), &mut observed, secs(5)),
        Claim::Take(_)
    ));
}

#[test]
fn our_own_lease_is_renewed_without_a_transition() {
    let mut observed = Observed::new("a", TIMING);
    let Claim::Take(record) = next(Some(&view("9", "a")), &mut observed, secs(5)) else {
        panic!("wait")
    };
    assert_eq!(record.transitions, 3);
}

#[test]
fn the_term_runs_from_before_the_request() {
    let mut observed = Observed::new("a", TIMING);
    observed.won("10", secs(20));
    assert!(observed.leads_at(Duration::from_millis(29_999)));
    assert!(!observed.leads_at(secs(30)));
}

#[test]
fn the_sight_of_another_holder_ends_the_term() {
    let mut observed = Observed::new("a", TIMING);
    observed.won("10", secs(20));
    assert_eq!(next(Some(&view("11", "b")), &mut observed, secs(21)), Claim::Wait);
    assert!(!observed.leads_at(secs(21)));
}

/// What a candidate waits for.
#[derive(Debug)]
enum Waiting {
    /// Its next attempt, at this local time.
    Until(Duration),
    /// The answer to a read, which arrives at this tick.
    Read(u32, Option<LeaseView>),
    /// A write that reaches the server at the first tick, if ever, and whose answer arrives at the second, if ever.
    Write {
        sent: Duration,
        base: Option<String>,
        record: Record,
        applied: Option<u32>,
        answered: Option<u32>,
        version: Option<String>,
    },
}

struct Candidate {
    observed: Observed,
    waiting: Waiting,
    /// Rate of its clock.
    rate: f64,
    epoch: Duration,
    started: u32,
    restarts: u32,
}

impl Candidate {
    fn local(&self, tick: u32) -> Duration {
        self.epoch + (TICK * tick).mul_f64(self.rate)
    }
}

const TICK: Duration = Duration::from_millis(250);

/// The fault of one message: lost, or late by some ticks.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    LoseRequest,
    LoseAnswer,
    Late(u32),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LoseRequest),
        1 => Just(Fault::LoseAnswer),
        2 => (1u32..60).prop_map(Fault::Late),
    ]
}

#[derive(Default)]
struct Server {
    lease: Option<LeaseView>,
    writes: u64,
}

impl Server {
    /// Compare and swap on the version, as the API server does.
    fn write(&mut self, base: Option<&str>, record: &Record) -> Option<String> {
        if self.lease.as_ref().map(|lease| lease.version.as_str()) != base {
            return None;
        }
        self.writes += 1;
        let version = self.writes.to_string();
        self.lease = Some(LeaseView {
            version: version.clone(),
            record: record.clone(),
        });
        Some(version)
    }
}

fn step(candidate: &mut Candidate, server: &mut Server, tick: u32, faults: &mut impl Iterator<Item = Fault>) {
    let now = candidate.local(tick);
    let retry = Waiting::Until(now + TIMING.retry_period);
    match &mut candidate.waiting {
        Waiting::Until(at) if now >= *at => {
            candidate.started = tick;
            let late = match faults.next().unwrap_or(Fault::None) {
                Fault::None => 1,
                Fault::Late(ticks) => ticks,
                Fault::LoseRequest | Fault::LoseAnswer => {
                    candidate.waiting = retry;
                    return;
                }
            };
            // The server answers with what it has now; the answer is on its way for a while.
            candidate.waiting = Waiting::Read(tick + late, server.lease.clone());
        }
        Waiting::Read(at, lease) if tick >= *at => {
            let lease = lease.take();
            candidate.waiting = match next(lease.as_ref(), &mut candidate.observed, now) {
                Claim::Wait => retry,
                Claim::Take(record) => {
                    let base = lease.map(|lease| lease.version);
                    let (applied, answered) = match faults.next().unwrap_or(Fault::None) {
                        Fault::None => (Some(tick + 1), Some(tick + 2)),
                        Fault::LoseRequest => (None, None),
                        Fault::LoseAnswer => (Some(tick + 1), None),
                        Fault::Late(ticks) => (Some(tick + ticks), Some(tick + ticks * 2)),
                    };
                    Waiting::Write {
                        sent: now,
                        base,
                        record,
                        applied,
                        answered,
                        version: None,
                    }
                }
            };
        }
        Waiting::Write {
            sent,
            base,
            record,
            applied,
            answered,
            version,
        } => {
            if applied.is_some_and(|at| tick >= at) {
                *applied = None;
                *version = server.write(base.as_deref(), record);
                if version.is_none() {
                    *answered = None;
                }
            }
            let given_up = now >= *sent + TIMING.renew_deadline / 2;
            if answered.is_some_and(|at| tick >= at) {
                if let Some(version) = version.take() {
                    let sent = *sent;
                    candidate.observed.won(version, sent);
                }
                candidate.waiting = retry;
            } else if given_up && applied.is_none() {
                // A write that is still on its way may land after this: the version it names fences it.
                candidate.waiting = retry;
            }
        }
        Waiting::Until(_) | Waiting::Read(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn never_two_leaders(
        rates in proptest::collection::vec(1.0f64..1.4, 3),
        faults in proptest::collection::vec(fault(), 400),
        restarts in proptest::collection::vec((0usize..3, 1u32..1200), 0..6),
    ) {
        let mut server = Server::default();
        let mut candidates: Vec<Candidate> = rates
            .iter()
            .enumerate()
            .map(|(index, rate)| Candidate {
                observed: Observed::new(format!("c{index}"), TIMING),
                waiting: Waiting::Until(Duration::ZERO),
                rate: *rate,
                // Each epoch is another: clocks of two processes have nothing in common.
                epoch: secs(1000 * index as u64),
                started: 0,
                restarts: 0,
            })
            .collect();
        for candidate in &mut candidates {
            candidate.waiting = Waiting::Until(candidate.epoch);
        }
        let mut faults = faults.into_iter();
        let mut led = false;
        for tick in 0..2400 {
            for (index, candidate) in candidates.iter_mut().enumerate() {
                if restarts.contains(&(index, tick)) {
                    // A new process: a new identity, nothing remembered. Fail-stop of a leader looks the same.
                    candidate.restarts += 1;
                    candidate.observed = Observed::new(format!("c{index}-{}", candidate.restarts), TIMING);
                    candidate.waiting = Waiting::Until(candidate.local(tick));
                }
                step(candidate, &mut server, tick, &mut faults);
            }
            let leaders = candidates.iter().filter(|one| one.observed.leads_at(one.local(tick))).count();
            prop_assert!(leaders <= 1, "{leaders} leaders at {:?}", TICK * tick);
            led |= leaders == 1;
        }
        prop_assert!(led, "nobody ever led");
        // Once the faults are over there is a leader, and it stays.
        prop_assert!(candidates.iter().any(|one| one.observed.leads_at(one.local(2399))), "nobody leads in the end");
    }
}
