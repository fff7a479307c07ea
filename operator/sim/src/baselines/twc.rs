//! The HPA that the documentation of temporal-worker-controller recommends: slots in use and backlog, through Prometheus.
//!
//! From its "Scaling recommendations" and the HPA example for backlog and slots: slot utilisation as `Value` 0.75, backlog as
//! `AverageValue` 1, changes of 10 % per 10 s. Its account of the delays is rebuilt as a pipeline: Temporal Cloud's endpoint
//! shows a new backlog every 60 s, Prometheus scrapes endpoint and pods every 10 s, the HPA looks every 15 s. Assumed: one pair
//! of metrics per task type of the fleet (the example has activities only); the figures of Ready pods; none of the stalls of
//! minutes that the page reports; the last sample stands where the server has no answer.

use super::every::Every;
use super::fleet_grace;
use super::hpa::{Behavior, Hpa, Kind, Metric, Policy, Rules, SYNC_SECONDS};
use crate::scaler::{Ending, Phase, Pod, Scaler, Seen, Time};
use crate::setting::Setting;

/// Wanted share of slots in use.
const UTILISATION: f64 = 0.75;
/// Wanted backlog per replica [tasks].
const BACKLOG: f64 = 1.0;
/// Scrape interval of Prometheus [s].
const SCRAPE_SECONDS: f64 = 10.0;

/// Baselines `twc` and `twc-fast`.
#[derive(Clone, Debug)]
pub struct Twc {
    name: &'static str,
    ending: Ending,
    hpa: Hpa,
    export: Every,
    scrape: Every,
    sync: Every,
    /// Backlog per queue, as the endpoint shows it.
    exported: Vec<Option<f64>>,
    scraped: Vec<Scraped>,
}

/// The samples of one queue in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Scraped {
    backlog: Option<f64>,
    utilisation: Option<f64>,
}

impl Twc {
    /// As documented.
    pub fn documented(setting: &Setting) -> Self {
        Self::new("twc", 60.0, documented_behavior(), setting)
    }

    /// A fresh backlog every 15 s and the default `behavior` of an HPA: what one gets by tuning it.
    pub fn fast(setting: &Setting) -> Self {
        Self::new("twc-fast", 15.0, Behavior::default(), setting)
    }

    fn new(name: &'static str, export_seconds: f64, behavior: Behavior, setting: &Setting) -> Self {
        Self {
            name,
            ending: fleet_grace(setting),
            hpa: Hpa::new(setting.min_replicas, setting.max_replicas, Some(behavior)),
            export: Every::new(0.0, export_seconds),
            scrape: Every::new(SCRAPE_SECONDS / 2.0, SCRAPE_SECONDS),
            sync: Every::new(SYNC_SECONDS / 2.0, SYNC_SECONDS),
            exported: Vec::new(),
            scraped: Vec::new(),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let pair = |sample: &Scraped| {
            [
                Metric::Value {
                    usage: sample.utilisation,
                    target: UTILISATION,
                },
                Metric::AverageValue {
                    usage: sample.backlog,
                    target: BACKLOG,
                },
            ]
        };
        self.scraped.iter().flat_map(pair).collect()
    }
}

/// 10 % per 10 s either way; up after 30 s, down after 120 s.
fn documented_behavior() -> Behavior {
    let ten_percent = Policy {
        kind: Kind::Percent,
        value: 10,
        period_seconds: 10.0,
    };
    Behavior {
        up: Rules::new(30.0, vec![ten_percent]),
        down: Rules::new(120.0, vec![ten_percent]),
    }
}

impl Scaler for Twc {
    fn name(&self) -> &str {
        self.name
    }

    fn ending(&self) -> Ending {
        self.ending
    }

    fn least_start(&self) -> u32 {
        1
    }

    fn next(&self, _now: Time) -> Time {
        self.export.next().min(self.scrape.next()).min(self.sync.next())
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        if self.export.take(seen.now) {
            self.exported.resize(seen.queues.len(), None);
            for (exported, queue) in self.exported.iter_mut().zip(&seen.queues) {
                *exported = queue.map(|queue| queue.backlog as f64).or(*exported);
            }
        }
        if self.scrape.take(seen.now) {
            let sample = |(queue, backlog): (usize, &Option<f64>)| Scraped {
                backlog: *backlog,
                utilisation: utilisation(&seen.pods, queue),
            };
            self.scraped = self.exported.iter().enumerate().map(sample).collect();
        }
        if self.sync.take(seen.now) {
            let metrics = self.metrics();
            return self.hpa.sync(seen, &metrics);
        }
        None
    }

    fn calls(&self, _seen: &Seen) -> u32 {
        0
    }
}

/// Share of the slots for a queue in use, over the Ready pods that report; `None` if none does.
fn utilisation(pods: &[Pod], queue: usize) -> Option<f64> {
    let ready = pods.iter().filter(|pod| pod.phase == Phase::Ready);
    let slots = ready.flat_map(|pod| &pod.slots).filter(|slots| slots.queue == queue);
    let (used, limit) = slots.fold((0.0, 0.0), |(used, limit), slots| {
        (used + f64::from(slots.used), limit + f64::from(slots.limit))
    });
    (limit > 0.0).then(|| used / limit)
}
