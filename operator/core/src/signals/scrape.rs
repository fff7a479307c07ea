//! From an SDK's metrics page to slots, completions and latencies.
//!
//! Names are those of the SDKs' common metrics (`temporal_worker_task_slots_used` and so on). Durations come in milliseconds or
//! seconds, as the worker was set up: a suffix of the name tells, and without one the smallest bucket does, as no SDK resolves
//! less than a millisecond. Busy time is that of the tasks that ended [s]; a task counts when it ends.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::exposition::{Line, lines};
use crate::autoscale::{LatencyHistogram, PodReport, SlotKind, SlotReport, TaskType};
use crate::desired::Queue;

/// What a page says.
#[derive(Clone, Debug, PartialEq)]
pub struct Scraped {
    /// Slots per kind, over all queues of the pod.
    pub slots: Vec<SlotReport>,
    /// Schedule-to-start per queue, counts since the process began.
    pub schedule_to_start: Vec<LatencyHistogram>,
    /// Queues with open polls.
    pub polled: Vec<Queue>,
}

/// Reads a page; `None` if it shows no slots: it is not an SDK's page, or its worker has not begun.
pub fn read(text: &str) -> Option<Scraped> {
    let mut page = Page::default();
    for line in lines(text) {
        page.take(&line);
    }
    let slots = page.slots();
    (!slots.is_empty()).then(|| Scraped {
        slots,
        schedule_to_start: page.schedule_to_start(),
        polled: page.polled,
    })
}

impl Scraped {
    /// The report of a pod whose worker container started at `started` and was read at `now`. CPU comes from elsewhere.
    pub fn report(self, started: Timestamp, now: Timestamp) -> (PodReport, Vec<Queue>) {
        let report = PodReport {
            at: now,
            started: started.min(now),
            slots: self.slots,
            cpu_seconds: None,
            memory_bytes: None,
            schedule_to_start: self.schedule_to_start,
        };
        (report, self.polled)
    }
}

#[derive(Default)]
struct Page {
    used: BTreeMap<SlotKind, f64>,
    /// Kinds with a series missing for a queue stay out: their room is not known.
    available: BTreeMap<SlotKind, f64>,
    series: BTreeMap<SlotKind, (u32, u32)>,
    polled: Vec<Queue>,
    durations: BTreeMap<String, Durations>,
}

/// One family of histograms.
#[derive(Default)]
struct Durations {
    /// By suffix: seconds per unit.
    unit: Option<f64>,
    sum: f64,
    count: f64,
    /// Cumulative counts by queue and upper bound, over all other labels. Bounds by their bits: all are positive.
    buckets: BTreeMap<String, BTreeMap<u64, f64>>,
}

impl Durations {
    fn seconds_per_unit(&self) -> f64 {
        let bounds = self
            .buckets
            .values()
            .flat_map(BTreeMap::keys)
            .map(|bits| f64::from_bits(*bits));
        let smallest = bounds.filter(|bound| *bound > 0.0).fold(f64::INFINITY, f64::min);
        self.unit.unwrap_or(if smallest < 1.0 { 1.0 } else { 0.001 })
    }
}

impl Page {
    fn take(&mut self, line: &Line) {
        let Some(name) = line.name.strip_prefix("temporal_") else {
            return;
        };
        match name {
            "worker_task_slots_used" | "worker_task_slots_available" => self.take_slots(name, line),
            "num_pollers" => self.take_pollers(line),
            _ => self.take_duration(name, line),
        }
    }

    fn take_slots(&mut self, name: &str, line: &Line) {
        let Some(kind) = slot_kind(line.label("worker_type")) else {
            return;
        };
        let series = self.series.entry(kind).or_default();
        let (sums, count) = if name.ends_with("used") {
            (&mut self.used, &mut series.0)
        } else {
            (&mut self.available, &mut series.1)
        };
        *sums.entry(kind).or_default() += line.value;
        *count += 1;
    }

    fn take_pollers(&mut self, line: &Line) {
        let task_type = match line.label("poller_type") {
            "workflow_task" | "sticky_workflow_task" => TaskType::Workflow,
            "activity_task" => TaskType::Activity,
            "nexus_task" => TaskType::Nexus,
            _ => return,
        };
        let queue = Queue {
            name: line.label("task_queue").to_owned(),
            task_type,
        };
        if line.value > 0.0 && !queue.name.is_empty() && !self.polled.contains(&queue) {
            self.polled.push(queue);
        }
    }

    fn take_duration(&mut self, name: &str, line: &Line) {
        let Some((family, part)) = name.rsplit_once('_') else {
            return;
        };
        let (family, unit) = match family.rsplit_once('_') {
            Some((family, "seconds")) => (family, Some(1.0)),
            Some((family, "milliseconds")) => (family, Some(0.001)),
            _ => (family, None),
        };
        if !family.ends_with("_execution_latency") && !family.ends_with("_schedule_to_start_latency") {
            return;
        }
        let durations = self.durations.entry(family.to_owned()).or_default();
        durations.unit = durations.unit.or(unit);
        match part {
            "sum" => durations.sum += line.value.max(0.0),
            "count" => durations.count += line.value.max(0.0),
            "bucket" => {
                let Ok(bound) = line.label("le").parse::<f64>() else {
                    return;
                };
                if bound >= 0.0 {
                    let buckets = durations
                        .buckets
                        .entry(line.label("task_queue").to_owned())
                        .or_default();
                    *buckets.entry(bound.to_bits()).or_default() += line.value.max(0.0);
                }
            }
            _ => {}
        }
    }

    fn slots(&self) -> Vec<SlotReport> {
        let report = |(kind, used): (&SlotKind, &f64)| {
            let (of_used, of_available) = self.series.get(kind).copied().unwrap_or_default();
            // With resource-based slots there is no such series; a part of it would be no limit.
            let available = self.available.get(kind).filter(|_| of_used == of_available);
            let ended = self.durations.get(execution(*kind));
            SlotReport {
                kind: *kind,
                used: whole(*used),
                limit: available.map(|available| whole(*used + available.max(0.0))),
                completions: ended.map_or(0, |durations| durations.count as u64),
                busy_seconds: ended.map_or(0.0, |durations| durations.sum * durations.seconds_per_unit()),
            }
        };
        self.used.iter().map(report).collect()
    }

    fn schedule_to_start(&self) -> Vec<LatencyHistogram> {
        let families = [
            ("workflow_task_schedule_to_start_latency", TaskType::Workflow),
            ("activity_schedule_to_start_latency", TaskType::Activity),
            ("nexus_task_schedule_to_start_latency", TaskType::Nexus),
        ];
        let mut histograms = Vec::new();
        for (family, task_type) in families {
            let Some(durations) = self.durations.get(family) else {
                continue;
            };
            let unit = durations.seconds_per_unit();
            for (queue, buckets) in &durations.buckets {
                histograms.extend(histogram(queue, task_type, buckets, unit));
            }
        }
        histograms
    }
}

/// Counts per bucket out of cumulative ones. `None` without the unbounded bucket: the page was cut.
fn histogram(queue: &str, task_type: TaskType, buckets: &BTreeMap<u64, f64>, unit: f64) -> Option<LatencyHistogram> {
    let mut bounds_seconds = Vec::new();
    let mut counts = Vec::new();
    let mut before = 0.0;
    let mut complete = false;
    for (bits, cumulative) in buckets {
        let bound = f64::from_bits(*bits);
        counts.push((cumulative - before).max(0.0) as u64);
        before = before.max(*cumulative);
        if bound.is_finite() {
            bounds_seconds.push(bound * unit);
        } else {
            complete = true;
        }
    }
    (complete && !queue.is_empty()).then(|| LatencyHistogram {
        queue: queue.to_owned(),
        task_type,
        bounds_seconds,
        counts,
    })
}

/// A count of slots; nonsense reads as none.
fn whole(value: f64) -> u32 {
    value.clamp(0.0, f64::from(u32::MAX)) as u32
}

fn slot_kind(worker_type: &str) -> Option<SlotKind> {
    match worker_type {
        "WorkflowWorker" => Some(SlotKind::Workflow),
        "ActivityWorker" => Some(SlotKind::Activity),
        "NexusWorker" => Some(SlotKind::Nexus),
        "LocalActivityWorker" => Some(SlotKind::LocalActivity),
        _ => None,
    }
}

/// The histogram whose observations are the ends of this kind's tasks.
fn execution(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Workflow => "workflow_task_execution_latency",
        SlotKind::Activity => "activity_execution_latency",
        SlotKind::Nexus => "nexus_task_execution_latency",
        SlotKind::LocalActivity => "local_activity_execution_latency",
    }
}
