//! From the protocol's messages to domain types. A hostile or confused server can send anything: every number is bounded, every
//! text is cut and cleaned, and nothing here fails for a value that can be read as "not known".

use fleet_core::autoscale::SlotKind;
use fleet_core::signals::{Heartbeat, HeartbeatSlots};
use fleet_core::{QueueStats, RateLimit};
use jiff::{SignedDuration, Timestamp};
use temporalio_common::protos::temporal::api::enums::v1::{NamespaceState, WorkerStatus};
use temporalio_common::protos::temporal::api::taskqueue::v1::{
    self as proto, PollerInfo, TaskQueueConfig, TaskQueueStats,
};
use temporalio_common::protos::temporal::api::worker::v1::{WorkerHeartbeat, WorkerSlotsInfo};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceResponse, DescribeTaskQueueResponse, GetSystemInfoResponse, ListWorkersResponse,
};

use crate::error::{Error, printable};
use crate::port::{Poller, QueueState, ServerInfo};

/// Longest server version [characters].
const VERSION: usize = 64;
/// Longest poller identity [characters].
const IDENTITY: usize = 256;
/// Most pollers that are kept: more than a fleet can have pods.
const POLLERS: usize = 10_000;
/// Largest rate and age that are believed.
const LARGEST: f64 = 1e9;

pub(crate) fn server_info(
    temporal_namespace: &str,
    namespace: DescribeNamespaceResponse,
    system: &GetSystemInfoResponse,
) -> Result<ServerInfo, Error> {
    let info = namespace.namespace_info.unwrap_or_default();
    if info.state() == NamespaceState::Deleted {
        return Err(Error::TemporalNamespaceNotFound {
            temporal_namespace: temporal_namespace.to_owned(),
        });
    }
    let capabilities = info.capabilities.unwrap_or_default();
    Ok(ServerInfo {
        version: printable(&system.server_version, VERSION),
        worker_heartbeats: capabilities.worker_heartbeats,
        poller_autoscaling: capabilities.poller_autoscaling,
        polls_complete_on_shutdown: capabilities.worker_poll_complete_on_shutdown,
    })
}

pub(crate) fn queue_state(answer: &DescribeTaskQueueResponse) -> QueueState {
    QueueState {
        stats: answer.stats.as_ref().map(queue_stats),
        pollers: answer.pollers.iter().take(POLLERS).map(poller).collect(),
        rate_limit: answer.config.as_ref().and_then(queue_limit),
    }
}

fn queue_limit(config: &TaskQueueConfig) -> Option<RateLimit> {
    let limit = config.queue_rate_limit.as_ref()?;
    Some(RateLimit {
        per_second: bounded(limit.rate_limit.as_ref()?.requests_per_second.into()),
        reason: limit.metadata.as_ref().map(|set| text(&set.reason)).unwrap_or_default(),
    })
}

/// As the protocol has it, in single precision.
#[expect(clippy::cast_possible_truncation, reason = "the protocol's own precision")]
pub(crate) fn rate_limit(per_second: f64) -> proto::RateLimit {
    proto::RateLimit {
        requests_per_second: per_second as f32,
    }
}

fn queue_stats(stats: &TaskQueueStats) -> QueueStats {
    let age = stats
        .approximate_backlog_age
        .map_or(0.0, |age| age.seconds as f64 + f64::from(age.nanos) / 1e9);
    QueueStats {
        backlog: u64::try_from(stats.approximate_backlog_count).unwrap_or(0),
        backlog_age_seconds: bounded(age),
        add_rate: bounded(stats.tasks_add_rate.into()),
        dispatch_rate: bounded(stats.tasks_dispatch_rate.into()),
        rate_limited: stats.rate_limiting_active,
    }
}

/// Finite and not negative.
fn bounded(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, LARGEST) }
}

/// The workers of the queue on a page; `None` if the server lists workers without their heartbeats, as later ones may.
#[expect(
    deprecated,
    reason = "the only list with slots in it; one call per queue instead of one per pod"
)]
pub(crate) fn heartbeats(answer: &ListWorkersResponse, queue: &str) -> Option<Vec<Heartbeat>> {
    if answer.workers_info.is_empty() && !answer.workers.is_empty() {
        return None;
    }
    let heartbeats = answer
        .workers_info
        .iter()
        .filter_map(|info| info.worker_heartbeat.as_ref());
    Some(
        heartbeats
            .filter(|beat| beat.task_queue == queue)
            .filter_map(heartbeat)
            .take(POLLERS)
            .collect(),
    )
}

fn heartbeat(beat: &WorkerHeartbeat) -> Option<Heartbeat> {
    let kinds = [
        (SlotKind::Workflow, &beat.workflow_task_slots_info),
        (SlotKind::Activity, &beat.activity_task_slots_info),
        (SlotKind::Nexus, &beat.nexus_task_slots_info),
        (SlotKind::LocalActivity, &beat.local_activity_slots_info),
    ];
    let interval = beat.elapsed_since_last_heartbeat.as_ref();
    let (started, at) = (beat.start_time.as_ref()?, beat.heartbeat_time.as_ref()?);
    if beat.status() == WorkerStatus::Shutdown {
        return None;
    }
    Some(Heartbeat {
        instance: text(&beat.worker_instance_key),
        identity: text(&beat.worker_identity),
        started: Timestamp::new(started.seconds, started.nanos).ok()?,
        at: Timestamp::new(at.seconds, at.nanos).ok()?,
        interval: interval.map_or(SignedDuration::ZERO, |elapsed| SignedDuration::new(elapsed.seconds, 0)),
        ending: beat.status() == WorkerStatus::ShuttingDown,
        slots: kinds
            .into_iter()
            .filter_map(|(kind, info)| slots(kind, info.as_ref()?))
            .collect(),
    })
}

/// `None` for a kind that the worker does not serve.
fn slots(kind: SlotKind, info: &WorkerSlotsInfo) -> Option<HeartbeatSlots> {
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    let (used, available) = (count(info.current_used_slots), count(info.current_available_slots));
    let fixed = info.slot_supplier_kind == "Fixed";
    let processed = count(info.total_processed_tasks);
    let serves = !info.slot_supplier_kind.is_empty() && (!fixed || used > 0 || available > 0 || processed > 0);
    serves.then_some(HeartbeatSlots {
        kind,
        used,
        // With other suppliers `available` is 0, which means nothing.
        limit: fixed.then(|| used.saturating_add(available)),
        processed: processed.into(),
    })
}

fn text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(IDENTITY).collect()
}

fn poller(info: &PollerInfo) -> Poller {
    let at = info.last_access_time.as_ref();
    Poller {
        identity: text(&info.identity),
        last_access: at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::worker::v1::{WorkerInfo, WorkerListInfo};

    use super::*;

    #[test]
    fn statistics_of_a_hostile_server_stay_numbers() {
        let mut stats = TaskQueueStats {
            approximate_backlog_count: -5,
            tasks_add_rate: f32::NAN,
            tasks_dispatch_rate: f32::INFINITY,
            rate_limiting_active: true,
            ..Default::default()
        };
        stats.approximate_backlog_age.get_or_insert_default().seconds = i64::MIN;
        let QueueStats {
            backlog,
            backlog_age_seconds,
            add_rate,
            dispatch_rate,
            rate_limited,
        } = queue_stats(&stats);
        assert_eq!((backlog, rate_limited), (0, true));
        assert!(
            backlog_age_seconds == 0.0 && add_rate == 0.0 && dispatch_rate == LARGEST,
            "{backlog_age_seconds} {add_rate} {dispatch_rate}"
        );
    }

    #[test]
    fn a_queue_without_statistics_is_not_an_empty_queue() {
        let state = queue_state(&DescribeTaskQueueResponse::default());
        assert_eq!(
            state,
            QueueState {
                stats: None,
                pollers: Vec::new(),
                rate_limit: None,
            }
        );
    }

    #[test]
    fn heartbeats_keep_what_is_known_and_leave_out_what_is_not() {
        let info = |available, used, kind: &str, processed| {
            Some(WorkerSlotsInfo {
                current_available_slots: available,
                current_used_slots: used,
                slot_supplier_kind: kind.to_owned(),
                total_processed_tasks: processed,
                ..Default::default()
            })
        };
        let mut beat = WorkerHeartbeat {
            worker_instance_key: "d9f3".into(),
            worker_identity: "data-7d9/shop/2b2c\n".into(),
            status: WorkerStatus::Running.into(),
            workflow_task_slots_info: info(100, 0, "Fixed", 8),
            activity_task_slots_info: info(1, 3, "Fixed", 1),
            nexus_task_slots_info: info(0, 0, "Fixed", 0),
            local_activity_slots_info: info(0, 2, "ResourceBased", -1),
            ..Default::default()
        };
        assert_eq!(heartbeat(&beat), None, "without its times it tells nothing");
        beat.start_time.get_or_insert_default().seconds = 1_790_000_000;
        beat.heartbeat_time.get_or_insert_default().seconds = 1_790_000_044;
        beat.elapsed_since_last_heartbeat.get_or_insert_default().seconds = 14;
        let read = heartbeat(&beat).expect("complete");
        assert_eq!((read.identity.as_str(), read.ending), ("data-7d9/shop/2b2c", false));
        assert_eq!(read.interval, SignedDuration::from_secs(14));
        let slots: Vec<_> = read
            .slots
            .iter()
            .map(|each| (each.kind, each.used, each.limit, each.processed))
            .collect();
        assert_eq!(
            slots,
            [
                (SlotKind::Workflow, 0, Some(100), 8),
                (SlotKind::Activity, 3, Some(4), 1),
                (SlotKind::LocalActivity, 2, None, 0),
            ],
            "a kind that is not served is left out, and a limit that is not fixed is none"
        );
        beat.status = WorkerStatus::ShuttingDown.into();
        assert!(heartbeat(&beat).is_some_and(|read| read.ending));
        beat.status = WorkerStatus::Shutdown.into();
        assert_eq!(heartbeat(&beat), None);
    }

    #[test]
    #[expect(deprecated, reason = "the field that is read")]
    fn a_list_without_heartbeats_is_not_an_empty_list() {
        let mut answer = ListWorkersResponse::default();
        assert_eq!(heartbeats(&answer, "orders"), Some(Vec::new()));
        answer.workers.push(WorkerListInfo::default());
        assert_eq!(heartbeats(&answer, "orders"), None);
        answer.workers_info.push(WorkerInfo::default());
        assert_eq!(heartbeats(&answer, "orders"), Some(Vec::new()));
    }

    #[test]
    fn pollers_are_bounded_and_clean() {
        let info = |identity: String, seconds| {
            let mut info = PollerInfo {
                identity,
                ..Default::default()
            };
            info.last_access_time.get_or_insert_default().seconds = seconds;
            info
        };
        let pollers = vec![info("pod-1\u{1b}[31m\n".into(), 1_700_000_000); POLLERS + 1];
        let state = queue_state(&DescribeTaskQueueResponse {
            pollers,
            ..Default::default()
        });
        assert_eq!(state.pollers.len(), POLLERS);
        assert_eq!(state.pollers[0].identity, "pod-1[31m");
        assert_eq!(state.pollers[0].last_access, Timestamp::from_second(1_700_000_000).ok());
        assert_eq!(
            poller(&info("x".repeat(10_000), i64::MAX)),
            Poller {
                identity: "x".repeat(IDENTITY),
                last_access: None
            }
        );
    }
}
