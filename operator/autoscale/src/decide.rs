//! The decision: signals to estimates, estimates to needs, needs to a size, and the words for all of it. Each part lives in its
//! own file; their order lives here.

use jiff::{SignedDuration, Timestamp};

use crate::choose::{Choice, Situation};
use crate::explain::{self, Facts};
use crate::memory::Memory;
use crate::needs::{self, Missing, Observed};
use crate::num::{elapsed, seconds};
use crate::policy::Fallback;
use crate::trim::Judged;
use crate::workers::Workers;
use crate::zero::Idle;
use crate::{Active, Decision, Limited, LimitedBy, Mode, Policy, Sample, ScalingActive};
use crate::{
    arithmetic, arrivals, downstream, fall, fallback, footprint, gate, ghost, headroom, latency, outside, queues,
    scale_in, trim, workers, zero,
};

/// Interval between samples when hot or at zero [s]: the server's own cache makes a shorter one useless.
const HOT: i64 = 5;
/// A gap of this many intervals ends what was watched.
const GAP: f64 = 4.0;

pub(crate) fn decide(policy: &Policy, memory: &Memory, sample: &Sample, now: Timestamp) -> (Decision, Memory) {
    let mut memory = memory.clone();
    let interval = policy
        .polling_interval
        .clamp(SignedDuration::from_secs(10), SignedDuration::from_secs(300));
    watch(&mut memory, interval, now);
    memory.note_replicas(sample.replicas, now);
    let mut observed = observe(policy, &mut memory, sample, interval, now);
    let objective = policy.schedule_to_start.map(|target| target.seconds);
    let minute = latency::last_minute(&memory, objective);
    let gate = gate::diagnose(
        policy,
        &mut memory,
        &observed.queues,
        &observed.workers,
        observed.start,
        interval,
        now,
    );
    let judged = Judged {
        p99: minute.p99,
        objective,
        capacity_bound: gate.is_none() && observed.queues.waiting() > 0.0 && observed.workers.starting.is_empty(),
    };
    observed.trim = trim::advance(&mut memory, judged, now);
    let needs = needs::needs(&observed, Missing::Idle);
    let window = scale_in::window(policy, observed.start);
    let known = observed.queues.gap.is_none();
    if known {
        let noise = needs
            .leading()
            .map_or(0.0, |kind| observed.rates.noise[kind.kind.index()]);
        let pods = headroom::Pods {
            asked: needs.without_headroom(),
            full: needs.full(policy.cpu_utilization.unwrap_or(1.0)),
            headroom: needs.headroom,
        };
        headroom::learn(&mut memory, pods, noise, observed.start, now);
    }
    // What is not known is not low: the present size stands in for it.
    let demand = if !known {
        f64::from(sample.replicas)
    } else if observed.workers.missing() > 0 {
        needs::needs(&observed, Missing::Full).lasting()
    } else {
        needs.lasting()
    };
    // Nor is what is not believed yet.
    if observed.queues.fall.is_none() {
        scale_in::remember(&mut memory, window, demand, now);
    }
    let fallback = fallback::advance(policy, &mut memory, known, interval, now);
    memory.held_at = memory.held_at.or(Some(sample.replicas)).filter(|_| !known);

    let max = policy.max_replicas.max(1);
    let (queues, workers) = (&observed.queues, &observed.workers);
    let situation = Situation {
        observed: &observed,
        sample,
        needs: &needs,
        minute,
        gate,
        idle: zero::idle(policy, &mut memory, sample, queues, workers, observed.start, now),
        fallback,
        min: policy.min_replicas.min(max),
        max,
        now,
    };
    memory.transient.last = Some(now);
    let choice = situation.choose(&memory, window);
    let decision = situation.explain(&choice, &memory);
    if choice.replicas > sample.replicas {
        downstream::note(&mut memory, &observed.queues, &observed.workers, now);
    }
    (decision, memory)
}

/// Reads the sample into the memory, and estimates.
fn observe<'a>(
    policy: &'a Policy,
    memory: &mut Memory,
    sample: &Sample,
    interval: SignedDuration,
    now: Timestamp,
) -> Observed<'a> {
    let start = workers::pod_start(policy, memory, sample, now);
    let mut queues = queues::observe(sample, interval, now);
    let workers = workers::observe(memory, sample, start, interval, now);
    let memory_used = footprint::observe(memory, sample, interval, now);
    let rates = arrivals::advance(memory, &queues, &workers, start.median, now);
    fall::advance(memory, sample, &mut queues, &workers, interval, now);
    ghost::advance(memory, sample, &mut queues, &workers, interval, now);
    let slots = needs::estimates(policy, memory, sample).slots;
    outside::advance(policy, memory, sample, &queues, &workers, &slots, now);
    let estimates = needs::estimates(policy, memory, sample);
    Observed {
        policy,
        headroom: headroom::share(policy.profile, memory),
        trim: 1.0,
        estimates,
        queues,
        workers,
        rates,
        start,
        reports: memory.reports,
        books: memory.transient.books,
        outside_cpu: workers::outside_cpu(sample),
        footprint: footprint::estimate(memory),
        memory_used,
    }
}

/// Keeps track of how long the fleet was watched without a gap. A clock that went back is a gap.
fn watch(memory: &mut Memory, interval: SignedDuration, now: Timestamp) {
    let longest = (GAP * seconds(interval)).max(60.0);
    let unbroken = memory
        .transient
        .last
        .is_some_and(|last| (-5.0..=longest).contains(&elapsed(now, last)));
    if !unbroken {
        let transient = &mut memory.transient;
        transient.since = Some(now);
        transient.window.clear();
        transient.idle_since = None;
        transient.pollers_since = None;
        transient.silent_since = None;
        transient.blind_since = None;
        transient.arrivals_from = None;
        transient.arrivals.clear();
        transient.bins.clear();
        transient.latency.clear();
        transient.forecasts.clear();
        transient.late_samples = 0;
        transient.rate = None;
        transient.changed = [None; 4];
        transient.cpu = None;
        transient.books = [None; 4];
        memory.rewind(now);
    }
}

impl Situation<'_> {
    /// The choice with all that is shown of it.
    fn explain(&self, choice: &Choice, memory: &Memory) -> Decision {
        let Self {
            observed,
            sample,
            needs,
            minute,
            ..
        } = *self;
        let facts = Facts {
            observed,
            sample,
            needs,
            minute,
            choice,
            bounds: (self.min, self.max),
            now: self.now,
        };
        let replicas = if observed.policy.mode == Mode::Auto {
            choice.replicas
        } else {
            sample.replicas
        };
        Decision {
            replicas,
            recommended: self.recommended(choice),
            reason: choice.reason,
            active: self.active(),
            limited: if let Some((reason, message)) = &choice.limited {
                LimitedBy {
                    reason: *reason,
                    message: message.clone(),
                }
            } else {
                let message = format!("within {}..{}", self.min, self.max);
                LimitedBy {
                    reason: Limited::WithinBounds,
                    message,
                }
            },
            targets: explain::targets(&facts),
            message: explain::message(&facts),
            arithmetic: arithmetic::lines(&facts),
            next_poll: self.next_poll(memory, replicas),
            offered_load: needs.kinds.iter().map(|kind| (kind.kind, kind.demand)).collect(),
            schedule_to_start_p99_seconds: minute.p99,
            cpu_utilization: observed.workers.cpu.or(observed.outside_cpu),
            busy_slots: observed.workers.busy_slots,
        }
    }

    fn active(&self) -> Active {
        let (reason, message) = if self.observed.policy.mode == Mode::Off {
            (
                ScalingActive::TurnedOff,
                "autoscaling.mode is Off: recommendations only".to_owned(),
            )
        } else if self.observed.policy.mode == Mode::DryRun {
            (
                ScalingActive::DryRun,
                "autoscaling.mode is DryRun: recommendations only".to_owned(),
            )
        } else if let (Some(gap), Some(fallback)) = (&self.observed.queues.gap, self.fallback) {
            let Fallback { replicas, failures, .. } = fallback;
            let text = format!("fallback: at least {replicas} pods, as {failures} reads or more failed: {gap}");
            (ScalingActive::FallbackActive, text)
        } else if let Some(gap) = &self.observed.queues.gap {
            (ScalingActive::SignalsUnknown, format!("the size is held: {gap}"))
        } else if self.observed.workers.missing() > 0 {
            let Workers { ready, reporting, .. } = &self.observed.workers;
            let gap = self.observed.workers.gap.as_deref().unwrap_or("no report");
            (
                ScalingActive::SignalsDegraded,
                format!("{reporting} of {ready} pods report; {gap}"),
            )
        } else {
            let (queues, pods) = (self.sample.queues.len(), self.observed.workers.ready);
            (
                ScalingActive::SignalsValid,
                format!("{queues} queues and {pods} pods report"),
            )
        };
        Active { reason, message }
    }

    /// Often while something happens and at zero, else at the policy's interval.
    fn next_poll(&self, memory: &Memory, replicas: u32) -> SignedDuration {
        let calm = self
            .observed
            .policy
            .polling_interval
            .clamp(SignedDuration::from_secs(HOT), SignedDuration::from_secs(300));
        let busy = (0..4).any(|k| {
            self.observed.workers.room[k] > 0.0 && self.observed.workers.used[k] >= 0.8 * self.observed.workers.room[k]
        });
        let changing = replicas != self.sample.replicas || self.now.as_second() - memory.last_change < 60;
        let waiting = self.observed.queues.waiting() > 0.0 || !self.observed.workers.starting.is_empty();
        let doubtful = self.observed.queues.fall.is_some();
        let late = self.minute.late > 0.01;
        let ending = matches!(self.idle, Idle::For { seconds, cooldown } if cooldown - seconds <= 30.0);
        if self.sample.replicas == 0 || busy || changing || waiting || doubtful || late || ending {
            SignedDuration::from_secs(HOT)
        } else {
            calm
        }
    }
}
