//! The contract of the port, as a suite that runs against the fake and against a real server, so that the fake stays honest.
//! Failures panic, as in any test.

use std::time::Duration;

use async_trait::async_trait;
use fleet_core::autoscale::SlotKind;
use fleet_core::signals::HeartbeatSlots;
use fleet_core::{Class, RateLimit, Reason, TaskType};

use crate::error::Error;
use crate::port::{Endpoint, QueueLimit, QueueState, Temporal, system_clock};

/// How long the suite waits for a server that is eventually consistent.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the suite needs to be done on the other side.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// Puts `tasks` workflow tasks into a queue that nobody polls.
    async fn enqueue(&self, temporal_namespace: &str, queue: &str, tasks: u64);
    /// Polls the queue for workflow tasks once, as `identity`. The poll need not get a task.
    async fn poll(&self, temporal_namespace: &str, queue: &str, identity: &str);
    /// Sends one heartbeat of a worker that began a minute ago, with 3 of 4 slots for activities in use and 7 tasks done.
    async fn beat(&self, temporal_namespace: &str, queue: &str, identity: &str);
}

/// Runs the whole suite in one Temporal namespace that is there. `unique` makes the names of queues unused ones.
pub async fn run(temporal: &dyn Temporal, arrange: &dyn Arrange, endpoint: &Endpoint, namespace: &str, unique: &str) {
    a_server_tells_its_version(temporal, endpoint, namespace).await;
    an_unknown_temporal_namespace_is_not_found(temporal, endpoint, unique).await;
    a_queue_that_was_never_used_is_empty_or_unknown(temporal, endpoint, namespace, unique).await;
    waiting_tasks_are_counted_and_age(temporal, arrange, endpoint, namespace, unique).await;
    a_poller_is_listed_under_its_identity(temporal, arrange, endpoint, namespace, unique).await;
    a_worker_is_listed_with_its_slots(temporal, arrange, endpoint, namespace, unique).await;
    a_limit_of_a_queue_is_kept_with_its_reason_and_removed(temporal, endpoint, namespace, unique).await;
}

async fn a_worker_is_listed_with_its_slots(
    temporal: &dyn Temporal,
    arrange: &dyn Arrange,
    endpoint: &Endpoint,
    namespace: &str,
    unique: &str,
) {
    // A name that a query must quote.
    let queue = format!("it's a \"queue\" \\ {unique}");
    let list = async || {
        temporal
            .list_workers(endpoint, namespace, &queue)
            .await
            .expect("not an error")
    };
    assert_eq!(list().await, Some(Vec::new()), "nobody works");
    arrange.beat(namespace, &queue, "data-7d9/shop/2b2c").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let workers = loop {
        let workers = list().await.expect("the server keeps heartbeats");
        if !workers.is_empty() || tokio::time::Instant::now() > deadline {
            break workers;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(workers.len(), 1, "{workers:?}");
    let worker = workers.first().expect("one worker");
    assert!(worker.is_of("data-7d9", "shop", "2b2c"), "{worker:?}");
    assert_eq!(worker.at.duration_since(worker.started).as_secs(), 60);
    let slots = HeartbeatSlots {
        kind: SlotKind::Activity,
        used: 3,
        limit: Some(4),
        processed: 7,
    };
    assert_eq!((worker.ending, worker.slots.as_slice()), (false, [slots].as_slice()));
}

async fn a_server_tells_its_version(temporal: &dyn Temporal, endpoint: &Endpoint, namespace: &str) {
    let info = temporal
        .describe_namespace(endpoint, namespace)
        .await
        .expect("the Temporal namespace is there");
    let numbers: Vec<_> = info.version.split('.').take(2).map(str::parse::<u32>).collect();
    assert!(
        numbers.len() == 2 && numbers.iter().all(Result::is_ok),
        "a version like 1.31.2, not {:?}",
        info.version
    );
}

async fn an_unknown_temporal_namespace_is_not_found(temporal: &dyn Temporal, endpoint: &Endpoint, unique: &str) {
    let namespace = format!("no-such-namespace-{unique}");
    let expected = Error::TemporalNamespaceNotFound {
        temporal_namespace: namespace.clone(),
    };
    let refused = temporal
        .describe_namespace(endpoint, &namespace)
        .await
        .expect_err("it is not there");
    assert_eq!(refused, expected);
    assert_eq!(
        (refused.class(), refused.reason()),
        (Class::Invalid, Reason::TemporalNamespaceNotFound)
    );
    let refused = temporal
        .describe_queue(endpoint, &namespace, "any", TaskType::Activity)
        .await;
    assert_eq!(refused.expect_err("it is not there"), expected);
}

async fn a_queue_that_was_never_used_is_empty_or_unknown(
    temporal: &dyn Temporal,
    endpoint: &Endpoint,
    namespace: &str,
    unique: &str,
) {
    for task_type in [TaskType::Workflow, TaskType::Activity, TaskType::Nexus] {
        let queue = format!("never-used-{unique}");
        let state = temporal
            .describe_queue(endpoint, namespace, &queue, task_type)
            .await
            .expect("not an error");
        assert!(state.pollers.is_empty(), "{task_type}: nobody polls");
        assert!(
            state
                .stats
                .is_none_or(|stats| stats.backlog == 0 && stats.add_rate == 0.0),
            "{task_type}: nothing waits"
        );
    }
}

async fn waiting_tasks_are_counted_and_age(
    temporal: &dyn Temporal,
    arrange: &dyn Arrange,
    endpoint: &Endpoint,
    namespace: &str,
    unique: &str,
) {
    let queue = format!("waiting-{unique}");
    arrange.enqueue(namespace, &queue, 3).await;
    let counted = eventually(temporal, endpoint, namespace, (&queue, TaskType::Workflow), |state| {
        state
            .stats
            .is_some_and(|stats| stats.backlog == 3 && stats.backlog_age_seconds > 0.0)
    })
    .await;
    let stats = counted.stats.expect("just seen");
    assert!(
        stats.backlog_age_seconds < 600.0,
        "the oldest waits for seconds: {stats:?}"
    );
    assert!(
        stats.add_rate >= stats.dispatch_rate,
        "nothing was dispatched: {stats:?}"
    );
    let other = temporal
        .describe_queue(endpoint, namespace, &queue, TaskType::Activity)
        .await
        .expect("not an error");
    assert!(
        other.stats.is_none_or(|stats| stats.backlog == 0),
        "a queue has a type: {other:?}"
    );
}

async fn a_poller_is_listed_under_its_identity(
    temporal: &dyn Temporal,
    arrange: &dyn Arrange,
    endpoint: &Endpoint,
    namespace: &str,
    unique: &str,
) {
    let (queue, identity) = (format!("polled-{unique}"), format!("contract/{unique}"));
    arrange.poll(namespace, &queue, &identity).await;
    let state = eventually(temporal, endpoint, namespace, (&queue, TaskType::Workflow), |state| {
        state.pollers.iter().any(|poller| poller.identity == identity)
    })
    .await;
    let poller = state
        .pollers
        .iter()
        .find(|poller| poller.identity == identity)
        .expect("just seen");
    let at = poller.last_access.expect("a server says when");
    // The clocks of two machines may differ by minutes, not by hours.
    let apart = system_clock()().duration_since(at).abs();
    assert!(apart.as_secs() < 3600, "polled {apart:?} ago");
}

async fn a_limit_of_a_queue_is_kept_with_its_reason_and_removed(
    temporal: &dyn Temporal,
    endpoint: &Endpoint,
    namespace: &str,
    unique: &str,
) {
    let queue = format!("limited-{unique}");
    for per_second in [Some(2.5), Some(40.0), None] {
        let limit = QueueLimit {
            queue: queue.clone(),
            task_type: TaskType::Activity,
            per_second,
            reason: "the contract".to_owned(),
        };
        temporal
            .limit_queue(endpoint, namespace, &limit)
            .await
            .expect("a limit is set");
        let expected = per_second.map(|per_second| RateLimit {
            per_second,
            reason: "the contract".to_owned(),
        });
        eventually(temporal, endpoint, namespace, (&queue, TaskType::Activity), |state| {
            state.rate_limit == expected
        })
        .await;
    }
}

/// Reads the queue until it is as expected. A server takes seconds to count.
async fn eventually(
    temporal: &dyn Temporal,
    endpoint: &Endpoint,
    namespace: &str,
    (queue, task_type): (&str, TaskType),
    expected: impl Fn(&QueueState) -> bool,
) -> QueueState {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let state = temporal
            .describe_queue(endpoint, namespace, queue, task_type)
            .await
            .expect("the queue answers");
        if expected(&state) {
            return state;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "after {PATIENCE:?} still {state:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
