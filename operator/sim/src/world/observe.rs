//! What a scaler sees of the world: the statistics as the server tells them, the pods as they report and as the API server
//! shows them, with what faults take away.

use rand::RngExt;

use super::pod::{Life, Pod};
use super::{SCRAPE, World};
use crate::clock::At;
use crate::scaler::{self, Queue, Seen};

impl World<'_> {
    /// A look.
    pub(super) fn see(&mut self) -> Seen {
        let queues = self.see_queues();
        let lost_reports = self.scenario.faults.lost_reports;
        let mut pods = Vec::with_capacity(self.existing.len());
        for id in &self.existing {
            let lost = lost_reports > 0.0 && self.losing.random::<f64>() < lost_reports;
            if let Some(pod) = self.pods.get(*id as usize) {
                pods.extend(self.see_pod(*id, pod, lost));
            }
        }
        Seen {
            now: self.now.as_seconds(),
            replicas: self.replicas,
            pods,
            queues,
        }
    }

    fn see_queues(&mut self) -> Vec<Option<Queue>> {
        let faults = &self.scenario.faults;
        let blind = faults.blind.iter().any(|span| span.holds(self.now.as_seconds()));
        let (now, polled) = (self.now, self.ready > 0);
        let mut seen = Vec::with_capacity(self.queues.len());
        for queue in &mut self.queues {
            let lost = faults.lost_queues > 0.0 && self.losing.random::<f64>() < faults.lost_queues;
            let answered = !blind && !lost;
            seen.push(answered.then(|| queue.describe(now, polled, faults.stale_seconds)));
        }
        seen
    }

    fn see_pod(&self, id: u32, pod: &Pod, lost: bool) -> Option<scaler::Pod> {
        let phase = pod.life.phase()?;
        let now = self.now;
        let runs = matches!(pod.life, Life::Starting | Life::Ready | Life::Draining);
        let reports = matches!(pod.life, Life::Ready | Life::Draining) && !lost;
        let slots = pod.slots.iter().enumerate().map(|(queue, slots)| scaler::Slots {
            queue,
            used: slots.used,
            limit: slots.limit,
            completions: slots.completions,
            busy_seconds: slots.busy_seconds(now),
        });
        Some(scaler::Pod {
            id: u64::from(id),
            phase,
            created: pod.created.as_seconds(),
            ready: pod.ready.map(At::as_seconds),
            cpu_request: self.scenario.pods.cpu_request.unwrap_or(self.scenario.pods.cores),
            cpu_limit: self.scenario.pods.cores,
            cpu_cores: pod.cpu_cores,
            cpu_seconds: if runs { pod.share.cpu_seconds(now) } else { 0.0 },
            slots: if reports { slots.collect() } else { Vec::new() },
            schedule_to_start: if reports {
                pod.slots.iter().map(|slots| slots.latency.to_vec()).collect()
            } else {
                Vec::new()
            },
        })
    }

    /// The metrics server reads the CPU time of every pod that runs.
    pub(super) fn scrape(&mut self) {
        for id in &self.existing {
            let Some(pod) = self.pods.get_mut(*id as usize) else {
                continue;
            };
            if matches!(pod.life, Life::Starting | Life::Ready | Life::Draining) {
                let cpu = pod.share.cpu_seconds(self.now);
                pod.cpu_cores = pod.scraped.map(|before| (cpu - before).max(0.0) / SCRAPE);
                pod.scraped = Some(cpu);
            }
        }
    }
}
