//! An HPA on 80 % CPU, alone on the Deployment: what most fleets begin with.
//!
//! The formula is Kubernetes' own (`hpa`), `behavior` nil, pods with the default grace of 30 s.

use super::every::Every;
use super::hpa::{Hpa, Metric, SYNC_SECONDS};
use super::kubernetes_grace;
use crate::scaler::{Ending, Scaler, Seen, Time};
use crate::setting::Setting;

/// Baseline `hpa`.
#[derive(Clone, Debug)]
pub struct HpaCpu {
    hpa: Hpa,
    sync: Every,
}

impl HpaCpu {
    /// Between the bounds of the fleet, at least 1: an HPA cannot go to zero.
    pub fn new(setting: &Setting) -> Self {
        Self {
            hpa: Hpa::new(setting.min_replicas, setting.max_replicas, None),
            sync: Every::new(0.0, SYNC_SECONDS),
        }
    }
}

impl Scaler for HpaCpu {
    fn name(&self) -> &'static str {
        "hpa"
    }

    fn ending(&self) -> Ending {
        kubernetes_grace()
    }

    fn least_start(&self) -> u32 {
        1
    }

    fn next(&self, _now: Time) -> Time {
        self.sync.next()
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        if !self.sync.take(seen.now) {
            return None;
        }
        self.hpa.sync(seen, &[Metric::CpuUtilization { percent: 80 }])
    }

    fn calls(&self, _seen: &Seen) -> u32 {
        0
    }
}
