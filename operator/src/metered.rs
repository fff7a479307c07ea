//! Temporal with a counter in front: each call by method and outcome, with its duration.

use std::sync::Arc;

use async_trait::async_trait;
use fleet_core::TaskType;
use fleet_core::signals::Heartbeat;
use fleet_temporal::{Endpoint, Error, QueueLimit, QueueState, ServerInfo, Temporal};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// Counts the calls of another [`Temporal`].
pub struct Metered {
    inner: Arc<dyn Temporal>,
    metrics: Metrics,
}

impl Metered {
    /// Counts the calls of `inner`.
    pub fn new(inner: Arc<dyn Temporal>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    fn ended<T>(&self, endpoint: &Endpoint, method: &str, since: Instant, result: &Result<T, Error>) {
        let code = match result {
            Ok(_) => "OK",
            Err(error) => error.class().as_str(),
        };
        self.metrics
            .temporal(endpoint.key().scope(), method, code, since.elapsed());
    }
}

#[async_trait]
impl Temporal for Metered {
    async fn describe_namespace(&self, endpoint: &Endpoint, temporal_namespace: &str) -> Result<ServerInfo, Error> {
        let since = Instant::now();
        let result = self.inner.describe_namespace(endpoint, temporal_namespace).await;
        self.ended(endpoint, "DescribeNamespace", since, &result);
        result
    }

    async fn describe_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
    ) -> Result<QueueState, Error> {
        let since = Instant::now();
        let result = self
            .inner
            .describe_queue(endpoint, temporal_namespace, queue, task_type)
            .await;
        self.ended(endpoint, "DescribeTaskQueue", since, &result);
        result
    }

    async fn list_workers(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
    ) -> Result<Option<Vec<Heartbeat>>, Error> {
        let since = Instant::now();
        let result = self.inner.list_workers(endpoint, temporal_namespace, queue).await;
        self.ended(endpoint, "ListWorkers", since, &result);
        result
    }

    async fn limit_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        limit: &QueueLimit,
    ) -> Result<(), Error> {
        let since = Instant::now();
        let result = self.inner.limit_queue(endpoint, temporal_namespace, limit).await;
        self.ended(endpoint, "UpdateTaskQueueConfig", since, &result);
        result
    }
}
