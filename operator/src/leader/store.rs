//! The `Lease` object: read, and written with its version as the precondition.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};

use super::protocol::{LeaseView, Record};

/// A read or a write of the lease that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote the lease first.
    #[error("the lease was written by somebody else")]
    Lost,
    /// The API server refused or could not be reached.
    #[error("the lease cannot be read or written")]
    Call(#[source] Box<kube::Error>),
}

/// Where the lease is kept: the API server, or a test.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// The lease as the server has it now; `None` if it does not exist.
    async fn read(&self) -> Result<Option<LeaseView>, StoreError>;
    /// Writes `record` over the version `base`, or creates the lease if `base` is `None`. Returns the new version.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if the lease is no longer at `base`.
    async fn write(&self, base: Option<&str>, record: &Record) -> Result<String, StoreError>;
}

/// The lease as an object of `coordination.k8s.io/v1`.
pub struct KubeLease {
    api: Api<Lease>,
    name: String,
    // What the last read or write left in the object: times for people, and what others put there.
    last: tokio::sync::Mutex<Option<Lease>>,
}

impl KubeLease {
    /// The lease `namespace/name`.
    pub fn new(client: Client, namespace: &str, name: impl Into<String>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            last: tokio::sync::Mutex::default(),
        }
    }
}

#[async_trait]
impl LeaseStore for KubeLease {
    async fn read(&self) -> Result<Option<LeaseView>, StoreError> {
        let lease = self.api.get_opt(&self.name).await.map_err(store_error)?;
        let view = lease.as_ref().map(view_of);
        *self.last.lock().await = lease;
        Ok(view)
    }

    async fn write(&self, base: Option<&str>, record: &Record) -> Result<String, StoreError> {
        let mut last = self.last.lock().await;
        let lease = lease_of(&self.name, last.as_ref(), base, record, now());
        let params = PostParams {
            dry_run: false,
            field_manager: Some("temporal-fleet-leader".into()),
        };
        let written = match base {
            Some(_) => self.api.replace(&self.name, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        }
        .map_err(store_error)?;
        let version = written.metadata.resource_version.clone().unwrap_or_default();
        *last = Some(written);
        Ok(version)
    }
}

/// Times in a lease are for people: nothing compares them.
#[expect(clippy::disallowed_methods, reason = "for people only")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn store_error(error: kube::Error) -> StoreError {
    match &error {
        kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() || status.is_not_found() => {
            StoreError::Lost
        }
        _ => StoreError::Call(Box::new(error)),
    }
}

fn view_of(lease: &Lease) -> LeaseView {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .unwrap_or(0);
    LeaseView {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        record: Record {
            holder: spec.holder_identity.unwrap_or_default(),
            lease_duration: Duration::from_secs(seconds),
            transitions: spec
                .lease_transitions
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
        },
    }
}

/// The object to send. Labels and annotations of others stay; the time of acquisition stays as long as the holder does.
fn lease_of(name: &str, last: Option<&Lease>, base: Option<&str>, record: &Record, now: Timestamp) -> Lease {
    let Record {
        holder,
        lease_duration,
        transitions,
    } = record;
    let last = last.filter(|_| base.is_some());
    let old = last.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let same_holder = old.holder_identity.as_deref() == Some(holder);
    let mut metadata = last.map_or_else(ObjectMeta::default, |lease| lease.metadata.clone());
    metadata.name = Some(name.to_owned());
    metadata.resource_version = base.map(str::to_owned);
    metadata.managed_fields = None;
    Lease {
        metadata,
        spec: Some(LeaseSpec {
            acquire_time: old.acquire_time.filter(|_| same_holder).or(Some(MicroTime(now))),
            holder_identity: Some(holder.clone()),
            lease_duration_seconds: Some(i32::try_from(lease_duration.as_secs()).unwrap_or(i32::MAX)),
            lease_transitions: Some(i32::try_from(*transitions).unwrap_or(i32::MAX)),
            renew_time: Some(MicroTime(now)),
            ..old
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::k8s::testing::{Answer, mock};

    fn record(holder: &str, transitions: u32) -> Record {
        Record {
            holder: holder.into(),
            lease_duration: Duration::from_secs(15),
            transitions,
        }
    }

    /// A server that keeps one lease and compares versions.
    fn server(lease: Option<Value>) -> (KubeLease, crate::k8s::testing::Calls) {
        let kept = Mutex::new(lease);
        let (cluster, calls) = mock(move |call| {
            let mut kept = kept.lock().unwrap();
            match (call.method.as_str(), kept.clone()) {
                ("GET", Some(lease)) => Answer::Json(200, lease),
                ("GET", None) => Answer::not_found(),
                ("PUT", Some(old))
                    if old["metadata"]["resourceVersion"] != call.body["metadata"]["resourceVersion"] =>
                {
                    Answer::failure(409, "Conflict")
                }
                ("POST", Some(_)) => Answer::failure(409, "AlreadyExists"),
                _ => {
                    let mut new = call.body.clone();
                    new["metadata"]["resourceVersion"] = json!("8");
                    *kept = Some(new.clone());
                    Answer::Json(200, new)
                }
            }
        });
        (KubeLease::new(cluster.client(), "ns", "fleet"), calls)
    }

    #[tokio::test]
    async fn a_lease_is_created_and_renewed_in_place() {
        let (lease, calls) = server(None);
        assert_eq!(lease.read().await.unwrap(), None);
        assert_eq!(lease.write(None, &record("a", 0)).await.unwrap(), "8");
        assert_eq!(lease.read().await.unwrap().unwrap().record, record("a", 0));
        lease.write(Some("8"), &record("a", 0)).await.unwrap();
        let calls = calls.take();
        let lines: Vec<String> = calls.iter().map(crate::k8s::testing::Call::line).collect();
        let path = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
        assert_eq!(
            lines,
            [
                format!("GET {path}/fleet"),
                format!("POST {path}"),
                format!("GET {path}/fleet"),
                format!("PUT {path}/fleet")
            ]
        );
        assert_eq!(
            calls[1].body["spec"]["acquireTime"], calls[3].body["spec"]["acquireTime"],
            "the holder stayed"
        );
        assert_eq!(calls[3].body["metadata"]["resourceVersion"], "8");
    }

    #[tokio::test]
    async fn a_lost_race_is_told_apart_from_a_failure() {
        let (lease, _calls) = server(Some(
            json!({"metadata": {"name": "fleet", "resourceVersion": "5"}, "spec": {}}),
        ));
        assert!(matches!(
            lease.write(Some("4"), &record("a", 1)).await,
            Err(StoreError::Lost)
        ));
        assert!(
            matches!(lease.write(None, &record("a", 0)).await, Err(StoreError::Lost)),
            "it exists by now"
        );
        let (cluster, _calls) = mock(|_| Answer::failure(500, "InternalError"));
        let broken = KubeLease::new(cluster.client(), "ns", "fleet");
        assert!(matches!(broken.read().await, Err(StoreError::Call(_))));
    }

    #[test]
    fn what_others_put_on_the_lease_stays() {
        let last: Lease = serde_json::from_value(json!({
            "metadata": {"name": "fleet", "resourceVersion": "5", "labels": {"a": "b"}},
            "spec": {"holderIdentity": "old", "acquireTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 2},
        }))
        .unwrap();
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let taken = lease_of("fleet", Some(&last), Some("5"), &record("new", 3), now);
        assert_eq!(taken.metadata.labels.unwrap()["a"], "b");
        let spec = taken.spec.unwrap();
        assert_eq!(spec.acquire_time.unwrap().0, now, "another holder");
        assert_eq!(spec.lease_transitions, Some(3));
    }
}
