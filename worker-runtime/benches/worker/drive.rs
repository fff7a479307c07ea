//! Load on the in-process frontend, and what its workflows cost: CPU time of the process for as many as go, and how long one takes
//! when they come at a rate that leaves the worker idle between them.
//!
//! A workflow is three tasks: its start, an activity, its end. It counts as ended when the frontend gets its result.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use prost::Message as _;
use temporalio_client::{ConnectionOptions, callback_based::CallbackBasedGrpcService};
use temporalio_common::protos::temporal::api::{
    command::v1::command::Attributes, workflowservice::v1::RespondWorkflowTaskCompletedRequest,
};

use crate::{fake::Frontend, history::json};

/// Workflows that are open at once while CPU time is measured.
const OPEN: usize = 50;
/// The frontend's bookkeeping grows with the runs it has seen: it forgets them after so many.
const BATCH: usize = 250;
/// Before anything is measured: connections, caches, lazily made threads.
const WARM_UP: usize = 500;
/// For one workflow; longer means that the worker is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    workflows: usize,
    paced: usize,
    per_second: f64,
}

/// The frontend, and the news of workflows that ended.
pub(crate) struct Drive {
    frontend: Arc<Frontend>,
    ended: Receiver<(usize, Instant)>,
}

/// Puts the frontend in the place of the network.
pub(crate) type Customise = Box<dyn Fn(&mut ConnectionOptions) + Send + Sync>;

impl Plan {
    pub(crate) fn parse(workflows: &str, paced: &str, per_second: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            workflows: workflows.parse()?,
            paced: paced.parse()?,
            per_second: per_second.parse()?,
        })
    }
}

impl Drive {
    /// A frontend that tells when a workflow ends.
    pub(crate) fn new() -> (Self, Customise) {
        let mut frontend = Frontend::default();
        frontend.at_once = true;
        let frontend = Arc::new(frontend);
        let plain = frontend.customise();
        let (tell, ended) = channel();
        let customise = move |options: &mut ConnectionOptions| {
            plain(options);
            let Some(service) = options.service_override.take() else {
                return;
            };
            let (inner, tell) = (service.callback, tell.clone());
            options.service_override = Some(CallbackBasedGrpcService {
                callback: Arc::new(move |request| {
                    let run = (request.rpc == "RespondWorkflowTaskCompleted")
                        .then(|| ends(&request.proto))
                        .flatten();
                    let (answer, tell) = (inner(request), tell.clone());
                    async move {
                        let answer = answer.await;
                        if let Some(run) = run {
                            let _ = tell.send((run, Instant::now()));
                        }
                        answer
                    }
                    .boxed()
                }),
            });
        };
        (
            Self {
                frontend: Arc::clone(&frontend),
                ended,
            },
            Box::new(customise),
        )
    }

    /// Runs the plan. The line of JSON is the measurement.
    pub(crate) fn measure(&self, plan: Plan) -> Result<serde_json::Value, Box<dyn Error>> {
        let Plan {
            workflows,
            paced,
            per_second,
        } = plan;
        self.flood(WARM_UP)?;
        let (threads, cpu, began) = (thread_cpu(), cpu_millis()?, Instant::now());
        self.flood(workflows)?;
        let (cpu, wall) = (cpu_millis()? - cpu, began.elapsed());
        let threads = since(&threads, &thread_cpu());
        let mut latencies = self.pace(paced, Duration::from_secs_f64(1.0 / per_second))?;
        latencies.sort_unstable();
        let at = |share: usize| {
            let index = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).map(|latency| latency.as_secs_f64() * 1_000.0)
        };
        Ok(serde_json::json!({
            "workflows": workflows,
            "tasks": 3 * workflows,
            "cpu_ms": cpu,
            "wall_ms": wall.as_millis() as u64,
            "cpu_ms_of_threads": threads,
            "p50_ms": at(50),
            "p99_ms": at(99),
        }))
    }

    /// So many workflows, a fixed number of them open at any time.
    fn flood(&self, workflows: usize) -> Result<(), Box<dyn Error>> {
        let mut left = workflows;
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            self.forget();
            let mut started = 0;
            for ended in 0..batch {
                while started < batch && started - ended < OPEN {
                    self.start();
                    started += 1;
                }
                self.ended.recv_timeout(PATIENCE)?;
            }
        }
        Ok(())
    }

    /// One workflow after the other at fixed times; how long each took.
    fn pace(&self, workflows: usize, gap: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
        let mut latencies = Vec::with_capacity(workflows);
        let mut left = workflows;
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            self.forget();
            let begin = Instant::now();
            // When each was to start, not when it did: a late start is waiting, too.
            let due = |index: usize| begin + gap * u32::try_from(index).unwrap_or(u32::MAX);
            for index in 0..batch {
                std::thread::sleep(due(index).saturating_duration_since(Instant::now()));
                self.start();
            }
            for _ in 0..batch {
                let (run, at) = self.ended.recv_timeout(PATIENCE)?;
                latencies.push(at.saturating_duration_since(due(run)));
            }
        }
        Ok(latencies)
    }

    fn start(&self) {
        self.frontend.runs(|runs| runs.start("Order", Some(json(&"order"))));
    }

    fn forget(&self) {
        self.frontend.runs(|runs| runs.all.clear());
        let mut state = self.frontend.state();
        state.results.clear();
    }
}

/// The run that a completed workflow task ends.
fn ends(request: &[u8]) -> Option<usize> {
    let request = RespondWorkflowTaskCompletedRequest::decode(request).ok()?;
    let ends =
        |attributes: &Attributes| matches!(attributes, Attributes::CompleteWorkflowExecutionCommandAttributes(_));
    let ended = request
        .commands
        .iter()
        .any(|command| command.attributes.as_ref().is_some_and(ends));
    ended
        .then(|| std::str::from_utf8(&request.task_token).ok()?.parse().ok())
        .flatten()
}

/// CPU time of this process, threads that ended included; Linux counts it in steps of 10 ms.
fn cpu_millis() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let used: Vec<u64> = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(used.iter().sum::<u64>() * 10)
}

/// CPU milliseconds of the threads that live now, by name and number.
fn thread_cpu() -> BTreeMap<String, f64> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let path = task.path();
            let name = fs::read_to_string(path.join("comm")).ok()?;
            let used = fs::read_to_string(path.join("schedstat")).ok()?;
            let nanos: f64 = used.split_ascii_whitespace().next()?.parse().ok()?;
            let id = path.file_name()?.to_string_lossy().into_owned();
            Some((format!("{} {id}", name.trim()), nanos / 1e6))
        })
        .collect()
}

/// What was used in between, summed up by name.
fn since(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (thread, millis) in after {
        let name = thread.rsplit_once(' ').map_or(thread.as_str(), |(name, _)| name);
        let used = millis - before.get(thread).copied().unwrap_or_default();
        *sums.entry(name.to_owned()).or_default() += used.round();
    }
    sums
}
