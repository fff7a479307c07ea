//! The cluster: pods come and go as Kubernetes lets them. A `ReplicaSet` keeps their number and chooses its victims; a kubelet
//! gives them their grace.

use std::cmp::Reverse;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::pod::{Drawn, Life, Pod};
use super::share::Share;
use super::{Event, World};
use crate::clock::At;
use crate::scaler::Phase;
use crate::scenario::Faults;

/// Share of the start time in which no container runs yet: binding, image, volumes.
const PENDING: f64 = 0.4;
/// From the deletion costs to the lower number of replicas [s]: our watch has to show the costs, and a second more.
const COSTS: f64 = 1.0;
/// First and longest wait of a crash loop [s].
const BACK_OFF: (f64, f64) = (10.0, 300.0);

impl World<'_> {
    /// A pod that was there before the start.
    pub(super) fn settle(&mut self) {
        let drawn = self.draw_pod();
        let age = drawn.pending + drawn.starting;
        let id = self.add(drawn, At::seconds(-age));
        if let Some(pod) = self.pods.get_mut(id as usize) {
            pod.scheduled = Some(pod.created);
            pod.life = Life::Starting;
            pod.share = Share::new(
                self.scenario.pods.cores,
                self.scenario.pods.idle_cores,
                self.scenario.kinds.iter().map(|kind| kind.cores),
                At::START,
            );
        }
        self.get_ready(id);
    }

    fn draw_pod(&mut self) -> Drawn {
        let pods = &self.scenario.pods;
        let random = &mut self.drawing;
        // The same number of draws for every pod, whether they are needed or not.
        let mut lognormal = |median: f64, spread: f64| {
            let normal: f64 = StandardNormal.sample(random);
            median * libm::exp(spread * normal)
        };
        let start = lognormal(pods.start_seconds, pods.start_spread);
        let provision = lognormal(pods.node_seconds, pods.start_spread);
        let needs_node = random.random::<f64>() < pods.node_probability;
        let drawn = Drawn {
            uid: random.random(),
            node: random.random_range(0..pods.nodes.max(1)),
            pending: PENDING * start + if needs_node { provision } else { 0.0 },
            starting: (1.0 - PENDING) * start,
        };
        if self.options.instant {
            return Drawn {
                pending: 0.0,
                starting: 0.0,
                ..drawn
            };
        }
        drawn
    }

    fn add(&mut self, drawn: Drawn, created: At) -> u32 {
        let id = self.pods.len() as u32;
        self.pods.push(Pod::new(self.scenario, drawn, created));
        self.existing.push(id);
        id
    }

    pub(super) fn is_in(&self, id: u32, phase: Phase) -> bool {
        self.pods
            .get(id as usize)
            .is_some_and(|pod| pod.life.phase() == Some(phase))
    }

    /// A scaler writes replicas. One that chooses its victims marks them first.
    pub(super) fn write(&mut self, replicas: u32) {
        let counted = self.existing.iter().filter(|id| self.counts(**id)).count() as u32;
        if !self.ending.idle_first || replicas >= counted {
            self.scale(replicas);
            return;
        }
        let mut candidates: Vec<u32> = self.existing.iter().copied().filter(|id| self.counts(*id)).collect();
        let now = self.now;
        candidates.sort_by_key(|id| {
            let pod = self.pods.get(*id as usize);
            pod.map(|pod| (pod.life == Life::Ready, pod.busy(), Reverse(pod.created), pod.drawn.uid))
        });
        for (number, id) in candidates.iter().enumerate() {
            if let Some(pod) = self.pods.get_mut(*id as usize) {
                pod.chosen = number < (counted - replicas) as usize;
            }
        }
        self.agenda.add(now.after(COSTS), Event::Scaled { replicas });
    }

    fn counts(&self, id: u32) -> bool {
        self.pods.get(id as usize).is_some_and(|pod| pod.life.counts())
    }

    /// The `ReplicaSet` makes it so.
    pub(super) fn scale(&mut self, replicas: u32) {
        self.replicas = replicas;
        let counted: Vec<u32> = self.existing.iter().copied().filter(|id| self.counts(*id)).collect();
        let (has, wants) = (counted.len(), replicas as usize);
        for _ in has..wants {
            self.create();
        }
        if has > wants {
            for id in self.victims(counted, has - wants) {
                self.delete(id);
            }
        }
        for id in &self.existing {
            if let Some(pod) = self.pods.get_mut(*id as usize) {
                pod.chosen = false;
            }
        }
    }

    /// Whom the `ReplicaSet` takes: without a node, pending, not Ready, of lower deletion cost, from crowded nodes, Ready for
    /// a shorter time (by powers of two, then by UID), restarted more often, created later.
    pub(super) fn victims(&self, mut ids: Vec<u32>, count: usize) -> Vec<u32> {
        let mut crowd = vec![0_u32; self.scenario.pods.nodes.max(1) as usize];
        let pod = |id: &u32| self.pods.get(*id as usize);
        for pod in ids.iter().filter_map(pod) {
            if let Some(crowd) = crowd.get_mut(pod.drawn.node as usize) {
                *crowd += u32::from(pod.life != Life::Unschedulable);
            }
        }
        ids.sort_by_cached_key(|id| {
            pod(id).map(|pod| {
                let life = match pod.life {
                    Life::Unschedulable => 0,
                    Life::Pending => 1,
                    Life::Starting | Life::CrashLoop => 2,
                    Life::Ready | Life::Draining | Life::Gone => 3,
                };
                let here = crowd.get(pod.drawn.node as usize).copied();
                let since = pod.ready.unwrap_or(pod.created);
                let age = self.now.nanos().saturating_sub(since.nanos()).max(1).ilog2();
                let order = if pod.ready.is_some() { 0 } else { pod.restarts };
                (life, !pod.chosen, Reverse(here), age, Reverse(order), pod.drawn.uid)
            })
        });
        ids.truncate(count);
        ids
    }

    fn create(&mut self) {
        let drawn = self.draw_pod();
        let id = self.add(drawn, self.now);
        if self.has_room() {
            self.schedule(id);
        } else if let Some(pod) = self.pods.get_mut(id as usize) {
            pod.life = Life::Unschedulable;
        }
    }

    fn has_room(&self) -> bool {
        let Faults { quota, .. } = self.scenario.faults;
        let Some(quota) = quota.filter(|_| !self.options.instant) else {
            return true;
        };
        let placed = self.existing.iter().filter_map(|id| self.pods.get(*id as usize));
        placed.filter(|pod| pod.scheduled.is_some()).count() < quota as usize
    }

    fn schedule(&mut self, id: u32) {
        let now = self.now;
        if let Some(pod) = self.pods.get_mut(id as usize) {
            pod.life = Life::Pending;
            pod.scheduled = Some(now);
            let at = now.after(pod.drawn.pending);
            if self.options.instant {
                self.start_container(id);
                self.get_ready(id);
            } else {
                self.agenda.add(at, Event::Started { pod: id });
            }
        }
    }

    pub(super) fn start_container(&mut self, id: u32) {
        let now = self.now;
        let crashes = self
            .scenario
            .faults
            .crash_loop
            .iter()
            .any(|span| span.holds(now.as_seconds()));
        let scenario = self.scenario;
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        if !matches!(pod.life, Life::Pending | Life::CrashLoop) {
            return;
        }
        if crashes && !self.options.instant {
            let doublings = f64::from(pod.restarts.min(10));
            let wait = (BACK_OFF.0 * libm::exp2(doublings)).min(BACK_OFF.1);
            pod.restarts += 1;
            pod.life = Life::CrashLoop;
            self.agenda.add(now.after(wait), Event::Started { pod: id });
            return;
        }
        pod.life = Life::Starting;
        let asks = scenario.kinds.iter().map(|kind| kind.cores);
        pod.share = Share::new(scenario.pods.cores, scenario.pods.idle_cores, asks, now);
        if !self.options.instant {
            let at = now.after(pod.drawn.starting);
            self.agenda.add(at, Event::Ready { pod: id });
        }
    }

    pub(super) fn get_ready(&mut self, id: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(id as usize).filter(|pod| pod.life == Life::Starting) else {
            return;
        };
        pod.life = Life::Ready;
        pod.ready = Some(now);
        pod.cpu_ready = (pod.share.cpu_seconds(now), None);
        self.ready += 1;
        for kind in 0..self.scenario.kinds.len() {
            self.open(id, kind);
            self.dispatch(kind);
        }
    }

    /// The `ReplicaSet` lets a pod go: what does not work yet ends at once, a worker drains.
    fn delete(&mut self, id: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        if pod.life != Life::Ready {
            self.go(id);
            return;
        }
        pod.life = Life::Draining;
        pod.left = Some(now);
        pod.cpu_ready.1 = Some(pod.share.cpu_seconds(now));
        let busy = pod.busy() > 0;
        self.ready -= 1;
        for kind in 0..self.scenario.kinds.len() {
            self.close(id, kind);
        }
        // In quarantine a pod has no deadline: any task that runs may outlast any grace.
        if !busy {
            self.go(id);
        } else if !self.ending.quarantine {
            self.agenda
                .add(now.after(self.ending.grace_seconds), Event::Killed { pod: id });
        }
    }

    pub(super) fn kill(&mut self, id: u32) {
        if self.is_in(id, Phase::Draining) {
            self.lose_tasks(id);
            self.go(id);
        }
    }

    /// A pod is gone; its room goes to the one that waits longest.
    pub(super) fn go(&mut self, id: u32) {
        if let Some(pod) = self.pods.get_mut(id as usize) {
            pod.life = Life::Gone;
            pod.gone = Some(self.now);
        }
        self.existing.retain(|existing| *existing != id);
        if self.scenario.faults.quota.is_some() && self.has_room() {
            let waits = |id: &&u32| {
                self.pods
                    .get(**id as usize)
                    .is_some_and(|pod| pod.life == Life::Unschedulable)
            };
            if let Some(next) = self.existing.iter().find(waits).copied() {
                self.schedule(next);
            }
        }
    }
}
