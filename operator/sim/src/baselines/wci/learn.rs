//! What a full pod can do, learned from the counters of the pods.
//!
//! Two ceilings: slots over service time, and cores over CPU per task. Both come from sums that fade with the tasks completed, not
//! with time: a fleet with hours-long tasks forgets nothing while none ends, and a busy one follows a change within some
//! hundred tasks. Until five tasks are done, the prior of our own law stands.

use std::collections::BTreeMap;

use crate::scaler::Pod;
use crate::setting::Setting;

/// Completed tasks after which an observation has faded to 1/e.
const MEMORY_TASKS: f64 = 500.0;
/// Completed tasks from which a figure is used.
const USABLE_TASKS: f64 = 5.0;

/// Sums over the recent past.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    tasks: f64,
    /// Busy slot-seconds or core-seconds.
    spent: f64,
}

impl Sums {
    fn add(&mut self, tasks: f64, spent: f64) {
        let fade = libm::exp(-tasks / MEMORY_TASKS);
        self.tasks = self.tasks * fade + tasks;
        self.spent = self.spent * fade + spent;
    }

    /// Spent per task, once enough tasks are known.
    fn per_task(self) -> Option<f64> {
        (self.tasks >= USABLE_TASKS).then(|| self.spent / self.tasks)
    }
}

/// Counters of a pod at the last look.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counters {
    cpu_seconds: f64,
    /// (completions, busy slot-seconds) per queue.
    queues: Vec<(u64, f64)>,
}

/// The learned figures of a fleet.
#[derive(Clone, Debug)]
pub struct Learned {
    slots: Vec<f64>,
    cores: f64,
    prior_seconds: f64,
    service: Vec<Sums>,
    cpu: Sums,
    last: BTreeMap<u64, Counters>,
}

impl Learned {
    /// Nothing known but the configuration: slots per queue, and the CPU limit of a pod or else its request.
    pub fn new(setting: &Setting) -> Self {
        let limited = setting.cpu_limit > 0.0;
        Self {
            slots: setting.slots.iter().map(|slots| f64::from(*slots)).collect(),
            cores: if limited {
                setting.cpu_limit
            } else {
                setting.cpu_request
            },
            prior_seconds: fleet_autoscale::Prior::default().service_seconds,
            service: vec![Sums::default(); setting.slots.len()],
            cpu: Sums::default(),
            last: BTreeMap::new(),
        }
    }

    /// Takes in what the pods counted since the last look. A pod that does not report is caught up with later.
    pub fn observe(&mut self, pods: &[Pod]) {
        let (mut tasks, mut cores) = (0.0, 0.0);
        let mut deltas = vec![(0.0, 0.0); self.service.len()];
        for pod in pods.iter().filter(|pod| !pod.slots.is_empty()) {
            let last = self.last.entry(pod.id).or_default();
            last.queues.resize(deltas.len(), (0, 0.0));
            cores += pod.cpu_seconds - last.cpu_seconds;
            last.cpu_seconds = pod.cpu_seconds;
            for slots in &pod.slots {
                let (Some(delta), Some(then)) = (deltas.get_mut(slots.queue), last.queues.get_mut(slots.queue)) else {
                    continue;
                };
                let done = slots.completions.saturating_sub(then.0) as f64;
                delta.0 += done;
                delta.1 += (slots.busy_seconds - then.1).max(0.0);
                tasks += done;
                *then = (slots.completions, slots.busy_seconds);
            }
        }
        for (sums, (done, busy)) in self.service.iter_mut().zip(deltas) {
            sums.add(done, busy);
        }
        self.cpu.add(tasks, cores.max(0.0));
        // Pods come in the order of their ids.
        self.last
            .retain(|id, _| pods.binary_search_by_key(id, |pod| pod.id).is_ok());
    }

    /// Tasks per second of a pod whose slots for a queue are all taken; 0 for an unknown queue.
    pub fn tasks_per_slots(&self, queue: usize) -> f64 {
        let slots = self.slots.get(queue).copied().unwrap_or(0.0);
        let sums = self.service.get(queue).copied().unwrap_or_default();
        let seconds = sums.per_task().filter(|seconds| *seconds > 0.0);
        slots / seconds.unwrap_or(self.prior_seconds)
    }

    /// Tasks per second of a pod whose CPU is used up; `None` while unknown or without limit.
    pub fn tasks_per_cpu(&self) -> Option<f64> {
        let cores = self.cpu.per_task().filter(|cores| *cores > 0.0)?;
        (self.cores > 0.0).then_some(self.cores / cores)
    }
}
