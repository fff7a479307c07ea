//! The scenario: which load when, and when a phase has shown what it is for. Pure.
//!
//! Sized for a machine of two cores: at most some 11 workflows/s and about 0.6 cores of CPU on purpose, on pods with a
//! limit of 200m CPU and 4 activity slots.

use std::time::Duration;

use super::record::PhaseKind;
use crate::load::Stream;

/// The seed's workflow: one activity that sleeps for 1 to 3 s.
pub const DATA: &str = "DataProcessingWorkflow";
/// One activity of about 20 s with heartbeats.
pub const LONG: &str = "LongRunningWorkflow";
/// One activity that burns the given milliseconds of CPU.
pub const BURN: &str = "BurnCpuWorkflow";

/// The whole scenario lasts no longer than this.
pub const LIMIT: Duration = Duration::from_mins(8);

/// When a phase may end before its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Not before.
    TimeIsUp,
    /// At least four pods are Ready, and three times the quiet size.
    Grown,
    /// At most a third of the largest size is asked for.
    Shrunk,
    /// The CPU target has decided within this phase.
    DecidedByCpu,
    /// Some pod has been asked to end within this phase, and is gone.
    PodEnded,
    /// No pod is asked for and none is left.
    AtZero,
    /// A pod is Ready.
    Awake,
}

/// One phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What it is for.
    pub kind: PhaseKind,
    /// Streams from each moment of the phase on; the first moment is 0.
    pub load: Vec<(Duration, Vec<Stream>)>,
    /// So many workflows of a stream at its begin.
    pub burst: Option<(Stream, u32)>,
    /// It lasts at least so long.
    pub at_least: Duration,
    /// It lasts at most so long.
    pub at_most: Duration,
    /// What ends it in between.
    pub until: Until,
}

/// What the run knows when it asks whether a phase is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Replicas asked for; `None` if not known.
    pub desired: Option<u32>,
    /// Ready pods; `None` if not known.
    pub ready: Option<u32>,
    /// Pods that were asked to end and are still there.
    pub ending: u32,
    /// Most Ready pods so far.
    pub peak: u32,
    /// Ready pods in the quiet phase.
    pub quiet: u32,
    /// Decisions by the CPU target since the phase began.
    pub cpu_decisions: usize,
    /// Pods asked to end since the phase began, and gone.
    pub ended: usize,
}

impl Phase {
    fn steady(kind: PhaseKind, seconds: (u64, u64), until: Until, load: Vec<Stream>) -> Self {
        Self {
            kind,
            load: vec![(Duration::ZERO, load)],
            burst: None,
            at_least: Duration::from_secs(seconds.0),
            at_most: Duration::from_secs(seconds.1),
            until,
        }
    }

    /// The streams at this moment of the phase, and how many changes of them lie behind.
    pub fn load_at(&self, elapsed: Duration) -> (usize, &[Stream]) {
        let current = self
            .load
            .iter()
            .enumerate()
            .rev()
            .find(|(_, (from, _))| *from <= elapsed);
        current.map_or((0, &[]), |(index, (_, streams))| (index, streams))
    }

    /// Whether the phase is over.
    pub fn is_over(&self, elapsed: Duration, progress: &Progress) -> bool {
        elapsed >= self.at_most || (elapsed >= self.at_least && self.has_shown(progress))
    }

    /// Whether it has shown what it is for.
    pub fn has_shown(&self, progress: &Progress) -> bool {
        match self.until {
            Until::TimeIsUp => false,
            Until::Grown => progress.ready.is_some_and(|ready| ready >= 4.max(3 * progress.quiet)),
            Until::Shrunk => progress
                .desired
                .is_some_and(|desired| desired <= 1.max(progress.peak / 3)),
            Until::DecidedByCpu => progress.cpu_decisions > 0,
            Until::PodEnded => progress.ended > 0,
            Until::AtZero => progress.desired == Some(0) && progress.ready == Some(0) && progress.ending == 0,
            Until::Awake => progress.ready.is_some_and(|ready| ready > 0),
        }
    }
}

/// The scenario of the demo.
pub fn scenario() -> Vec<Phase> {
    let data = |rate| Stream::new(DATA, rate);
    let long = |rate| Stream::new(LONG, rate);
    let burn = |rate| Stream::new(BURN, rate).with_number(500);
    vec![
        // 1/s of 2 s each: two of one pod's four slots.
        Phase::steady(PhaseKind::Quiet, (40, 40), Until::TimeIsUp, vec![data(1.0)]),
        // 20 busy slots: five or six pods.
        Phase::steady(PhaseKind::Step, (50, 60), Until::Grown, vec![data(10.0)]),
        // Enough for a third of the pods, spread over all of them: the pods that go are seldom idle.
        Phase::steady(PhaseKind::Ease, (20, 75), Until::Shrunk, vec![data(2.5), long(0.15)]),
        // 500 ms of CPU each: 2.5 s alone on a pod of 200m. First two pods' share of 160m each, then four
        // pods': few slots, much CPU.
        Phase {
            load: vec![
                (Duration::ZERO, vec![data(0.3), burn(0.6)]),
                (Duration::from_secs(20), vec![data(0.3), burn(1.2)]),
            ],
            ..Phase::steady(PhaseKind::Cpu, (50, 70), Until::DecidedByCpu, vec![])
        },
        // The load falls and each pod has something that outlasts the scale-in.
        Phase {
            burst: Some((long(0.0), 8)),
            ..Phase::steady(
                PhaseKind::LongRunning,
                (35, 75),
                Until::PodEnded,
                vec![data(0.5), long(0.45)],
            )
        },
        Phase::steady(PhaseKind::Settle, (15, 15), Until::TimeIsUp, vec![data(0.5)]),
        // Temporal forgets the last arrivals within half a minute; then 30 s of cooldown begin.
        Phase::steady(PhaseKind::Zero, (10, 115), Until::AtZero, vec![]),
        Phase {
            burst: Some((data(0.0), 5)),
            ..Phase::steady(PhaseKind::Back, (20, 30), Until::Awake, vec![data(0.5)])
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_keeps_to_its_time_and_to_what_a_small_machine_carries() {
        let phases = scenario();
        assert!(phases.iter().map(|phase| phase.at_most).sum::<Duration>() <= LIMIT);
        for phase in &phases {
            assert!(phase.at_least <= phase.at_most, "{:?}", phase.kind);
            for (_, streams) in &phase.load {
                let rate: f64 = streams.iter().map(|stream| stream.per_second).sum();
                assert!(rate <= 20.0, "{:?}", phase.kind);
                let cores: f64 = streams
                    .iter()
                    .filter(|s| s.workflow == BURN)
                    .map(|s| s.per_second * 0.5)
                    .sum();
                assert!(cores <= 0.6 + 1e-9, "{:?}", phase.kind);
            }
        }
    }

    #[test]
    fn enough_workflows_are_planned_even_if_every_phase_is_as_short_as_it_may_be() {
        let planned: f64 = scenario()
            .iter()
            .map(|phase| {
                phase.load[0].1.iter().map(|stream| stream.per_second).sum::<f64>() * phase.at_least.as_secs_f64()
            })
            .sum();
        assert!(planned > 400.0, "{planned}");
    }

    #[test]
    fn the_step_is_ten_times_the_quiet_rate() {
        let rate = |kind| {
            let phases = scenario();
            let phase = phases.iter().find(|phase| phase.kind == kind).unwrap();
            phase.load[0].1.iter().map(|stream| stream.per_second).sum::<f64>()
        };
        assert!((rate(PhaseKind::Step) - 10.0 * rate(PhaseKind::Quiet)).abs() < 1e-9);
    }

    #[test]
    fn a_phase_ends_when_it_has_shown_its_purpose_or_its_time_is_up() {
        let zero = scenario()
            .into_iter()
            .find(|phase| phase.kind == PhaseKind::Zero)
            .unwrap();
        let gone = Progress {
            desired: Some(0),
            ready: Some(0),
            ..Progress::default()
        };
        let seconds = Duration::from_secs;
        assert!(zero.is_over(seconds(30), &gone));
        assert!(!zero.is_over(seconds(5), &gone), "too early");
        assert!(
            !zero.is_over(seconds(30), &Progress { ending: 1, ..gone }),
            "a pod is still there"
        );
        assert!(
            !zero.is_over(seconds(30), &Progress::default()),
            "not known is not zero"
        );
        assert!(zero.is_over(zero.at_most, &Progress::default()));
    }

    #[test]
    fn the_load_changes_within_a_phase() {
        let cpu = scenario()
            .into_iter()
            .find(|phase| phase.kind == PhaseKind::Cpu)
            .unwrap();
        assert_eq!(cpu.load_at(Duration::from_secs(19)).0, 0);
        let (change, streams) = cpu.load_at(Duration::from_secs(20));
        assert_eq!(change, 1);
        assert!(
            streams
                .iter()
                .any(|stream| stream.workflow == BURN && stream.per_second > 0.9)
        );
    }
}
