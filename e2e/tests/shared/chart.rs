//! Every rendering of the chart on a real API server: each manifest passes a strict server-side dry run, and the operator's
//! pod is admitted where Pod Security `restricted` is enforced.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fleet_e2e::cluster::Layout;
use fleet_e2e::fleet::Access;
use fleet_e2e::lint::chart::{Helm, cases};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, ValidationDirective,
};
use kube::core::discovery::{ApiCapabilities, Scope};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, discovery};
use serde_json::{Value, json};

const NAMESPACE: &str = "fleet-test-chart";

#[tokio::test]
async fn every_rendering_is_accepted_by_the_api_server() -> Result<()> {
    let client = Access::open(None).await?.client;
    let helm = helm()?;
    namespace(&client).await?;
    let outcome = accept_all(&client, &helm).await;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(NAMESPACE, &DeleteParams::default()).await?;
    outcome
}

async fn accept_all(client: &Client, helm: &Helm) -> Result<()> {
    let mut kinds = BTreeMap::new();
    for case in cases(&helm.default_values()?) {
        for document in helm.render(NAMESPACE, &case.values)? {
            let object: DynamicObject = serde_json::from_value(document.clone())?;
            let what = || format!("with {}: {document}", case.name);
            apply(client, &mut kinds, object).await.with_context(what)?;
            if document["kind"] == "Deployment" {
                admit_pod(client, &document).await.with_context(what)?;
            }
        }
    }
    ensure!(kinds.len() >= 9, "the matrix renders only {:?}", kinds.keys());
    Ok(())
}

/// The helm that `make setup` builds.
fn helm() -> Result<Helm> {
    let helm = Layout::of_user()?.cache().join("bin/helm");
    ensure!(helm.exists(), "{} is missing: run `make setup`", helm.display());
    Ok(Helm {
        helm,
        chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/temporal-fleet"),
    })
}

/// A namespace that enforces `restricted`, with its service account made.
async fn namespace(client: &Client) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .patch(
            NAMESPACE,
            &PatchParams::apply("fleet-e2e").force(),
            &Patch::Apply(namespace),
        )
        .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let exists = await_condition(accounts, "default", |account: Option<&ServiceAccount>| {
        account.is_some()
    });
    tokio::time::timeout(std::time::Duration::from_mins(1), exists)
        .await
        .context("no default service account")??;
    Ok(())
}

/// Server-side apply as a dry run: unknown and misspelt fields are errors.
async fn apply(
    client: &Client,
    kinds: &mut BTreeMap<String, (ApiResource, ApiCapabilities)>,
    object: DynamicObject,
) -> Result<()> {
    let types = object.types.clone().context("an object without a kind")?;
    let key = format!("{} {}", types.api_version, types.kind);
    if !kinds.contains_key(&key) {
        let found = discovery::pinned_kind(client, &GroupVersionKind::try_from(&types)?).await?;
        kinds.insert(key.clone(), found);
    }
    let (resource, capabilities) = &kinds[&key];
    let api: Api<DynamicObject> = match (&capabilities.scope, &object.metadata.namespace) {
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, resource),
        _ => Api::all_with(client.clone(), resource),
    };
    let name = object.metadata.name.clone().context("an object without a name")?;
    let mut params = PatchParams::apply("fleet-e2e").force().dry_run();
    params.field_validation = Some(ValidationDirective::Strict);
    api.patch(&name, &params, &Patch::Apply(object)).await?;
    Ok(())
}

/// Creates the Deployment's pod as a dry run: Pod Security judges pods, a Deployment only gets warnings. The service account
/// of the rendering does not exist, and its name does not matter here.
async fn admit_pod(client: &Client, deployment: &Value) -> Result<()> {
    let mut pod = deployment["spec"]["template"].clone();
    pod["metadata"]["name"] = json!("operator");
    pod["spec"]["serviceAccountName"] = json!("default");
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let params = PostParams {
        dry_run: true,
        field_manager: None,
    };
    pods.create(&params, &serde_json::from_value(pod)?).await?;
    Ok(())
}
