//! The gauges of one fleet, from one pass. Pure. What is not known has no series: missing is not zero.

use fleet_autoscale::Seen;
use fleet_core::{ConditionType, PodView, Reason, Size, Truth};
use fleet_crds::TemporalWorkerStatus;
use kube::ResourceExt;

use crate::metrics::Sample;

use super::status::Pass;

/// All gauges of the fleet.
#[expect(clippy::too_many_lines, reason = "one table: metric by metric")]
pub fn gauges(pass: &Pass, status: &TemporalWorkerStatus, size: Option<&Size>) -> Vec<Sample> {
    let worker = pass.worker;
    let (namespace, name) = (worker.namespace().unwrap_or_default(), worker.name_any());
    let gauge = |metric: &'static str, value: f64| {
        Sample::gauge(metric, &[("worker_namespace", &namespace), ("worker", &name)], value)
    };
    let version = |metric: &'static str, value: f64| gauge(metric, value).with("build_id", "");
    let connection = worker
        .spec
        .connection_ref
        .as_ref()
        .map(|reference| reference.name.clone())
        .unwrap_or_default();
    let mut all = vec![
        gauge("temporal_fleet_worker_info", 1.0)
            .with("temporal_namespace", worker.spec.temporal_namespace.clone())
            .with("connection", connection),
    ];
    let paused = pass
        .verdicts
        .iter()
        .find(|verdict| verdict.condition == ConditionType::ScalingPaused);
    all.extend(paused.map(|verdict| {
        let paused = u8::from(verdict.truth == Truth::True);
        gauge("temporal_fleet_autoscaler_paused", f64::from(paused))
    }));
    let active = pass
        .verdicts
        .iter()
        .find(|verdict| verdict.condition == ConditionType::ScalingActive && verdict.truth != Truth::Unknown);
    all.extend(active.map(|verdict| {
        let fallback = u8::from(verdict.reason == Reason::FallbackActive);
        gauge("temporal_fleet_autoscaler_fallback_active", f64::from(fallback))
    }));
    for condition in &status.conditions {
        for state in ["True", "False", "Unknown"] {
            let value = f64::from(u8::from(condition.status == state));
            all.push(
                gauge("temporal_fleet_worker_condition", value)
                    .with("type", condition.type_.clone())
                    .with("status", state),
            );
        }
    }
    for (metric, value) in [
        ("temporal_fleet_worker_replicas_desired", status.desired_replicas),
        ("temporal_fleet_worker_replicas_ready", status.ready_replicas),
        ("temporal_fleet_worker_replicas_available", status.available_replicas),
    ] {
        all.extend(value.map(|value| version(metric, f64::from(value))));
    }
    if let Some(Size::Auto { policy, .. }) = size {
        all.push(gauge(
            "temporal_fleet_worker_replicas_min",
            f64::from(policy.min_replicas),
        ));
        all.push(gauge(
            "temporal_fleet_worker_replicas_max",
            f64::from(policy.max_replicas),
        ));
    }
    if let Some(objective) = size.and_then(Size::policy).and_then(|policy| policy.schedule_to_start) {
        all.push(gauge("temporal_fleet_autoscaler_objective_seconds", objective.seconds));
    }
    if let Some(world) = pass.world {
        if let Seen::Known(pods) = &world.pods {
            let count = |counts: fn(&PodView) -> bool| pods.iter().filter(|pod| counts(pod)).count() as f64;
            for (state, value) in [
                ("Serving", count(PodView::serves)),
                ("Draining", count(|pod| pod.deleting)),
                (
                    "Quarantined",
                    count(|pod| pod.quarantined() && !pod.deleting && !pod.finished),
                ),
            ] {
                all.push(gauge("temporal_fleet_worker_pods", value).with("state", state));
            }
            let reports: Vec<_> = pods.iter().filter_map(|pod| Some((pod, pod.report.known()?))).collect();
            for kind in fleet_autoscale::SlotKind::ALL {
                let slots: Vec<_> = reports
                    .iter()
                    .flat_map(|(pod, report)| report.pod.slots.iter().map(move |slot| (pod, slot)))
                    .filter(|(_, slot)| slot.kind == kind)
                    .collect();
                if slots.is_empty() {
                    continue;
                }
                let used: u32 = slots.iter().map(|(_, slot)| slot.used).sum();
                all.push(gauge("temporal_fleet_worker_slots_used", f64::from(used)).with("slot_type", kind.as_str()));
                // What runs in quarantine is work; the slots beside it are no room for more.
                let room: Vec<_> = slots.iter().filter(|(pod, _)| !pod.quarantined()).collect();
                let limit = room.iter().map(|(_, slot)| slot.limit).sum::<Option<u32>>();
                if let Some(limit) = limit.filter(|_| !room.is_empty()) {
                    all.push(
                        gauge("temporal_fleet_worker_slots_limit", f64::from(limit)).with("slot_type", kind.as_str()),
                    );
                }
            }
        }
        for view in &world.queues {
            let queue = |metric: &'static str, value: f64| {
                gauge(metric, value)
                    .with("temporal_namespace", worker.spec.temporal_namespace.clone())
                    .with("task_queue", view.queue.name.clone())
                    .with("task_type", view.queue.task_type.as_str())
                    .with("build_id", "")
            };
            if let Seen::Known(stats) = &view.stats {
                all.push(queue("temporal_fleet_task_queue_backlog", stats.backlog as f64));
                all.push(queue(
                    "temporal_fleet_task_queue_backlog_age_seconds",
                    stats.backlog_age_seconds,
                ));
                all.push(queue("temporal_fleet_task_queue_add_rate", stats.add_rate));
                all.push(queue("temporal_fleet_task_queue_dispatch_rate", stats.dispatch_rate));
            }
            let pollers = status
                .task_queues
                .iter()
                .find(|row| row.key == view.queue.to_string())
                .and_then(|row| row.pollers);
            all.extend(pollers.map(|count| queue("temporal_fleet_task_queue_pollers", f64::from(count))));
        }
    }
    if let Some(decision) = pass.plan.and_then(|plan| plan.decision.as_ref()) {
        all.push(version(
            "temporal_fleet_autoscaler_recommended_replicas",
            f64::from(decision.recommended),
        ));
        for report in &decision.targets {
            all.push(
                version(
                    "temporal_fleet_autoscaler_target_replicas",
                    f64::from(report.recommended),
                )
                .with("target", report.target.as_str()),
            );
        }
        for (kind, load) in &decision.offered_load {
            all.push(version("temporal_fleet_autoscaler_offered_load", *load).with("slot_type", kind.as_str()));
        }
        let measured = decision.schedule_to_start_p99_seconds;
        all.extend(measured.map(|p99| gauge("temporal_fleet_task_queue_schedule_to_start_p99_seconds", p99)));
        let cpu = decision.cpu_utilization;
        all.extend(cpu.map(|share| gauge("temporal_fleet_worker_cpu_utilization_ratio", share)));
    }
    all
}
