//! All talk with Kubernetes: the client as the user's kubeconfig says, one snapshot, stores that are kept up to date, and the one
//! write of this tool, a patch of annotations.

use std::collections::HashMap;

use anyhow::{Context as _, anyhow};
use fleet_crds::{TemporalWorker, names};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, Config, Resource,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::{
    args::Target,
    model::{Snapshot, cores},
};

/// One cluster, and the part of it that was asked for.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    /// `None` = all Kubernetes namespaces.
    namespace: Option<String>,
}

impl Cluster {
    /// Connects as the kubeconfig, the context and the options say; inside a pod without a kubeconfig, as that pod.
    pub(crate) async fn connect(target: &Target, all_namespaces: bool) -> anyhow::Result<Self> {
        let options = KubeConfigOptions {
            context: target.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match &target.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
                Config::from_custom_kubeconfig(file, &options).await?
            }
            None if target.context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer()
                .await
                .context("find a cluster: no kubeconfig, and not inside a pod")?,
        };
        if target.impersonate.is_some() {
            config.auth_info.impersonate.clone_from(&target.impersonate);
        }
        let namespace = match (all_namespaces, &target.namespace) {
            (true, _) => None,
            (false, Some(namespace)) => Some(namespace.clone()),
            (false, None) => Some(config.default_namespace.clone()),
        };
        Ok(Self {
            client: Client::try_from(config)?,
            namespace,
        })
    }

    /// The API of a namespaced kind, in the part asked for.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// What to say when there is no fleet; like `kubectl get`, that is no error.
    pub(crate) fn nothing(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("No TemporalWorker in namespace {namespace}; -A looks in all."),
            None => "No TemporalWorker in the cluster.".to_owned(),
        }
    }

    /// Label selector of what belongs to fleets: one, or any.
    pub(crate) fn selector(name: Option<&str>) -> String {
        name.map_or_else(
            || names::LABEL_WORKER.to_owned(),
            |name| format!("{}={name}", names::LABEL_WORKER),
        )
    }

    /// Everything once. A name that does not exist is an error.
    pub(crate) async fn snapshot(&self, name: Option<&str>) -> anyhow::Result<Snapshot> {
        let workers = match name {
            Some(name) => vec![self.fleet(name).await?],
            None => self.fleets().await?,
        };
        let labelled = ListParams::default().labels(&Self::selector(name));
        let (deployments, pods) = (self.api::<Deployment>(), self.api::<Pod>());
        let (deployments, pods, cores) =
            tokio::join!(deployments.list(&labelled), pods.list(&labelled), self.cores(name));
        Ok(Snapshot {
            workers: workers.into_iter().map(Into::into).collect(),
            deployments: deployments
                .context("list Deployments")?
                .items
                .into_iter()
                .map(Into::into)
                .collect(),
            pods: pods.context("list pods")?.items.into_iter().map(Into::into).collect(),
            cores,
        })
    }

    /// All fleets of the part asked for.
    pub(crate) async fn fleets(&self) -> anyhow::Result<Vec<TemporalWorker>> {
        let list = self.api().list(&ListParams::default()).await;
        Ok(list.map_err(explain)?.items)
    }

    /// One fleet. A name that does not exist is an error.
    pub(crate) async fn fleet(&self, name: &str) -> anyhow::Result<TemporalWorker> {
        self.api().get(name).await.map_err(explain)
    }

    /// Changes annotations of a fleet; `null` takes one away.
    pub(crate) async fn annotate(&self, name: &str, annotations: &Value) -> anyhow::Result<TemporalWorker> {
        let patch = json!({"metadata": {"annotations": annotations}});
        let as_plugin = PatchParams {
            field_manager: Some(names::MANAGER_PLUGIN.to_owned()),
            ..PatchParams::default()
        };
        self.api()
            .patch(name, &as_plugin, &Patch::Merge(&patch))
            .await
            .map_err(explain)
    }

    /// CPU of the pods from the metrics API. A cluster without it, or a user who may not read it, sees no CPU.
    pub(crate) async fn cores(&self, name: Option<&str>) -> HashMap<(String, String, String), f64> {
        let resource = ApiResource {
            group: "metrics.k8s.io".to_owned(),
            version: "v1beta1".to_owned(),
            api_version: "metrics.k8s.io/v1beta1".to_owned(),
            kind: "PodMetrics".to_owned(),
            plural: "pods".to_owned(),
        };
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let list = api.list(&ListParams::default().labels(&Self::selector(name))).await;
        list.map(|list| list.items)
            .unwrap_or_default()
            .iter()
            .flat_map(containers)
            .collect()
    }
}

/// (Kubernetes namespace, pod, container) and cores of each container of a `PodMetrics`.
fn containers(metrics: &DynamicObject) -> Vec<((String, String, String), f64)> {
    let (Some(namespace), Some(pod)) = (&metrics.metadata.namespace, &metrics.metadata.name) else {
        return Vec::new();
    };
    let list = metrics.data.get("containers").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|container| {
            let name = container.get("name")?.as_str()?;
            let used = cores(container.pointer("/usage/cpu")?.as_str()?)?;
            Some(((namespace.clone(), pod.clone(), name.to_owned()), used))
        })
        .collect()
}

/// The API server's words, which name what is missing; a kind that it does not know gets ours, with what to do about it.
fn explain(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status)
            if status.is_not_found() && status.details.as_ref().is_none_or(|of| of.name.is_empty()) =>
        {
            anyhow!("this cluster does not know the kind TemporalWorker: install the chart temporal-fleet")
        }
        kube::Error::Api(status) => anyhow!(status.message),
        other => other.into(),
    }
}
