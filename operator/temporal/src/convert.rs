//! From the protocol's messages to domain types. A hostile or confused server can send anything: every number is bounded, every
//! text is cut and cleaned, and nothing here fails for a value that can be read as "not known".

use fleet_core::QueueStats;
use jiff::Timestamp;
use temporalio_common::protos::temporal::api::enums::v1::NamespaceState;
use temporalio_common::protos::temporal::api::taskqueue::v1::{PollerInfo, TaskQueueStats};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceResponse, DescribeTaskQueueResponse, GetSystemInfoResponse,
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

fn poller(info: &PollerInfo) -> Poller {
    let at = info.last_access_time.as_ref();
    Poller {
        identity: info
            .identity
            .chars()
            .filter(|c| !c.is_control())
            .take(IDENTITY)
            .collect(),
        last_access: at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
    }
}

#[cfg(test)]
mod tests {
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
                pollers: Vec::new()
            }
        );
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
