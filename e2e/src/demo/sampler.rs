//! Looks at the cluster once a second. A source that does not answer in time is `None` in that second.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, timeout};

use super::record::Sample;
use crate::{
    clock,
    fleet::{
        Fleet,
        metrics::{Scrape, quantile_between},
        operator,
        status::{Decision, merge_decisions},
        watch::PodWatch,
    },
    load::{Counts, TemporalClient},
};

/// Longest wait for one source.
const PATIENCE: Duration = Duration::from_millis(900);
/// The live percentile covers what came within this time.
const LATENCY_WINDOW: Duration = Duration::from_secs(30);
/// The live rate covers this time.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// Temporal's visibility is asked every so many seconds: it is a costly read there, and behind anyway.
const COUNT_EVERY: u64 = 3;

type Buckets = Vec<(f64, f64)>;

/// Everything that is looked at.
#[derive(Debug)]
pub struct Sampler {
    fleet: Fleet,
    watch: PodWatch,
    temporal: TemporalClient,
    /// Prefix of the IDs of our workflows.
    prefix: String,
    latencies: VecDeque<(Instant, Buckets)>,
    arrivals: VecDeque<(Instant, u64)>,
    decisions: Vec<Decision>,
    completed: Option<u64>,
    looks: u64,
}

impl Sampler {
    /// Begins to watch the pods; the rest is read by each [`Sampler::sample`]. Decisions already in the status are old.
    pub fn start(fleet: &Fleet, temporal: &TemporalClient, prefix: &str) -> Self {
        Self {
            watch: PodWatch::start(fleet),
            fleet: fleet.clone(),
            temporal: temporal.clone(),
            prefix: prefix.to_owned(),
            latencies: VecDeque::new(),
            arrivals: VecDeque::new(),
            decisions: Vec::new(),
            completed: None,
            looks: 0,
        }
    }

    /// Decisions seen so far, in order of time.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The pods' lives seen so far.
    pub fn watch(&self) -> &PodWatch {
        &self.watch
    }

    /// One look at everything.
    pub async fn sample(&mut self, counts: Counts) -> Sample {
        let at = clock::now();
        let count_now = self.looks.is_multiple_of(COUNT_EVERY);
        self.looks += 1;
        let query = format!(
            "WorkflowId STARTS_WITH \"{}-\" AND ExecutionStatus = \"Completed\"",
            self.prefix
        );
        let completed = async {
            if count_now {
                timeout(PATIENCE, self.temporal.count(&query)).await.ok()?.ok()
            } else {
                None
            }
        };
        let (view, replicas, scrape, completed) = tokio::join!(
            timeout(PATIENCE, self.fleet.view()),
            timeout(PATIENCE, self.fleet.replicas()),
            timeout(PATIENCE, operator::scrape(&self.fleet.access)),
            completed,
        );
        self.completed = completed.or(self.completed);
        let replicas = replicas.ok().and_then(Result::ok).flatten();
        let status = view
            .ok()
            .and_then(Result::ok)
            .flatten()
            .map(|view| view.status)
            .unwrap_or_default();
        merge_decisions(&mut self.decisions, &status.autoscaling.decisions);
        let (serving, ending) = self.watch.counts();
        let mut sample = Sample {
            at,
            desired: replicas.map(|replicas| replicas.desired),
            ready: replicas.map(|replicas| replicas.ready),
            pods: u32::try_from(serving + ending).ok(),
            ending: u32::try_from(ending).ok(),
            rate: self.rate(counts.due),
            backlog: status.backlog,
            backlog_age_seconds: status.backlog_age_seconds(),
            schedule_to_start_p99_seconds: status.target_seconds("ScheduleToStart"),
            started: counts.started,
            completed: self.completed,
            ..Sample::default()
        };
        if let Some(scrape) = scrape.ok().and_then(Result::ok) {
            self.fill(&mut sample, &scrape);
        }
        sample
    }

    /// What only the operator's metrics tell; they are fresher than the status, so they win where both speak.
    fn fill(&mut self, sample: &mut Sample, scrape: &Scrape) {
        let fleet = [
            ("worker_namespace", self.fleet.namespace.as_str()),
            ("worker", self.fleet.name.as_str()),
        ];
        let activities = [fleet[0], fleet[1], ("slot_type", "Activity")];
        let whole = |value: Option<f64>| value.map(|value| value.max(0.0).round() as u32);
        sample.slots_used = whole(scrape.sum("temporal_fleet_worker_slots_used", &activities));
        sample.slots_limit = whole(scrape.sum("temporal_fleet_worker_slots_limit", &activities));
        sample.cpu_utilization = scrape.max("temporal_fleet_worker_cpu_utilization_ratio", &fleet);
        let backlog = scrape.sum("temporal_fleet_task_queue_backlog", &fleet);
        sample.backlog = backlog.map(|value| value.max(0.0).round() as u64).or(sample.backlog);
        let age = scrape.max("temporal_fleet_task_queue_backlog_age_seconds", &fleet);
        sample.backlog_age_seconds = age.or(sample.backlog_age_seconds);
        let latency = [fleet[0], fleet[1], ("task_type", "Activity")];
        let buckets = scrape.buckets("temporal_fleet_task_queue_schedule_to_start_seconds", &latency);
        sample.schedule_to_start_p99_seconds = self.latency(buckets).or(sample.schedule_to_start_p99_seconds);
    }

    fn latency(&mut self, buckets: Buckets) -> Option<f64> {
        let now = Instant::now();
        self.latencies.push_back((now, buckets));
        // The oldest reading kept is the last one at least a window old.
        while self
            .latencies
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= LATENCY_WINDOW)
        {
            self.latencies.pop_front();
        }
        let (_, before) = self.latencies.front()?;
        let (_, after) = self.latencies.back()?;
        quantile_between(before, after, 0.99)
    }

    fn rate(&mut self, due: u64) -> Option<f64> {
        let now = Instant::now();
        self.arrivals.push_back((now, due));
        while self
            .arrivals
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW)
        {
            self.arrivals.pop_front();
        }
        let (since, before) = *self.arrivals.front()?;
        let seconds = now.duration_since(since).as_secs_f64();
        (seconds > 0.5).then(|| (due - before) as f64 / seconds)
    }
}
