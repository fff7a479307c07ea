//! A copy of both definitions under an API group of one test.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context, Result, bail};
use fleet_e2e::fleet::Access;
use futures::FutureExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, ValidationDirective},
    runtime::{conditions, wait::await_condition},
};
use serde_json::Value;

/// Longest wait for the API server to serve what was installed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const MANAGER: &str = "fleet-e2e";
/// Objects need one; they go with their definition.
pub(crate) const NAMESPACE: &str = "default";

/// One test's part of the cluster.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) access: Access,
    pub(crate) group: String,
}

/// Runs `test` in a sandbox of that name and takes the sandbox away afterwards, also after a failure.
pub(crate) async fn with<F, T>(name: &str, test: T) -> Result<()>
where
    T: FnOnce(Sandbox) -> F,
    F: Future<Output = Result<()>>,
{
    let access = Access::open(None).await?;
    let sandbox = Sandbox {
        access,
        group: format!("{name}.test.temporal-fleet.dev"),
    };
    let attempt = async {
        sandbox.install().await?;
        test(sandbox.clone()).await
    };
    // A failed assertion must not skip the removal.
    let outcome = AssertUnwindSafe(attempt).catch_unwind().await;
    sandbox.remove().await?;
    match outcome {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Sandbox {
    fn client(&self) -> Client {
        self.access.client.clone()
    }

    async fn install(&self) -> Result<()> {
        let apply = PatchParams::apply(MANAGER).force();
        let definitions = Api::<CustomResourceDefinition>::all(self.client());
        for mut definition in fleet_crds::crd::all()? {
            definition.spec.group.clone_from(&self.group);
            // Short names belong to the real group; two groups with the same would be ambiguous.
            definition.spec.names.short_names = None;
            definition.spec.names.categories = None;
            let name = format!("{}.{}", definition.spec.names.plural, self.group);
            definition.metadata.name = Some(name.clone());
            definitions
                .patch(&name, &apply, &Patch::Apply(&definition))
                .await
                .with_context(|| format!("the API server refused {name}"))?;
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(PATIENCE, established)
                .await
                .with_context(|| format!("{name} was not established"))??;
        }
        // Established is said a moment before the first request is served.
        for kind in ["TemporalWorker", "TemporalConnection"] {
            eventually(&format!("lists of {kind}"), async || {
                Ok(self.api(kind)?.list(&kube::api::ListParams::default()).await?)
            })
            .await?;
        }
        Ok(())
    }

    /// Removes the definitions and so all objects of the sandbox, and waits until they are gone.
    async fn remove(&self) -> Result<()> {
        let definitions = Api::<CustomResourceDefinition>::all(self.client());
        for plural in ["temporalworkers", "temporalconnections"] {
            let name = format!("{plural}.{}", self.group);
            let Some(found) = definitions.get_opt(&name).await? else {
                continue;
            };
            absent(definitions.delete(&name, &DeleteParams::background()).await)?;
            let uid = found.uid().unwrap_or_default();
            let gone = await_condition(definitions.clone(), &name, conditions::is_deleted(&uid));
            tokio::time::timeout(PATIENCE, gone)
                .await
                .with_context(|| format!("{name} was not removed"))??;
        }
        Ok(())
    }

    /// `temporalworkers` with its group, as kubectl takes it.
    pub(crate) fn workers(&self) -> String {
        format!("temporalworkers.{}", self.group)
    }

    /// The API of a kind of this sandbox.
    pub(crate) fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let plural = match kind {
            "TemporalWorker" => "temporalworkers",
            "TemporalConnection" => "temporalconnections",
            _ => bail!("{kind} is not one of our kinds"),
        };
        let gvk = GroupVersionKind::gvk(&self.group, fleet_crds::names::VERSION, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Ok(Api::namespaced_with(self.client(), NAMESPACE, &resource))
    }

    /// Applies a manifest as `manager`, with strict field validation; `dry_run` stores nothing.
    pub(crate) async fn apply(&self, manifest: &Value, manager: &str, dry_run: bool) -> Result<DynamicObject> {
        let mut manifest = manifest.clone();
        manifest["apiVersion"] = format!("{}/{}", self.group, fleet_crds::names::VERSION).into();
        manifest["metadata"]["namespace"] = NAMESPACE.into();
        let kind = manifest["kind"].as_str().context("a manifest without kind")?.to_owned();
        let object: DynamicObject = serde_json::from_value(manifest)?;
        let params = PatchParams {
            dry_run,
            field_manager: Some(manager.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        Ok(self
            .api(&kind)?
            .patch(&object.name_any(), &params, &Patch::Apply(&object))
            .await?)
    }
}

/// A deletion of what may not exist.
fn absent<T>(deleted: kube::Result<T>) -> Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Repeats `attempt` until it succeeds, for at most [`PATIENCE`]; fails with its last error.
pub(crate) async fn eventually<T>(what: &str, attempt: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(250));
    loop {
        pause.tick().await;
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(error.context(format!("{what}: not within {} s", PATIENCE.as_secs())));
            }
            Err(_) => {}
        }
    }
}
