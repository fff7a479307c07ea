//! Starts workflows as the plan says and keeps a list of them.
//!
//! Open loop: arrivals that are due while Temporal is away are started late, but none is left out. One task paces, the
//! starts themselves run beside it, so that one slow start delays no other.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    client::{Error, TemporalClient},
    plan::{Gaps, Stream},
};
use crate::clock;

/// Starts at the same time, at most: a server that was away is not met by everything that waited.
const CONCURRENT_STARTS: usize = 32;

/// One workflow to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Unique in the Temporal namespace.
    pub workflow_id: String,
    /// Workflow type.
    pub workflow: String,
    /// Its argument.
    pub argument: Value,
}

/// One workflow that was started, or could not be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Its ID.
    pub workflow_id: String,
    /// Its run; `None` if Temporal never confirmed the start.
    pub run_id: Option<String>,
    /// Workflow type.
    pub workflow: String,
    /// The phase of the plan in which it was due.
    pub phase: String,
    /// When it was due.
    pub due: Timestamp,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Arrivals of the plan so far.
    pub due: u64,
    /// Starts that Temporal confirmed.
    pub started: u64,
    /// Starts given up.
    pub failed: u64,
}

/// Something that starts workflows: Temporal, or a test's stand-in.
pub trait Starter: Clone + Send + Sync + 'static {
    /// Starts one workflow and gives its run ID; tries until `deadline`.
    fn start(&self, order: Order, deadline: Instant) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Starts on one task queue of a Temporal server.
#[derive(Debug, Clone)]
pub struct OnQueue {
    /// The server.
    pub client: TemporalClient,
    /// The queue.
    pub task_queue: String,
}

impl Starter for OnQueue {
    async fn start(&self, order: Order, deadline: Instant) -> Result<String, Error> {
        let Order {
            workflow_id,
            workflow,
            argument,
        } = order;
        self.client
            .start(&self.task_queue, &workflow, &workflow_id, &argument, deadline)
            .await
    }
}

#[derive(Debug, Default)]
struct Shared {
    due: AtomicU64,
    confirmed: AtomicU64,
    failed: AtomicU64,
    started: Mutex<Vec<Started>>,
}

enum Command {
    Streams { phase: String, streams: Vec<Stream> },
    Burst { phase: String, stream: Stream, count: u32 },
}

/// Load that runs until [`Generator::finish`]; dropping it stops the arrivals.
#[derive(Debug)]
pub struct Generator {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Generator {
    /// Begins without load. Workflow IDs are `<prefix>-<number>`; a start is tried for `patience`.
    pub fn new(starter: impl Starter, prefix: &str, seed: u64, patience: Duration) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let pacer = Pacer {
            starter,
            prefix: prefix.to_owned(),
            patience,
            gaps: Gaps::new(seed),
            shared: shared.clone(),
            permits: Arc::new(Semaphore::new(CONCURRENT_STARTS)),
            starts: JoinSet::new(),
            next: 0,
        };
        let task = tokio::spawn(pacer.run(orders));
        Self { commands, shared, task }
    }

    /// From now on these streams, noted under `phase`; what was due before stays started.
    pub fn set(&self, phase: &str, streams: Vec<Stream>) {
        // A closed channel means that the pacer has ended, which only `finish` brings about.
        let _ = self.commands.send(Command::Streams {
            phase: phase.to_owned(),
            streams,
        });
    }

    /// `count` workflows of a stream at once, whatever its rate.
    pub fn burst(&self, phase: &str, stream: Stream, count: u32) {
        let _ = self.commands.send(Command::Burst {
            phase: phase.to_owned(),
            stream,
            count,
        });
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            due: self.shared.due.load(Ordering::Relaxed),
            started: self.shared.confirmed.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
        }
    }

    /// All workflows so far, in the order in which their starts ended.
    pub fn started(&self) -> Vec<Started> {
        self.shared
            .started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops the arrivals, waits for the starts under way, and gives the list.
    pub async fn finish(self) -> Vec<Started> {
        let Self { commands, shared, task } = self;
        drop(commands);
        // The pacer neither panics nor is aborted; if it did, the list is still what Temporal confirmed.
        let _ = task.await;
        let mut list = shared.started.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *list)
    }
}

struct Pacer<S> {
    starter: S,
    prefix: String,
    patience: Duration,
    gaps: Gaps,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    starts: JoinSet<()>,
    next: u64,
}

/// A stream and its next arrival; `None`: never.
struct Running {
    stream: Stream,
    due: Option<Instant>,
}

impl<S: Starter> Pacer<S> {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut phase = String::new();
        let mut running: Vec<Running> = Vec::new();
        loop {
            let soonest = running.iter().filter_map(|each| each.due).min();
            let arrival = async {
                match soonest {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    None => break,
                    Some(Command::Streams { phase: name, streams }) => {
                        phase = name;
                        running = streams.into_iter().map(|stream| self.begin(stream)).collect();
                    }
                    Some(Command::Burst { phase, stream, count }) => {
                        for _ in 0..count {
                            self.launch(&phase, &stream);
                        }
                    }
                },
                () = arrival => {
                    for each in &mut running {
                        if let Some(due) = each.due.filter(|due| Some(*due) == soonest) {
                            self.launch(&phase, &each.stream);
                            // From the arrival due, not from now: lateness must not lower the rate.
                            each.due = self.gaps.next_gap(each.stream.per_second).map(|gap| due + gap);
                        }
                    }
                }
                // Ended starts are taken out as they come, so that the set stays small.
                Some(_) = self.starts.join_next() => {}
            }
        }
        while self.starts.join_next().await.is_some() {}
    }

    fn begin(&mut self, stream: Stream) -> Running {
        let due = self.gaps.next_gap(stream.per_second).map(|gap| Instant::now() + gap);
        Running { stream, due }
    }

    fn launch(&mut self, phase: &str, stream: &Stream) {
        self.next += 1;
        let workflow_id = format!("{}-{:05}", self.prefix, self.next);
        let order = Order {
            argument: stream.input.to_json(&workflow_id),
            workflow: stream.workflow.clone(),
            workflow_id: workflow_id.clone(),
        };
        let due = clock::now();
        let mut entry = Started {
            workflow_id,
            run_id: None,
            workflow: stream.workflow.clone(),
            phase: phase.to_owned(),
            due,
        };
        let (starter, shared, permits) = (self.starter.clone(), self.shared.clone(), self.permits.clone());
        let deadline = Instant::now() + self.patience;
        shared.due.fetch_add(1, Ordering::Relaxed);
        self.starts.spawn(async move {
            // The semaphore is never closed; without a permit the start would only be less polite.
            let _permit = permits.acquire().await;
            match starter.start(order, deadline).await {
                Ok(run_id) => {
                    entry.run_id = Some(run_id);
                    shared.confirmed.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    shared.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(workflow_id = %entry.workflow_id, %error, "a workflow could not be started");
                }
            }
            shared
                .started
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(entry);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Confirms each start after a while, or never before `away_until`.
    #[derive(Clone)]
    struct Fake {
        latency: Duration,
        away_until: Option<Instant>,
    }

    impl Starter for Fake {
        async fn start(&self, order: Order, deadline: Instant) -> Result<String, Error> {
            if let Some(back) = self.away_until {
                tokio::time::sleep_until(back.min(deadline)).await;
                if back > deadline {
                    let status = Box::new(temporalio_client::tonic::Status::unavailable("away"));
                    return Err(Error::Call {
                        what: "start".to_owned(),
                        status,
                    });
                }
            }
            tokio::time::sleep(self.latency).await;
            Ok(format!("run-of-{}", order.workflow_id))
        }
    }

    fn quick() -> Fake {
        Fake {
            latency: Duration::from_millis(5),
            away_until: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn arrivals_follow_the_phases() {
        let load = Generator::new(quick(), "t", 3, Duration::from_secs(30));
        load.set("quiet", vec![Stream::new("A", 1.0)]);
        tokio::time::sleep(Duration::from_secs(200)).await;
        load.set(
            "step",
            vec![Stream::new("A", 10.0), Stream::new("B", 2.0).with_number(250)],
        );
        tokio::time::sleep(Duration::from_secs(200)).await;
        load.set("off", vec![]);
        tokio::time::sleep(Duration::from_secs(200)).await;
        let list = load.finish().await;
        let count = |phase: &str, workflow: &str| {
            list.iter()
                .filter(|each| each.phase == phase && each.workflow == workflow)
                .count()
        };
        assert!((160..=240).contains(&count("quiet", "A")), "{}", count("quiet", "A"));
        assert!((1850..=2150).contains(&count("step", "A")), "{}", count("step", "A"));
        assert!((330..=470).contains(&count("step", "B")), "{}", count("step", "B"));
        assert_eq!(list.iter().filter(|each| each.phase == "off").count(), 0);
        assert!(list.iter().all(|each| each.run_id.is_some()));
        let ids: std::collections::BTreeSet<_> = list.iter().map(|each| &each.workflow_id).collect();
        assert_eq!(ids.len(), list.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_delays_starts_and_loses_none() {
        let away = Fake {
            latency: Duration::from_millis(1),
            away_until: Some(Instant::now() + Duration::from_secs(90)),
        };
        let load = Generator::new(away, "t", 5, Duration::from_mins(3));
        load.set("outage", vec![Stream::new("A", 5.0)]);
        tokio::time::sleep(Duration::from_mins(1)).await;
        let during = load.counts();
        assert!(during.due > 200 && during.started == 0, "{during:?}");
        let list = load.finish().await;
        assert_eq!(
            list.iter().filter(|each| each.run_id.is_some()).count() as u64,
            during.due
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_never_comes_through_is_counted() {
        let away = Fake {
            latency: Duration::ZERO,
            away_until: Some(Instant::now() + Duration::from_hours(1)),
        };
        let load = Generator::new(away, "t", 5, Duration::from_secs(10));
        load.burst("b", Stream::new("A", 0.0), 3);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(
            load.counts(),
            Counts {
                due: 3,
                started: 0,
                failed: 3
            }
        );
        assert!(
            load.finish()
                .await
                .iter()
                .all(|each| each.run_id.is_none() && each.phase == "b")
        );
    }
}
