//! Deletion of the one object that was seen, and never of another of the same name.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{DeleteParams, Preconditions},
};
use serde::de::DeserializeOwned;

use super::{Cluster, Error, apply::Precondition};

/// Deletes `name` in the background: its dependents go after it. True if it was there, false if it was gone already.
///
/// # Errors
/// Class `Bug` if the precondition names no UID, class `Conflict` if the object is another one or has changed.
pub async fn delete<K>(cluster: &Cluster, api: &Api<K>, name: &str, precondition: &Precondition) -> Result<bool, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = format!("delete {} {name}", K::kind(&()));
    if precondition.uid.is_none() {
        return Err(Error::Unsendable {
            what,
            why: "no UID is given".into(),
        });
    }
    let Precondition { uid, resource_version } = precondition.clone();
    let params = DeleteParams::background().preconditions(Preconditions { resource_version, uid });
    match cluster.write(what, api.delete(name, &params)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use fleet_core::Class;
    use k8s_openapi::api::core::v1::Secret;

    use super::*;
    use crate::k8s::testing::{Answer, mock};

    fn seen() -> Precondition {
        Precondition {
            uid: Some("u1".into()),
            resource_version: Some("7".into()),
        }
    }

    #[tokio::test]
    async fn a_deletion_names_the_object_it_means() {
        let (cluster, calls) = mock(|_| Answer::Json(200, serde_json::json!({"metadata": {"name": "a"}})));
        let api: Api<Secret> = Api::namespaced(cluster.client(), "ns");
        assert!(delete(&cluster, &api, "a", &seen()).await.unwrap());
        let call = &calls.take()[0];
        assert_eq!(call.line(), "DELETE /api/v1/namespaces/ns/secrets/a");
        assert_eq!(
            call.body["preconditions"],
            serde_json::json!({"uid": "u1", "resourceVersion": "7"})
        );
        assert_eq!(call.body["propagationPolicy"], "Background");
    }

    #[tokio::test]
    async fn what_is_gone_is_deleted() {
        let (cluster, _calls) = mock(|_| Answer::not_found());
        let api: Api<Secret> = Api::namespaced(cluster.client(), "ns");
        assert!(!delete(&cluster, &api, "a", &seen()).await.unwrap());
    }

    #[tokio::test]
    async fn another_object_of_the_same_name_stays() {
        let (cluster, calls) = mock(|_| Answer::failure(409, "Conflict"));
        let api: Api<Secret> = Api::namespaced(cluster.client(), "ns");
        assert_eq!(
            delete(&cluster, &api, "a", &seen()).await.unwrap_err().class(),
            Class::Conflict
        );
        assert_eq!(calls.take().len(), 1);
        assert_eq!(
            delete(&cluster, &api, "a", &Precondition::default())
                .await
                .unwrap_err()
                .class(),
            Class::Bug
        );
        assert!(calls.take().is_empty(), "without a UID nothing is sent");
    }
}
