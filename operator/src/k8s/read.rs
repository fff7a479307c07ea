//! Reads of one object from the server itself, past every cache.

use std::fmt::Debug;

use kube::{Api, Resource, ResourceExt, api::PartialObjectMeta};
use serde::de::DeserializeOwned;

use super::{Cluster, Error};

/// Reads one object; `None` if it does not exist. A quorum read: what it returns was current when the server answered.
///
/// # Errors
/// [`Error::Call`] or [`Error::Deadline`]; an object that does not exist is no error.
pub async fn get<K>(cluster: &Cluster, api: &Api<K>, name: &str) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    cluster
        .read(format!("read {} {name}", K::kind(&())), api.get_opt(name))
        .await
}

/// Reads the metadata of one object only; `None` if it does not exist.
///
/// # Errors
/// As for [`get`].
pub async fn get_metadata<K>(cluster: &Cluster, api: &Api<K>, name: &str) -> Result<Option<PartialObjectMeta<K>>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    cluster
        .read(
            format!("read the metadata of {} {name}", K::kind(&())),
            api.get_metadata_opt(name),
        )
        .await
}

/// `Kind namespace/name` of an object, for messages.
pub fn describe<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let name = object.name_any();
    match object.namespace() {
        Some(namespace) => format!("{} {namespace}/{name}", K::kind(&())),
        None => format!("{} {name}", K::kind(&())),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;

    use super::*;
    use crate::k8s::testing::{Answer, mock};

    #[tokio::test]
    async fn a_missing_object_is_no_error() {
        let (cluster, calls) = mock(|_| Answer::not_found());
        let api: Api<Secret> = Api::namespaced(cluster.client(), "ns");
        assert_eq!(get(&cluster, &api, "gone").await.unwrap(), None);
        assert_eq!(calls.take()[0].line(), "GET /api/v1/namespaces/ns/secrets/gone");
        assert_eq!(cluster.writes().done(), 0, "a read is no write");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_after_the_deadline() {
        let (cluster, _calls) = mock(|_| Answer::Silence);
        let api: Api<Secret> = Api::namespaced(cluster.client(), "ns");
        let started = tokio::time::Instant::now();
        let error = get(&cluster, &api, "a").await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        assert_eq!(started.elapsed(), crate::k8s::CALL_DEADLINE);
    }
}
