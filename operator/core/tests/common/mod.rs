//! A small model of the cluster: it carries out the steps of a plan as the API server and the Deployment controller would.

use std::collections::BTreeMap;

use fleet_core::autoscale::{PodReport, Policy, Seen, SlotKind, SlotReport, TaskType};
use fleet_core::rules::scale::VICTIM_COST;
use fleet_core::{
    Child, ChildView, Connection, DeploymentView, Desired, Eviction, Pause, PodView, Quarantine, Queue, QueueStats,
    QueueView, RateLimit, Size, Source, Step, WorkerReport, World,
};
use jiff::{SignedDuration, Timestamp};

/// The start of every scenario.
pub(crate) fn t0() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("in range")
}

pub(crate) fn activity_queue() -> Queue {
    Queue {
        name: "invoices".into(),
        task_type: TaskType::Activity,
    }
}

/// A fleet whose author fixed its size.
pub(crate) fn a_fleet(replicas: u32) -> Desired {
    Desired {
        name: "billing".into(),
        namespace: "shop".into(),
        queue_rate: None,
        pause: Pause::default(),
        size: Size::Fixed {
            replicas,
            shadow: None,
            turned_off: false,
        },
        queues: vec![activity_queue()],
        default_slots: BTreeMap::new(),
        deployment_hash: "d1".into(),
        budget_hash: "b1".into(),
        graceful: SignedDuration::from_secs(60),
        progress_deadline: SignedDuration::from_secs(600),
    }
}

/// The same fleet, autoscaled.
pub(crate) fn autoscaled(min: u32, max: u32) -> Desired {
    let policy = Policy::new(min, max).expect("valid bounds");
    Desired {
        size: Size::Auto { policy, replicas: 1 },
        ..a_fleet(1)
    }
}

/// The cluster as it stands, and everything that was ever done to it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub world: World,
    pub applied_hash: String,
    version: u64,
    next_pod: u64,
    /// A pod that the `ReplicaSet` makes in the place of another is Ready at once.
    pub quick: bool,
    /// UIDs of pods that ended while they ran something.
    pub cut_off: Vec<String>,
}

impl Cluster {
    pub(crate) fn empty() -> Self {
        let world = World {
            connection: Connection::Connected {
                message: "Temporal 1.32.1".into(),
            },
            claimed_by: None,
            rate_claimed_by: None,
            rival: None,
            deployment: Seen::Known(Child::Absent),
            budget: Seen::Known(Child::Absent),
            control_secret: Seen::Known(Child::Absent),
            pods: Seen::Known(Vec::new()),
            queues: vec![QueueView {
                queue: activity_queue(),
                stats: Seen::Known(QueueStats::default()),
                pollers: Seen::Known(Vec::new()),
                rate_limit: Seen::Known(None),
                at: t0(),
                stretched: None,
            }],
        };
        Self {
            world,
            applied_hash: String::new(),
            version: 1,
            next_pod: 0,
            quick: false,
            cut_off: Vec::new(),
        }
    }

    fn object(&mut self, uid: &str, hash: &str) -> ChildView {
        self.version += 1;
        ChildView {
            uid: uid.into(),
            resource_version: self.version.to_string(),
            hash: Some(hash.into()),
            intact: true,
            deleting: false,
        }
    }

    pub(crate) fn pods(&mut self) -> &mut Vec<PodView> {
        match &mut self.world.pods {
            Seen::Known(pods) => pods,
            Seen::Unknown { reason } => panic!("pods unknown: {reason}"),
        }
    }

    pub(crate) fn deployment(&mut self) -> &mut DeploymentView {
        match &mut self.world.deployment {
            Seen::Known(Child::Ours(view)) => view,
            other => panic!("no Deployment of ours: {other:?}"),
        }
    }

    /// Carries out one step; preconditions that do not hold are an error, as a 409 would be.
    pub(crate) fn execute(&mut self, desired: &Desired, step: &Step, now: Timestamp) -> Result<(), String> {
        match step {
            Step::LimitQueue {
                queue,
                per_second,
                reason,
            } => {
                for view in self.world.queues.iter_mut().filter(|view| view.queue.name == *queue) {
                    view.rate_limit = Seen::Known(per_second.map(|per_second| RateLimit {
                        per_second,
                        reason: reason.clone(),
                    }));
                }
            }
            Step::MakeControlSecret => {
                let object = self.object("secret", "s1");
                self.world.control_secret = Seen::Known(Child::Ours(object));
            }
            Step::ApplyBudget => {
                let object = self.object("budget", &desired.budget_hash);
                self.world.budget = Seen::Known(Child::Ours(object));
            }
            Step::ApplyDeployment { replicas } => self.apply_deployment(desired, *replicas, now),
            Step::MarkPod { name: _, uid, victim } => {
                let pod = self.pod(uid)?;
                pod.deletion_cost = victim.then_some(VICTIM_COST);
            }
            Step::Drain { name: _, uid } => {
                let pod = self.pod(uid)?;
                let Seen::Known(report) = &mut pod.report else {
                    return Err("the pod does not answer".into());
                };
                report.draining = true;
                report.pod.at = now;
                report.drained = report.pod.slots.iter().all(|slot| slot.used == 0);
            }
            Step::Quarantine {
                name: _,
                uid,
                controller,
                why: _,
            } => {
                let pod = self.pod(uid)?;
                pod.deletion_cost = None;
                pod.quarantine = match (*controller, pod.quarantine) {
                    (true, Quarantine::Free | Quarantine::Kept) => Quarantine::Kept,
                    (true, _) => return Err("only one controller is allowed".into()),
                    (false, Quarantine::No) => Quarantine::Leaving,
                    (false, stage) => stage,
                };
            }
            Step::BarEviction { name: _, uid, barred } => {
                let pod = self.pod(uid)?;
                if pod.eviction == Eviction::Theirs {
                    return Err("conflict: the field is another manager's".into());
                }
                let since = Some(now);
                pod.eviction = if *barred {
                    Eviction::Barred { since }
                } else {
                    Eviction::Open
                };
            }
            Step::DeletePod { name: _, uid } => self.end(|pod| &pod.uid == uid),
            Step::Scale {
                from,
                to,
                uid,
                resource_version,
                why: _,
            } => {
                self.version += 1;
                let version = self.version.to_string();
                let view = self.deployment();
                if &view.object.uid != uid
                    || &view.object.resource_version != resource_version
                    || view.replicas != *from
                {
                    return Err("conflict".into());
                }
                // Of one value there may be several owners; another value has the one who wrote it.
                if view.replicas != *to {
                    view.taken = None;
                }
                view.replicas = *to;
                view.scale_managed = true;
                view.object.resource_version = version;
                self.settle(now);
            }
        }
        Ok(())
    }

    fn apply_deployment(&mut self, desired: &Desired, replicas: Option<u32>, now: Timestamp) {
        let object = self.object("deployment", &desired.deployment_hash);
        let (size, managed, taken) = match self.world.deployment.known().and_then(Child::ours) {
            Some(view) => (
                replicas.unwrap_or(view.replicas),
                view.scale_managed,
                view.taken.clone(),
            ),
            None => (replicas.unwrap_or(1), false, None),
        };
        self.world.deployment = Seen::Known(Child::Ours(DeploymentView {
            object,
            replicas: size,
            scale_managed: managed,
            taken,
            observed: true,
            current: size,
            updated: size,
            ready: size,
            available: size,
            deadline_exceeded: false,
            replica_failure: None,
        }));
        self.applied_hash.clone_from(&desired.deployment_hash);
        self.settle(now);
    }

    fn pod(&mut self, uid: &str) -> Result<&mut PodView, String> {
        let pod = self.pods().iter_mut().find(|pod| pod.uid == uid);
        pod.ok_or_else(|| "pod is gone".to_owned())
    }

    /// The Deployment controller: as many pods as asked for, victims by readiness and deletion cost.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let wanted = self.deployment().replicas as usize;
        let replaces = self.let_go();
        let quick = self.quick || !replaces;
        let member = |pod: &PodView| !pod.quarantined();
        while self.pods().iter().filter(|pod| member(pod)).count() < wanted {
            let n = self.next_pod;
            self.next_pod += 1;
            let mut pod = a_pod(&format!("uid-{n}"), now);
            if !quick {
                pod.ready = None;
                pod.report = Seen::unknown("its container has not begun");
            }
            self.pods().push(pod);
        }
        self.pods()
            .sort_by_key(|pod| (pod.ready.is_some(), pod.deletion_cost.unwrap_or(0)));
        let all = self.pods().iter().filter(|pod| member(pod));
        let extra: Vec<String> = all.map(|pod| pod.uid.clone()).collect();
        let extra = &extra[..extra.len() - wanted];
        self.end(|pod| extra.contains(&pod.uid));
        let view = self.deployment();
        view.current = wanted as u32;
        view.updated = wanted as u32;
        view.ready = wanted as u32;
        view.available = wanted as u32;
        let identities = self
            .pods()
            .iter()
            .map(|pod| format!("{}/shop/{}", pod.name, pod.uid))
            .collect();
        for queue in &mut self.world.queues {
            queue.pollers = Seen::Known(std::clone::Clone::clone(&identities));
        }
    }

    /// The `ReplicaSet` lets go of pods that carry the label of quarantine. True if there was one.
    fn let_go(&mut self) -> bool {
        let mut any = false;
        for pod in self
            .pods()
            .iter_mut()
            .filter(|pod| pod.quarantine == Quarantine::Leaving)
        {
            pod.quarantine = Quarantine::Free;
            any = true;
        }
        any
    }

    /// Ends pods, and notes those that ran something, or may have.
    fn end(&mut self, goes: impl Fn(&PodView) -> bool) {
        let gone: Vec<PodView> = self.pods().extract_if(.., |pod| goes(pod)).collect();
        let begun = |pod: &PodView| pod.ready.is_some() || pod.report.is_known();
        let busy = gone.into_iter().filter(|pod| begun(pod) && pod.busy() != Some(0));
        self.cut_off.extend(busy.map(|pod| pod.uid));
    }

    /// All pods that can be read say the same again.
    pub(crate) fn report_again(&mut self, now: Timestamp) {
        for pod in self.pods() {
            if let Seen::Known(report) = &mut pod.report {
                report.pod.at = now;
            }
        }
    }

    /// Sets what runs in a pod.
    pub(crate) fn busy(&mut self, uid: &str, tasks: u32, oldest: SignedDuration) {
        let pod = self.pods().iter_mut().find(|pod| pod.uid == uid).expect("pod exists");
        if let Seen::Known(report) = &mut pod.report {
            report.oldest_task = Some(oldest);
            for slot in &mut report.pod.slots {
                slot.used = tasks;
            }
        }
    }
}

pub(crate) fn a_pod(uid: &str, now: Timestamp) -> PodView {
    PodView {
        name: format!("billing-{uid}"),
        uid: uid.into(),
        created: now,
        ready: Some(now),
        deleting: false,
        finished: false,
        deletion_cost: None,
        eviction: Eviction::Open,
        quarantine: Quarantine::No,
        trouble: None,
        cpu_capacity: Some(0.5),
        report: Seen::Known(WorkerReport {
            source: Source::WorkerControl,
            pod: PodReport {
                at: now,
                started: now,
                slots: vec![SlotReport {
                    kind: SlotKind::Activity,
                    used: 0,
                    limit: Some(10),
                    completions: 0,
                    busy_seconds: 0.0,
                }],
                cpu_seconds: Some(0.0),
                memory_bytes: None,
                schedule_to_start: Vec::new(),
            },
            oldest_task: None,
            draining: false,
            drained: false,
            reloads_credentials: true,
            polled: vec![activity_queue()],
        }),
        never_reported: false,
        cpu: Seen::unknown("not asked"),
        memory_capacity: Some(536_870_912.0),
        memory: Seen::unknown("not asked"),
    }
}
