//! KEDA's Temporal scaler: two loops over one figure, the backlog.
//!
//! From KEDA's documentation (pages on Temporal, `ScaledObject` and scaling Deployments): KEDA itself only switches
//! between zero and more, its HPA does the rest; defaults are a target of 5 tasks per replica, a poll every 30 s, 300 s of
//! cooldown. The HPA gets a live answer at each of its syncs, and has no `behavior`. Assumed: the fleet was active until the
//! run began, so that the cooldown counts from there (KEDA would end a fleet that was never active at once); no fallback; the
//! trigger lists all task types of the fleet and counts their sum.

use super::every::Every;
use super::hpa::{Hpa, Metric, SYNC_SECONDS};
use crate::scaler::{Ending, Queue, Scaler, Seen, Time};
use crate::setting::Setting;

/// A `ScaledObject` with a Temporal trigger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trigger {
    /// `targetQueueSize`: waiting tasks per replica.
    pub target: f64,
    /// `activationTargetQueueSize`: active if more tasks than this wait.
    pub activation: u64,
    /// `pollingInterval` [s].
    pub poll_seconds: f64,
    /// `cooldownPeriod` [s].
    pub cooldown_seconds: f64,
    /// A further trigger on CPU utilisation [%]. It cannot switch between zero and more.
    pub cpu_percent: Option<u32>,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            target: 5.0,
            activation: 0,
            poll_seconds: 30.0,
            cooldown_seconds: 300.0,
            cpu_percent: None,
        }
    }
}

impl Trigger {
    /// The target that fits the fleet, one waiting task per slot of a pod, and the fastest poll that shows anything new.
    pub fn tuned(setting: &Setting) -> Self {
        let slots: u32 = setting.slots.iter().sum();
        Self {
            target: f64::from(slots.max(1)),
            poll_seconds: 5.0,
            ..Self::default()
        }
    }
}

/// Baselines `keda` and its kin.
#[derive(Clone, Debug)]
pub struct Keda {
    name: &'static str,
    trigger: Trigger,
    ending: Ending,
    min_replicas: u32,
    hpa: Hpa,
    poll: Every,
    sync: Every,
    last_active: Time,
}

impl Keda {
    /// A trigger on a fleet. `minReplicaCount` is the fleet's lower bound; its HPA cannot go below 1.
    pub fn new(name: &'static str, trigger: Trigger, ending: Ending, setting: &Setting) -> Self {
        Self {
            name,
            trigger,
            ending,
            min_replicas: setting.min_replicas,
            hpa: Hpa::new(setting.min_replicas, setting.max_replicas, None),
            poll: Every::new(0.0, trigger.poll_seconds),
            sync: Every::new(SYNC_SECONDS / 2.0, SYNC_SECONDS),
            last_active: 0.0,
        }
    }

    /// KEDA's own loop: the size to write, if it switches the fleet on or off.
    fn switch(&mut self, now: Time, replicas: u32, backlog: Option<u64>) -> Option<u32> {
        if backlog? > self.trigger.activation {
            self.last_active = now;
            return (replicas == 0).then_some(self.min_replicas.max(1));
        }
        if self.min_replicas == 0 {
            // Straight to zero from any size: this write does not pass through the HPA.
            let cooled = self.last_active + self.trigger.cooldown_seconds < now;
            return (replicas > 0 && cooled).then_some(0);
        }
        (replicas < self.min_replicas).then_some(self.min_replicas)
    }

    fn scale(&mut self, seen: &Seen, backlog: Option<u64>) -> Option<u32> {
        let waiting = Metric::AverageValue {
            usage: backlog.map(|tasks| tasks as f64),
            target: self.trigger.target,
        };
        let cpu = self
            .trigger
            .cpu_percent
            .map(|percent| Metric::CpuUtilization { percent });
        let metrics: Vec<Metric> = [Some(waiting), cpu].into_iter().flatten().collect();
        self.hpa.sync(seen, &metrics)
    }
}

impl Scaler for Keda {
    fn name(&self) -> &str {
        self.name
    }

    fn ending(&self) -> Ending {
        self.ending
    }

    fn next(&self, _now: Time) -> Time {
        self.poll.next().min(self.sync.next())
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        let backlog = backlog(&seen.queues);
        let (polls, syncs) = (self.poll.take(seen.now), self.sync.take(seen.now));
        let switched = if polls {
            self.switch(seen.now, seen.replicas, backlog)
        } else {
            None
        };
        if switched.is_none() && syncs {
            return self.scale(seen, backlog);
        }
        switched
    }
}

/// Tasks that wait in all queues; `None` if a queue did not answer, which is an error of the whole trigger.
fn backlog(queues: &[Option<Queue>]) -> Option<u64> {
    queues.iter().map(|queue| queue.map(|queue| queue.backlog)).sum()
}
