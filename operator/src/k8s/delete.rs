//! Deletion of one object, which must still be the one that was seen.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{DeleteParams, Preconditions},
};
use serde::de::DeserializeOwned;

use super::{Cluster, Error, apply::Precondition};

/// Asks the server to delete the object with the UID in `precondition`; pods get their grace period.
///
/// # Errors
/// Class `Conflict` if the object is gone or is another one; class `Bug` if no UID is given.
pub async fn delete<K>(cluster: &Cluster, api: &Api<K>, name: &str, precondition: &Precondition) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = format!("delete {} {name}", K::kind(&()));
    let Precondition { uid, resource_version } = precondition.clone();
    if uid.is_none() {
        return Err(Error::Unsendable {
            what,
            why: "no UID is given".into(),
        });
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions { resource_version, uid }),
        ..DeleteParams::default()
    };
    cluster.write(what, api.delete(name, &params)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use fleet_core::Class;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::k8s::testing::{Answer, mock};

    fn same() -> Precondition {
        Precondition {
            uid: Some("u1".into()),
            resource_version: None,
        }
    }

    #[tokio::test]
    async fn a_deletion_names_the_uid_and_counts_as_a_write() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        let (cluster, calls) = mock(move |_| Answer::Json(200, pod.clone()));
        let api: Api<Pod> = Api::namespaced(cluster.client(), "ns");
        delete(&cluster, &api, "a", &same()).await.unwrap();
        let call = &calls.take()[0];
        assert_eq!(call.line(), "DELETE /api/v1/namespaces/ns/pods/a");
        assert_eq!(call.body, json!({"preconditions": {"uid": "u1"}}));
        assert_eq!(cluster.writes().done(), 1);
    }

    #[tokio::test]
    async fn another_object_of_that_name_is_a_conflict() {
        let (cluster, _calls) = mock(|_| Answer::failure(409, "Conflict"));
        let api: Api<Pod> = Api::namespaced(cluster.client(), "ns");
        let error = delete(&cluster, &api, "a", &same()).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
    }

    #[tokio::test]
    async fn nothing_is_deleted_by_its_name_alone() {
        let (cluster, calls) = mock(|_| Answer::not_found());
        let api: Api<Pod> = Api::namespaced(cluster.client(), "ns");
        let error = delete(&cluster, &api, "a", &Precondition::default()).await.unwrap_err();
        assert_eq!(error.class(), Class::Bug);
        assert!(calls.take().is_empty());
    }
}
