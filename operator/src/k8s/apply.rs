//! Server-side apply: one field manager per concern, with force on our own fields (all but what is only offered), preconditions
//! explicit.
//!
//! Built-in kinds accept an apply without any resourceVersion, and an apply creates what is missing. So whoever changes an
//! object that must still be the one it saw says so with a [`Precondition`]; the server answers 409 otherwise.
//! The hash of what was rendered stands on the object: an apply that would change nothing is not sent.

use std::fmt::Debug;

use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v1::Scale},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Cluster, Error, managed_fields::Ownership, read::describe};

/// Annotation with the hash of what was rendered.
pub const RENDERED_HASH: &str = "temporal-fleet.dev/rendered-hash";

/// What must still be true of the object when the server writes. The default asks for nothing, and creates what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The object is this one, and not another of the same name.
    pub uid: Option<String>,
    /// Nobody wrote the object since it was read.
    pub resource_version: Option<String>,
}

impl Precondition {
    /// The object is the one that was read, whatever was written to it since.
    pub fn same_object(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone(),
            resource_version: None,
        }
    }

    /// The object is the one that was read, and unchanged.
    pub fn unchanged(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
        }
    }

    fn write_into(&self, metadata: &mut Map<String, Value>) {
        if let Some(uid) = &self.uid {
            metadata.insert("uid".into(), json!(uid));
        }
        if let Some(version) = &self.resource_version {
            metadata.insert("resourceVersion".into(), json!(version));
        }
    }
}

/// An object as it will be sent: JSON with its hash as an annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    what: String,
    name: String,
    body: Value,
    hash: String,
}

impl Rendered {
    /// Renders `object` for sending, and stamps the hash of its content on it.
    ///
    /// # Errors
    /// [`Error::Unsendable`] if it has no name or does not turn into a JSON object.
    pub fn new<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Result<Self, Error> {
        let (what, name, mut body) = to_json(object)?;
        let hash = hash_of(&body);
        let metadata = metadata_of(&mut body, &what)?;
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(RENDERED_HASH.into(), json!(hash));
        }
        Ok(Self { what, name, body, hash })
    }

    /// The first 16 hex digits of the SHA-256 of the content, keys sorted: the same for the same content for ever.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is sent, without preconditions.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The same object with one more field, under the same hash: a field that is sometimes sent and not part of what is compared.
    /// `None` leaves the object as it is.
    #[must_use]
    pub fn with(&self, path: &[&str], value: Option<Value>) -> Self {
        let mut rendered = self.clone();
        let Some((value, (last, parents))) = value.zip(path.split_last()) else {
            return rendered;
        };
        let mut node = &mut rendered.body;
        for name in parents {
            let Some(object) = node.as_object_mut() else {
                return rendered;
            };
            node = object.entry((*name).to_owned()).or_insert_with(|| json!({}));
        }
        if let Some(object) = node.as_object_mut() {
            object.insert((*last).to_owned(), value);
        }
        rendered
    }

    /// Why `live` must be applied again, or `None` if it is as rendered: the same hash, and `manager` still owns every field.
    pub fn differs_from<K: Resource>(&self, live: &K, manager: &str) -> Option<String> {
        if live.annotations().get(RENDERED_HASH).map(String::as_str) != Some(&self.hash) {
            return Some("the desired state changed".to_owned());
        }
        Ownership::of(live.managed_fields(), manager, None)
            .first_missing(&self.body)
            .map(|field| format!("{field} was changed by another writer"))
    }
}

/// Applies `rendered` as `manager`, with force, and returns what the server stored. Creates the object if it is missing,
/// unless the precondition names one that must exist.
///
/// # Errors
/// Class `Conflict` if the precondition does not hold; else as for every call.
pub async fn apply<K>(
    cluster: &Cluster,
    api: &Api<K>,
    manager: &str,
    rendered: &Rendered,
    precondition: &Precondition,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut body = rendered.body.clone();
    precondition.write_into(metadata_of(&mut body, &rendered.what)?);
    let params = PatchParams::apply(manager).force();
    cluster
        .write(
            format!("apply {}", rendered.what),
            api.patch(&rendered.name, &params, &Patch::Apply(&body)),
        )
        .await
}

/// Applies a part of an object, as `manager`, without hash: the annotation of one pod, say. `fields` is what stands beside API
/// version, kind and name (`{"metadata": {"annotations": {…}}}`). What the manager applied before and `fields` no longer has is
/// removed. The object must exist: the precondition must name its UID.
///
/// # Errors
/// Class `Conflict` if the object is gone or is another one; class `Bug` if no UID is given.
pub async fn apply_part<K>(
    cluster: &Cluster,
    api: &Api<K>,
    manager: &str,
    name: &str,
    fields: &Value,
    precondition: &Precondition,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let params = PatchParams::apply(manager).force();
    send_part(cluster, api, &params, name, fields, precondition).await
}

/// The same without force: of a field that another manager owns with another value nothing is taken.
///
/// # Errors
/// As [`apply_part`], and class `Conflict` if a field is another manager's.
pub async fn offer_part<K>(
    cluster: &Cluster,
    api: &Api<K>,
    manager: &str,
    name: &str,
    fields: &Value,
    precondition: &Precondition,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let params = PatchParams::apply(manager);
    send_part(cluster, api, &params, name, fields, precondition).await
}

async fn send_part<K>(
    cluster: &Cluster,
    api: &Api<K>,
    params: &PatchParams,
    name: &str,
    fields: &Value,
    precondition: &Precondition,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = format!("{} {name}", K::kind(&()));
    if precondition.uid.is_none() {
        return Err(Error::Unsendable {
            what: format!("apply a part of {what}"),
            why: "no UID is given".into(),
        });
    }
    let body = partial::<K>(&what, name, fields, precondition)?;
    cluster
        .write(
            format!("apply a part of {what}"),
            api.patch(name, params, &Patch::Apply(&body)),
        )
        .await
}

/// Applies the status of the object with the UID in `precondition`, as `manager`: the whole of it, as what is left out is
/// removed.
///
/// # Errors
/// Class `Conflict` if the object is gone, is another one, or was changed where the precondition forbids that.
pub async fn apply_status<K>(
    cluster: &Cluster,
    api: &Api<K>,
    manager: &str,
    name: &str,
    status: &impl Serialize,
    precondition: &Precondition,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = format!("the status of {} {name}", K::kind(&()));
    let status = serde_json::to_value(status).map_err(|error| Error::Unsendable {
        what: format!("apply {what}"),
        why: error.to_string(),
    })?;
    let body = partial::<K>(&what, name, &json!({ "status": status }), precondition)?;
    let params = PatchParams::apply(manager).force();
    cluster
        .write(
            format!("apply {what}"),
            api.patch_status(name, &params, &Patch::Apply(&body)),
        )
        .await
}

/// Sets the replicas of a Deployment through its scale subresource, as `manager`, with force: `kubectl scale` becomes an owner
/// of the field too.
///
/// # Errors
/// Class `Conflict` if the Deployment is gone, is another one, or was changed where the precondition forbids that.
pub async fn apply_scale(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    manager: &str,
    replicas: u32,
    precondition: &Precondition,
) -> Result<Scale, Error> {
    let what = format!("the scale of Deployment {namespace}/{name}");
    let mut body = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas},
    });
    precondition.write_into(metadata_of(&mut body, &what)?);
    let api: Api<Deployment> = Api::namespaced(cluster.client(), namespace);
    let params = PatchParams::apply(manager).force();
    cluster
        .write(
            format!("apply {what}"),
            api.patch_scale(name, &params, &Patch::Apply(&body)),
        )
        .await
}

fn partial<K: Resource<DynamicType = ()>>(
    what: &str,
    name: &str,
    fields: &Value,
    precondition: &Precondition,
) -> Result<Value, Error> {
    let mut body = fields.clone();
    let Some(object) = body.as_object_mut() else {
        return Err(Error::Unsendable {
            what: format!("apply {what}"),
            why: "it is no object".into(),
        });
    };
    object.insert("apiVersion".into(), json!(K::api_version(&())));
    object.insert("kind".into(), json!(K::kind(&())));
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("name".into(), json!(name));
        precondition.write_into(metadata);
    }
    Ok(body)
}

fn to_json<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Result<(String, String, Value), Error> {
    let what = describe(object);
    let unsendable = |why: String| Error::Unsendable {
        what: format!("apply {what}"),
        why,
    };
    let name = object
        .meta()
        .name
        .clone()
        .ok_or_else(|| unsendable("it has no name".into()))?;
    let body = serde_json::to_value(object).map_err(|error| unsendable(error.to_string()))?;
    Ok((what, name, body))
}

fn metadata_of<'a>(body: &'a mut Value, what: &str) -> Result<&'a mut Map<String, Value>, Error> {
    body.get_mut("metadata")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| Error::Unsendable {
            what: format!("apply {what}"),
            why: "it has no metadata".into(),
        })
}

/// SHA-256 over the JSON with sorted keys, first 16 hex digits.
fn hash_of(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    hasher.finalize().get(..8).map(crate::random::hex).unwrap_or_default()
}

/// Keys are sorted here, as the order of a JSON map depends on a feature that any crate may switch on.
fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_unstable();
            hasher.update(b"{");
            for key in keys {
                hasher.update(json!(key).to_string().as_bytes());
                hasher.update(b":");
                if let Some(value) = object.get(key) {
                    feed(hasher, value);
                }
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
