//! The work queue of a controller, under controller-runtime's names. The queue itself is inside kube and tells nothing: objects are
//! counted where they are handed in and where their pass begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, Registry};
use tokio::time::Instant;

use super::register;

/// controller-runtime's own buckets [s].
const BUCKETS: [f64; 11] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 1000.0];

/// The metrics of all queues.
#[derive(Clone)]
pub(super) struct Workqueues {
    depth: IntGaugeVec,
    adds: IntCounterVec,
    waited: HistogramVec,
    unfinished: GaugeVec,
    queues: Arc<Mutex<Vec<Workqueue>>>,
}

impl Workqueues {
    /// Registers them.
    ///
    /// # Errors
    /// If the registry has a metric of one of these names, or the catalog has not.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let all = Self {
            depth: register::gauge(registry, "workqueue_depth")?,
            adds: register::counter(registry, "workqueue_adds_total")?,
            waited: register::histogram(registry, "workqueue_queue_duration_seconds", &BUCKETS)?,
            unfinished: register::ratio(registry, "workqueue_unfinished_work_seconds")?,
            queues: Arc::default(),
        };
        Ok(all)
    }

    /// The queue of a controller; the same for the same name.
    pub(super) fn queue(&self, name: &'static str) -> Workqueue {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.iter().find(|queue| queue.0.name == name) {
            return queue.clone();
        }
        let queue = Workqueue(Arc::new(Inner {
            name,
            adds: self.adds.with_label_values(&[name]),
            waited: self.waited.with_label_values(&[name]),
            state: Mutex::default(),
        }));
        queues.push(queue.clone());
        queue
    }

    /// Sets the gauges for `now`.
    pub(super) fn refresh(&self, now: Instant) {
        for queue in self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let state = queue.state();
            let depth = i64::try_from(state.waiting.len()).unwrap_or(i64::MAX);
            let ages = state.running.values().map(|since| (now - *since).as_secs_f64());
            self.depth.with_label_values(&[queue.0.name]).set(depth);
            // The sum of nothing is -0.
            let sum = ages.fold(0.0, |sum, age| sum + age);
            self.unfinished.with_label_values(&[queue.0.name]).set(sum);
        }
    }
}

/// One queue. Clones share it. An object is named by anything that is unique in it.
#[derive(Clone)]
pub struct Workqueue(Arc<Inner>);

struct Inner {
    name: &'static str,
    adds: prometheus::IntCounter,
    waited: prometheus::Histogram,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<String, Instant>,
    running: HashMap<String, Instant>,
}

impl Workqueue {
    /// An object was handed in. One that waits already waits on.
    pub fn added(&self, object: String, now: Instant) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.state().waiting.entry(object) {
            entry.insert(now);
            self.0.adds.inc();
        }
    }

    /// The pass of an object begins; it ends with the answer's drop. What was not handed in came by itself when its time had come, and
    /// did not wait.
    pub fn started(&self, object: String, now: Instant) -> Working {
        let mut state = self.state();
        if let Some(since) = state.waiting.remove(&object) {
            self.0.waited.observe((now - since).as_secs_f64());
        } else {
            self.0.adds.inc();
            self.0.waited.observe(0.0);
        }
        state.running.insert(object.clone(), now);
        drop(state);
        Working {
            queue: self.clone(),
            object,
        }
    }

    /// The object is gone: no pass will come.
    pub fn gone(&self, object: &str) {
        self.state().waiting.remove(object);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass that runs.
pub struct Working {
    queue: Workqueue,
    object: String,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.queue.state().running.remove(&self.object);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn what_waits_and_what_runs_is_told() {
        let registry = Registry::new();
        let queues = Workqueues::new(&registry).expect("fresh names");
        let queue = queues.queue("temporalworker");
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let text = |now| {
            queues.refresh(now);
            TextEncoder::new().encode_to_string(&registry.gather()).expect("text")
        };
        queue.added("shop/a".into(), at(0));
        queue.added("shop/a".into(), at(1));
        queue.added("shop/b".into(), at(1));
        let seen = text(at(2));
        for line in [
            r#"workqueue_depth{name="temporalworker"} 2"#,
            r#"workqueue_adds_total{name="temporalworker"} 2"#,
        ] {
            assert!(seen.contains(line), "{line} is not in\n{seen}");
        }

        let pass = queues.queue("temporalworker").started("shop/a".into(), at(3));
        queue.gone("shop/b");
        let repeat = queue.started("shop/c".into(), at(4));
        let seen = text(at(5));
        for line in [
            r#"workqueue_depth{name="temporalworker"} 0"#,
            r#"workqueue_adds_total{name="temporalworker"} 3"#,
            r#"workqueue_queue_duration_seconds_sum{name="temporalworker"} 3"#,
            r#"workqueue_queue_duration_seconds_count{name="temporalworker"} 2"#,
            r#"workqueue_unfinished_work_seconds{name="temporalworker"} 3"#,
        ] {
            assert!(seen.contains(line), "{line} is not in\n{seen}");
        }
        drop((pass, repeat));
        assert!(text(at(9)).contains(r#"workqueue_unfinished_work_seconds{name="temporalworker"} 0"#));
    }
}
