//! The operator as an installation: by real Helm from the chart, and its metrics through the API server.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::{GetParams, ListParams, Request},
};

use super::{
    access::{Access, answer},
    error::{Error, Result},
    metrics::Scrape,
};
use crate::cluster::{Layout, imported_digest};
use crate::image::catalog::source_tree;

/// Kubernetes namespace of the operator.
pub const NAMESPACE: &str = "temporal-fleet-system";
/// Name of the Helm release.
pub const RELEASE: &str = "temporal-fleet";
/// Selects the operator's pods.
pub const SELECTOR: &str = "app.kubernetes.io/instance=temporal-fleet,app.kubernetes.io/component=operator";
const METRICS_PORT: u16 = 9464;
/// Pod annotation by which a new image under an old tag restarts the operator.
const IMAGE_ANNOTATION: &str = r"temporal-fleet\.dev/image";

/// Which image to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorImage {
    /// Without tag.
    pub repository: String,
    /// Tag.
    pub tag: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
}

impl Default for OperatorImage {
    /// The image of this source tree, as `make images` imports it into the local cluster.
    fn default() -> Self {
        let (repository, tag) = crate::image::catalog::OPERATOR
            .rsplit_once(':')
            .unwrap_or((crate::image::catalog::OPERATOR, "dev"));
        Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            pull_policy: "Never".to_owned(),
        }
    }
}

/// Installs or upgrades the operator from the chart and waits until it is ready. `sets` are more `key=value` settings.
pub async fn install(access: &Access, image: &OperatorImage, sets: &[&str]) -> Result<()> {
    let chart = source_tree().join("charts/temporal-fleet").display().to_string();
    let OperatorImage {
        repository,
        tag,
        pull_policy,
    } = image;
    let mut values = vec![
        format!("image.repository={repository}"),
        format!("image.tag={tag}"),
        format!("image.pullPolicy={pull_policy}"),
    ];
    if pull_policy == "Never"
        && let Some(digest) = digest_on_node(access, &format!("{repository}:{tag}")).await?
    {
        values.push(format!("podAnnotations.{IMAGE_ANNOTATION}={digest}"));
    }
    values.extend(sets.iter().map(|&set| set.to_owned()));
    let mut args = vec![
        "upgrade",
        "--install",
        RELEASE,
        &chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--wait",
        "--timeout=3m",
    ];
    for value in &values {
        args.extend(["--set-string", value]);
    }
    match access.helm(&args).await {
        Ok(_) => Ok(()),
        Err(error) => {
            // Helm says that it waited in vain; why is in the pods.
            tracing::error!("the operator did not become ready:\n{}", diagnosis(access).await);
            Err(error)
        }
    }
}

/// Removes the operator; the custom resource definitions stay, and with them all fleets.
pub async fn uninstall(access: &Access) -> Result<()> {
    access
        .helm(&[
            "uninstall",
            RELEASE,
            "--namespace",
            NAMESPACE,
            "--wait",
            "--ignore-not-found",
        ])
        .await
        .map(drop)
}

/// The operator's pods that are not ending.
pub async fn pods(access: &Access) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(access.client.clone(), NAMESPACE);
    let mut pods = answer(
        "list the operator's pods",
        api.list(&ListParams::default().labels(SELECTOR)),
    )
    .await?
    .items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(pods)
}

/// The operator's metrics, fetched through the API server, which needs no route to pods.
pub async fn scrape(access: &Access) -> Result<Scrape> {
    let running = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    let pod = pods(access)
        .await?
        .into_iter()
        .find(running)
        .and_then(|pod| pod.metadata.name);
    let name = pod.ok_or_else(|| Error::Timeout {
        what: "an operator to scrape".to_owned(),
        seconds: 0,
        now: "none runs".to_owned(),
    })?;
    let what = "scrape the operator";
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:{METRICS_PORT}/proxy");
    let request = Request::new(path)
        .get("metrics", &GetParams::default())
        .map_err(|error| Error::kubernetes(what)(kube::Error::BuildRequest(error)))?;
    Ok(Scrape::parse(&answer(what, access.client.request_text(request)).await?))
}

/// What the operator's pods and its log say, for a person.
pub async fn diagnosis(access: &Access) -> String {
    let commands: [&[&str]; 2] = [
        &["get", "pods", "-n", NAMESPACE, "-o", "wide"],
        &["logs", "-n", NAMESPACE, "-l", SELECTOR, "--tail=20"],
    ];
    let mut text = String::new();
    for command in commands {
        text += &access.kubectl(command).await.unwrap_or_else(|error| error.to_string());
    }
    text
}

/// The digest under which a node holds an image that is never pulled. Where images are loaded as archives, nodes tell no digest: of the local
/// cluster's its containerd is asked.
async fn digest_on_node(access: &Access, reference: &str) -> Result<Option<String>> {
    if access.is_local() {
        let digest = Layout::of_user().and_then(|layout| imported_digest(&layout, reference));
        return digest.map(Some).map_err(|source| Error::Image {
            reference: reference.to_owned(),
            source: Box::new(source),
        });
    }
    let nodes: Api<Node> = Api::all(access.client.clone());
    let nodes = answer("list nodes", nodes.list(&ListParams::default())).await?.items;
    let images = nodes
        .into_iter()
        .filter_map(|node| node.status?.images)
        .flatten()
        .filter_map(|image| image.names);
    for names in images {
        if names.iter().any(|name| name == reference) {
            let digest = names
                .iter()
                .find_map(|name| name.split_once('@').map(|(_, digest)| digest.to_owned()));
            return Ok(digest);
        }
    }
    Ok(None)
}
