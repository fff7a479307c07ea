//! `Policy`: what the owner of a fleet asked for. Validated once; units are in the types or in the names.

use core::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Whether decisions are acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Decide and act.
    Auto,
    /// Decide, explain, publish; never change the size.
    DryRun,
    /// As `DryRun`, but reported as turned off.
    Off,
}

/// How much is kept ready for demand that nobody foresaw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Nothing.
    Cost,
    /// What 90 % of the last hour's surprises needed, up to a quarter of the demand.
    #[default]
    Balanced,
    /// What 98 % of them needed, up to half of the demand.
    Latency,
}

/// The latency objective: `percentile` % of the tasks start within `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleToStart {
    /// T: longest acceptable time from scheduling a task to a worker starting it, > 0.
    pub seconds: f64,
    /// Share of tasks that must meet it, in percent, 50 to 99.99.
    pub percentile: f64,
}

/// Which of several scale-down rules wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The rule that allows the largest change.
    Max,
    /// The rule that allows the smallest change.
    Min,
    /// No scale-in at all, zero included.
    Disabled,
}

/// Unit of a scale-down rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleKind {
    /// A number of pods.
    Pods,
    /// A share of the size at the start of the period.
    Percent,
}

/// At most `value` pods or percent leave within any `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingRule {
    /// Unit of `value`.
    pub kind: RuleKind,
    /// Pods or percent, > 0.
    pub value: u32,
    /// Period, 1 s to 30 min.
    pub period: SignedDuration,
}

/// `behavior.scaleDown` in the words of the HPA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleDownBehavior {
    /// How long demand must have been low, 0 to 1 h. Replaces the law's own 5 minutes.
    pub stabilization_window: SignedDuration,
    /// Which rule wins.
    pub select_policy: SelectPolicy,
    /// Rates; empty keeps the law's own (15 % of the fleet every 30 s).
    pub policies: Vec<ScalingRule>,
}

/// What to run while the server says nothing for long. It never makes a fleet smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Pods to have at least, 1 to `max_replicas`.
    pub replicas: u32,
    /// Failed reads in a row, one in each polling interval, from which on it counts, ≥ 1.
    pub failures: u32,
    /// Full workers add nothing to it.
    pub fixed: bool,
}

/// What is assumed of a fleet that was never measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Mean service time of a task [s].
    pub service_seconds: f64,
    /// Time from the creation of a pod to its first poll.
    pub pod_start: SignedDuration,
    /// Slots of a pod per kind, if neither a report nor the worker options tell.
    pub slots: u32,
}

impl Default for Prior {
    fn default() -> Self {
        Self {
            service_seconds: 5.0,
            pod_start: SignedDuration::from_secs(30),
            slots: 100,
        }
    }
}

/// What the owner of a fleet asked for.
///
/// Build it with [`Policy::new`] and struct update, then pass it through [`Policy::validated`].
/// `decide` stays total for a policy that was not validated; it then reads the nearest valid one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether decisions are acted upon.
    pub mode: Mode,
    /// Lower bound of the size; 0 allows zero.
    pub min_replicas: u32,
    /// Upper bound of the size, ≥ 1.
    pub max_replicas: u32,
    /// Headroom over what is foreseen.
    #[serde(default)]
    pub profile: Profile,
    /// Latency objective; `None` turns this target off.
    pub schedule_to_start: Option<ScheduleToStart>,
    /// Wanted mean CPU use of a pod as a share of its capacity, 0.1 to 0.95; `None` turns this target off.
    pub cpu_utilization: Option<f64>,
    /// Wanted mean memory of a pod as a share of its capacity, 0.1 to 0.95; `None` turns this target off.
    #[serde(default)]
    pub memory_utilization: Option<f64>,
    /// Wanted share of busy slots, 0.1 to 0.95; `None` turns this target off.
    #[serde(default)]
    pub slot_utilization: Option<f64>,
    /// Wanted number of waiting tasks per pod, ≥ 1; `None` turns this target off.
    #[serde(default)]
    pub backlog_per_replica: Option<u32>,
    /// Idle time before zero; never less than twice the pod start time.
    pub cooldown: SignedDuration,
    /// Interval between samples when calm, 5 s to 5 min.
    pub polling_interval: SignedDuration,
    /// The owner's limits for scale-in; `None` leaves the law's own.
    pub scale_down: Option<ScaleDownBehavior>,
    /// What to run while the server says nothing for long; `None` holds the size.
    #[serde(default)]
    pub fallback: Option<Fallback>,
    /// What is assumed before anything was measured.
    pub prior: Prior,
}

impl Default for Policy {
    /// One pod, p99 of 5 s, 80 % CPU, 5 min before zero, a sample each 15 s.
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            min_replicas: 1,
            max_replicas: 1,
            profile: Profile::Balanced,
            schedule_to_start: Some(ScheduleToStart {
                seconds: 5.0,
                percentile: 99.0,
            }),
            cpu_utilization: Some(0.8),
            memory_utilization: None,
            slot_utilization: None,
            backlog_per_replica: None,
            cooldown: SignedDuration::from_secs(300),
            polling_interval: SignedDuration::from_secs(15),
            scale_down: None,
            fallback: None,
            prior: Prior::default(),
        }
    }
}

impl Policy {
    /// The default policy between two bounds: p99 of 5 s, 80 % CPU, 5 min before zero, a sample each 15 s.
    ///
    /// # Errors
    /// If the bounds contradict each other.
    pub fn new(min_replicas: u32, max_replicas: u32) -> Result<Self, PolicyError> {
        Self {
            min_replicas,
            max_replicas,
            ..Self::default()
        }
        .validated()
    }

    /// The same policy, if its values lie within their bounds.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn validated(self) -> Result<Self, PolicyError> {
        let check = |holds: bool, field: &'static str, bounds: &'static str| {
            if holds {
                Ok(())
            } else {
                Err(PolicyError { field, bounds })
            }
        };
        let seconds = |d: SignedDuration, low: i64, high: i64| {
            d >= SignedDuration::from_secs(low) && d <= SignedDuration::from_secs(high)
        };
        check(self.max_replicas >= 1, "maxReplicas", "at least 1")?;
        check(
            self.min_replicas <= self.max_replicas,
            "minReplicas",
            "at most maxReplicas",
        )?;
        if let Some(ScheduleToStart { seconds, percentile }) = self.schedule_to_start {
            check(
                seconds > 0.0 && seconds <= 86_400.0,
                "targets.scheduleToStart.seconds",
                "more than 0, at most 86400",
            )?;
            check(
                (50.0..=99.99).contains(&percentile),
                "targets.scheduleToStart.percentile",
                "50 to 99.99",
            )?;
        }
        if let Some(share) = self.cpu_utilization {
            check((0.1..=0.95).contains(&share), "targets.cpuUtilization", "10 % to 95 %")?;
        }
        if let Some(share) = self.memory_utilization {
            check(
                (0.1..=0.95).contains(&share),
                "targets.memoryUtilization",
                "10 % to 95 %",
            )?;
        }
        if let Some(share) = self.slot_utilization {
            check((0.1..=0.95).contains(&share), "targets.slotUtilization", "10 % to 95 %")?;
        }
        check(
            self.backlog_per_replica.is_none_or(|tasks| tasks >= 1),
            "targets.backlogPerReplica",
            "at least 1",
        )?;
        check(seconds(self.cooldown, 0, 86_400), "cooldown", "0 to 86400 s")?;
        check(seconds(self.polling_interval, 5, 300), "pollingInterval", "5 to 300 s")?;
        if let Some(ScaleDownBehavior {
            stabilization_window,
            select_policy: _,
            policies,
        }) = &self.scale_down
        {
            check(
                seconds(*stabilization_window, 0, 3600),
                "behavior.scaleDown.stabilizationWindow",
                "0 to 3600 s",
            )?;
            for ScalingRule { kind: _, value, period } in policies {
                check(*value >= 1, "behavior.scaleDown.policies.value", "at least 1")?;
                check(
                    seconds(*period, 1, 1800),
                    "behavior.scaleDown.policies.period",
                    "1 to 1800 s",
                )?;
            }
        }
        if let Some(Fallback {
            replicas,
            failures,
            fixed: _,
        }) = self.fallback
        {
            check(
                (1..=self.max_replicas).contains(&replicas),
                "fallback.replicas",
                "1 to maxReplicas",
            )?;
            check(failures >= 1, "fallback.failureThreshold", "at least 1")?;
        }
        let Prior {
            service_seconds,
            pod_start,
            slots,
        } = self.prior;
        check(
            service_seconds > 0.0 && service_seconds <= 86_400.0,
            "prior.serviceSeconds",
            "more than 0, at most 86400",
        )?;
        check(seconds(pod_start, 1, 3600), "prior.podStart", "1 to 3600 s")?;
        check(slots >= 1, "prior.slots", "at least 1")?;
        Ok(self)
    }
}

/// A field of a policy outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The field, as the API calls it.
    pub field: &'static str,
    /// What it must be.
    pub bounds: &'static str,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.field, self.bounds)
    }
}

impl core::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_contradict_each_other_are_named() {
        assert_eq!(
            Policy::new(5, 4).expect_err("out of bounds").to_string(),
            "minReplicas must be at most maxReplicas"
        );
        assert_eq!(Policy::new(0, 0).expect_err("out of bounds").field, "maxReplicas");
        assert!(Policy::new(0, 1).is_ok());
    }

    #[test]
    fn nan_is_out_of_bounds_everywhere() {
        let good = Policy::new(1, 10).expect("valid");
        let nan = Policy {
            cpu_utilization: Some(f64::NAN),
            ..good.clone()
        };
        assert_eq!(
            nan.validated().expect_err("out of bounds").field,
            "targets.cpuUtilization"
        );
        let nan = Policy {
            schedule_to_start: Some(ScheduleToStart {
                seconds: f64::NAN,
                percentile: 99.0,
            }),
            ..good
        };
        assert_eq!(
            nan.validated().expect_err("out of bounds").field,
            "targets.scheduleToStart.seconds"
        );
    }
}
