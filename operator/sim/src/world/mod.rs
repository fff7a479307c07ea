//! The world: a cluster with one fleet, its queues, and time. Events happen one after another; after each the world is
//! consistent. A scaler looks at it through `Seen` and writes replicas; it can do nothing else.

mod cluster;
mod observe;
mod pod;
mod share;
mod work;

use rand_pcg::Pcg64;

use crate::clock::{Agenda, At};
use crate::load::Streams;
use crate::random::{Purpose, generator};
use crate::scaler::{Ending, Scaler};
use crate::scenario::Scenario;
use crate::score::{Score, Tally};
use crate::series::{Change, Point, Series};
use crate::temporal::TaskQueue;
use pod::Pod;

/// The API server's metrics of pods are of this interval [s].
const SCRAPE: f64 = 15.0;
/// Shortest time between two looks [s].
const LOOK: f64 = 0.1;

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next task of a pod ends, if nothing has changed meanwhile.
    Ended { pod: u32 },
    /// The system behind the workers has served a task.
    Served { pod: u32, task: u32 },
    /// The container of a pod starts.
    Started { pod: u32 },
    /// A pod polls.
    Ready { pod: u32 },
    /// The grace of a pod is over.
    Killed { pod: u32 },
    /// The server schedules a task again whose worker died.
    Retried { task: u32 },
    /// The rate limit of a queue lets one go.
    Allowed { queue: u32 },
    /// Replicas that were decided on reach the Deployment.
    Scaled { replicas: u32 },
    /// The use of CPU is read.
    Scraped,
    /// A point of the curves is due.
    Drawn,
    /// The scaler looks.
    Looked,
}

/// What one run leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The metrics.
    pub score: Score,
    /// Curves and decisions, if they were asked for.
    pub series: Series,
}

/// What may differ between runs of one scenario, beyond the scaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Points of the curves to keep; 0 keeps none.
    pub points: u32,
    /// Pods are Ready at once, and nothing keeps them from it: for the oracle.
    pub instant: bool,
}

/// The world of one run.
#[derive(Debug)]
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    streams: &'a Streams,
    options: Options,
    ending: Ending,
    now: At,
    agenda: Agenda<Event>,
    queues: Vec<TaskQueue>,
    /// Earliest time at which the system behind each kind is free, and the next time a rate limit lets one go.
    served: Vec<At>,
    allowed: Vec<Option<At>>,
    /// All pods there ever were, by id.
    pods: Vec<Pod>,
    /// Ids of those that exist, ascending.
    existing: Vec<u32>,
    /// Ids of Ready pods with a free slot, per kind, in no order.
    free: Vec<Vec<u32>>,
    ready: u32,
    replicas: u32,
    drawing: Pcg64,
    matching: Pcg64,
    losing: Pcg64,
    tally: Tally,
    series: Series,
}

/// Runs a scenario under a scaler, on streams drawn for `seed`.
pub fn run(scenario: &Scenario, streams: &Streams, seed: u64, scaler: &mut dyn Scaler, options: Options) -> Outcome {
    let mut world = World::new(scenario, streams, seed, scaler.ending(), options);
    world.live(scaler);
    world.finish()
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, streams: &'a Streams, seed: u64, ending: Ending, options: Options) -> Self {
        let kinds = &scenario.kinds;
        let queue = |kind: &crate::scenario::Kind| TaskQueue::new(kind.partitions as usize, kind.rate_limit);
        let mut world = Self {
            scenario,
            streams,
            options,
            ending,
            now: At::START,
            agenda: Agenda::new(),
            queues: kinds.iter().map(queue).collect(),
            served: vec![At::START; kinds.len()],
            allowed: vec![None; kinds.len()],
            pods: Vec::new(),
            existing: Vec::new(),
            free: vec![Vec::new(); kinds.len()],
            ready: 0,
            replicas: scenario.bounds.start,
            drawing: generator(seed, Purpose::Pods),
            matching: generator(seed, Purpose::Matching),
            losing: generator(seed, Purpose::Observation),
            tally: Tally::new(scenario, streams.arrivals.len()),
            series: Series::default(),
        };
        for _ in 0..scenario.bounds.start {
            world.settle();
        }
        world.agenda.add(At::seconds(SCRAPE), Event::Scraped);
        if options.points > 0 {
            world.agenda.add(At::START, Event::Drawn);
        }
        world.agenda.add(At::START, Event::Looked);
        world
    }

    /// Arrivals and events in the order of time, to the end.
    fn live(&mut self, scaler: &mut dyn Scaler) {
        let end = At::seconds(self.scenario.duration_seconds);
        let mut task = 0_u32;
        let streams = self.streams;
        let mut arrivals = streams.arrivals.iter().peekable();
        loop {
            let event = self.agenda.next();
            if let Some(arrival) = arrivals.next_if(|next| next.at <= end && event.is_none_or(|event| next.at <= event))
            {
                self.now = arrival.at;
                self.arrive(task, arrival);
                task += 1;
                continue;
            }
            let Some((at, event)) = self.agenda.pop().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = at;
            self.happen(event, scaler);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event, scaler: &mut dyn Scaler) {
        match event {
            Event::Ended { pod } => self.end_tasks(pod),
            Event::Served { pod, task } => self.serve(pod, task),
            Event::Started { pod } => self.start_container(pod),
            Event::Ready { pod } => self.get_ready(pod),
            Event::Killed { pod } => self.kill(pod),
            Event::Retried { task } => self.retry(task),
            Event::Allowed { queue } => {
                if let Some(allowed) = self.allowed.get_mut(queue as usize) {
                    *allowed = None;
                }
                self.dispatch(queue as usize);
            }
            Event::Scaled { replicas } => self.scale(replicas),
            Event::Scraped => {
                self.scrape();
                self.agenda.add(self.now.after(SCRAPE), Event::Scraped);
            }
            Event::Drawn => {
                self.draw_point();
                let step = self.scenario.duration_seconds / f64::from(self.options.points.max(1));
                self.agenda.add(self.now.after(step.max(1.0)), Event::Drawn);
            }
            Event::Looked => self.look(scaler),
        }
    }

    fn look(&mut self, scaler: &mut dyn Scaler) {
        let seen = self.see();
        self.tally.calls += u64::from(scaler.calls(&seen));
        let now = self.now.as_seconds();
        if let Some(replicas) = scaler.look(&seen).filter(|replicas| *replicas != self.replicas) {
            self.tally.scaled(self.replicas, replicas);
            if self.options.points > 0 {
                self.series.changes.push(Change {
                    at: now,
                    from: self.replicas,
                    to: replicas,
                    because: scaler.because(),
                });
            }
            self.write(replicas);
        }
        let next = scaler.next(now).max(now + LOOK);
        self.agenda.add(At::seconds(next), Event::Looked);
    }

    fn draw_point(&mut self) {
        let of = |phase| self.existing.iter().filter(|id| self.is_in(**id, phase)).count() as u32;
        let point = Point {
            at: self.now.as_seconds(),
            backlog: self.queues.iter().map(TaskQueue::backlog).sum(),
            age: self.queues.iter().map(|queue| queue.age(self.now)).fold(0.0, f64::max),
            desired: self.replicas,
            ready: self.ready,
            starting: of(crate::scaler::Phase::Pending) + of(crate::scaler::Phase::Starting),
            draining: of(crate::scaler::Phase::Draining),
            pod_seconds: self.pods.iter().map(|pod| self.cost(pod)).sum(),
        };
        self.series.points.push(point);
    }

    /// Seconds for which a pod has cost so far.
    fn cost(&self, pod: &Pod) -> f64 {
        let from = pod.scheduled.map(|at| at.max(At::START));
        from.map_or(0.0, |from| pod.gone.unwrap_or(self.now).since(from))
    }

    fn finish(mut self) -> Outcome {
        for queue in &self.queues {
            for waiting in queue.waiting() {
                self.tally.waited(waiting.scheduled, self.now);
            }
        }
        let (mut used, mut seconds) = (0.0, 0.0);
        for pod in &self.pods {
            let (more, time) = pod.ready_cpu(self.now);
            used += more;
            seconds += time;
        }
        let pod_seconds = self.pods.iter().map(|pod| self.cost(pod)).sum();
        let started = self.pods.len() as u64 - u64::from(self.scenario.bounds.start);
        let cpu = (seconds > 0.0).then(|| used / (seconds * self.scenario.pods.cores));
        Outcome {
            score: self.tally.score(pod_seconds, started, cpu),
            series: self.series,
        }
    }
}

#[cfg(test)]
mod tests;
