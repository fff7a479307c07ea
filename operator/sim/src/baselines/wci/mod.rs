//! A scaler like Temporal's Worker Controller Instance, as its documentation for Cloud Run describes it.
//!
//! Feed-forward on the server's add rate with a wait target:
//! `raw = ceil(λ/(μ·util) + B/(wait·μ) + reserve)`, util 0.75, wait 4 s, reserve 10 % of the first term; out at once, in to the
//! maximum of 300 s. A push from the server on failed matches evaluates at once, at most every max(5 s, L/4).
//!
//! Assumed, where the documentation says nothing: μ, the tasks per second of a full pod, is learned by `learn`; with several
//! task types on a pod the type that needs most pods decides, and CPU is shared by all; the size at the start counts as a
//! recommendation; a queue that does not answer means hold; the push is seen within a second.

pub mod learn;

use super::every::Every;
use super::fleet_grace;
use crate::scaler::{Ending, Phase, Queue, Scaler, Seen, Time};
use crate::setting::Setting;
use learn::Learned;

/// Period of the control loop [s].
const CONTROL_SECONDS: f64 = 15.0;
/// How soon a push from the server is noticed [s].
const PUSH_SECONDS: f64 = 1.0;
/// Window of scaling in [s].
const WINDOW_SECONDS: f64 = 300.0;
/// Wanted load of a pod.
const UTILISATION: f64 = 0.75;
/// Wanted time to clear a backlog [s].
const WAIT_SECONDS: f64 = 4.0;
/// Warm reserve, as a share of the pods for the arrivals.
const RESERVE: f64 = 0.10;

/// Baseline `wci`.
#[derive(Clone, Debug)]
pub struct Wci {
    ending: Ending,
    min: u32,
    max: u32,
    start_seconds: f64,
    learned: Learned,
    control: Every,
    push: Every,
    recommended: Vec<(Time, u32)>,
    last_push: Option<Time>,
    last_out: Option<Time>,
}

impl Wci {
    /// Between the bounds of the fleet; it can go to zero and come back.
    pub fn new(setting: &Setting) -> Self {
        Self {
            ending: fleet_grace(setting),
            min: setting.min_replicas,
            max: setting.max_replicas.max(setting.min_replicas),
            start_seconds: setting.pod_start_seconds,
            learned: Learned::new(setting),
            control: Every::new(0.0, CONTROL_SECONDS),
            push: Every::new(0.0, PUSH_SECONDS),
            recommended: Vec::new(),
            last_push: None,
            last_out: None,
        }
    }

    /// Whether the server would push now: tasks wait, no Ready slot is free, and the last push is long enough ago.
    fn pushed(&mut self, seen: &Seen, queues: &[Queue]) -> bool {
        let cooldown = (self.start_seconds / 4.0).max(5.0);
        let cooled = self.last_push.is_none_or(|last| seen.now - last >= cooldown);
        let pushed = cooled && is_starved(seen, queues);
        if pushed {
            self.last_push = Some(seen.now);
        }
        pushed
    }

    /// The size for what is recommended now: out at once, in with patience.
    fn actuate(&mut self, now: Time, current: u32, raw: u32) -> u32 {
        if self.recommended.is_empty() {
            self.recommended.push((now, current));
        }
        self.recommended.retain(|(at, _)| *at >= now - WINDOW_SECONDS);
        let wanted = raw.clamp(self.min, self.max);
        self.recommended.push((now, wanted));
        if wanted > current {
            self.last_out = Some(now);
            return wanted;
        }
        let patience = (2.0 * self.start_seconds).max(60.0);
        if self.last_out.is_some_and(|last| now - last < patience) {
            return current;
        }
        let highest = self.recommended.iter().map(|(_, replicas)| *replicas).max();
        highest.unwrap_or(current).min(current).clamp(self.min, self.max)
    }
}

impl Scaler for Wci {
    fn name(&self) -> &'static str {
        "wci"
    }

    fn ending(&self) -> Ending {
        self.ending
    }

    fn next(&self, _now: Time) -> Time {
        self.control.next().min(self.push.next())
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        self.learned.observe(&seen.pods);
        let (controls, pushes) = (self.control.take(seen.now), self.push.take(seen.now));
        let queues: Vec<Queue> = seen.queues.iter().copied().collect::<Option<_>>()?;
        let pushed = pushes && self.pushed(seen, &queues);
        if !controls && !pushed {
            return None;
        }
        let raw = replicas(&queues, &self.learned);
        let next = self.actuate(seen.now, seen.replicas, raw);
        (next != seen.replicas).then_some(next)
    }

    /// It runs inside the server.
    fn calls(&self, _seen: &Seen) -> u32 {
        0
    }
}

/// Pods for the demand of all queues, before bounds and windows.
fn replicas(queues: &[Queue], learned: &Learned) -> u32 {
    let by_slots = queues.iter().enumerate().map(|(index, queue)| {
        let per_pod = learned.tasks_per_slots(index);
        pods(queue.add_rate, queue.backlog as f64, per_pod)
    });
    let rate = queues.iter().map(|queue| queue.add_rate).sum();
    let backlog = queues.iter().map(|queue| queue.backlog as f64).sum();
    let by_cpu = learned.tasks_per_cpu().map(|per_pod| pods(rate, backlog, per_pod));
    by_slots.chain(by_cpu).fold(0.0, f64::max).ceil() as u32
}

/// The documented formula, before rounding up: pods for `rate` [tasks/s] and `backlog` [tasks] at `per_pod` [tasks/s].
pub fn pods(rate: f64, backlog: f64, per_pod: f64) -> f64 {
    if per_pod <= 0.0 {
        return 0.0;
    }
    let arrivals = rate.max(0.0) / (per_pod * UTILISATION);
    let waiting = backlog.max(0.0) / (WAIT_SECONDS * per_pod);
    arrivals + waiting + RESERVE * arrivals
}

/// Whether tasks wait in a queue of which no Ready slot is free.
fn is_starved(seen: &Seen, queues: &[Queue]) -> bool {
    let has_free = |index: usize| {
        let ready = seen.pods.iter().filter(|pod| pod.phase == Phase::Ready);
        let mut slots = ready.flat_map(|pod| &pod.slots);
        slots.any(|slots| slots.queue == index && slots.used < slots.limit)
    };
    let mut queues = queues.iter().enumerate();
    queues.any(|(index, queue)| queue.backlog > 0 && !has_free(index))
}
