//! Talking to the API server: a client, applying manifests, and waiting for what they make, with a diagnosis when it does
//! not come.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::command::run_with_input;
use super::error::{Error, Result};
use super::layout::{Layout, NODE};
use super::process;

/// A client with the rights of the administrator.
pub async fn client(layout: &Layout) -> Result<Client> {
    let path = layout.kubeconfig();
    if !path.exists() {
        return Err(Error::Refused(
            "the local cluster is not up: run `make cluster-up`".to_owned(),
        ));
    }
    let failed = |source| Error::Kubeconfig {
        path: path.clone(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(&path).map_err(failed)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(failed)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(30));
    Client::try_from(config).map_err(Error::kubernetes("make a Kubernetes client"))
}

/// Applies manifests, as `kubectl apply --server-side` does; applying the same again changes nothing.
pub(super) fn apply(layout: &Layout, manifests: &str) -> Result<()> {
    let kubeconfig = format!("--kubeconfig={}", layout.kubeconfig().display());
    let args = [
        kubeconfig.as_str(),
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=local-cluster",
        "-f",
        "-",
    ];
    run_with_input(layout.program("kubectl")?, &args, manifests).map(drop)
}

/// Waits until the API server serves, including its own first objects.
pub(super) async fn api_ready(layout: &Layout, client: &Client) -> Result<()> {
    wait(
        layout,
        "the API server",
        Duration::from_mins(1),
        &["etcd", "kube-apiserver"],
        || async {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .map_err(|error| error.to_string())?;
            client
                .request_text(request)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        },
    )
    .await
}

/// Waits until the node takes pods.
pub(super) async fn node_ready(layout: &Layout, client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    wait(
        layout,
        "the node",
        Duration::from_mins(1),
        &["kube-apiserver", "containerd", "kubelet"],
        || async {
            let node = nodes
                .get_opt(NODE)
                .await
                .map_err(|error| error.to_string())?
                .ok_or("not registered yet")?;
            let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
            match ready {
                Some(condition) if condition.status == "True" => Ok(()),
                Some(condition) => Err(condition.message.clone().unwrap_or_default()),
                None => Err("no condition Ready yet".to_owned()),
            }
        },
    )
    .await
}

/// Waits until all pods of a Deployment are of its newest template and available.
pub(super) async fn deployment_ready(layout: &Layout, client: &Client, namespace: &str, name: &str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let needed = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "containerd",
    ];
    wait(
        layout,
        &format!("Deployment {namespace}/{name}"),
        Duration::from_mins(2),
        &needed,
        || async {
            let deployment = deployments.get(name).await.map_err(|error| error.to_string())?;
            if rolled_out(&deployment) {
                return Ok(());
            }
            let list = pods
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let ours = list
                .items
                .iter()
                .filter(|pod| pod.metadata.name.as_deref().is_some_and(|pod| pod.starts_with(name)));
            Err(ours.map(describe).collect::<Vec<_>>().join("; "))
        },
    )
    .await
}

fn rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return false };
    status.observed_generation == deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
}

/// Why a pod is not ready, in one line.
fn describe(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    let containers = status
        .container_statuses
        .unwrap_or_default()
        .into_iter()
        .filter_map(|container| {
            let state = container.state?;
            let waiting = state.waiting.map(|state| (state.reason, state.message));
            let ended = state.terminated.map(|state| (state.reason, state.message));
            waiting.or(ended).map(|(reason, message)| {
                format!(
                    "{}: {} {}",
                    container.name,
                    reason.unwrap_or_default(),
                    message.unwrap_or_default()
                )
            })
        });
    format!("{name} {phase} {}", containers.collect::<Vec<_>>().join(", "))
}

/// Repeats a probe every 100 ms until it succeeds, a needed component dies, or the time is over.
pub(super) async fn wait<F, P>(
    layout: &Layout,
    what: &str,
    timeout: Duration,
    needs: &[&str],
    mut probe: P,
) -> Result<()>
where
    P: FnMut() -> F,
    F: Future<Output = std::result::Result<(), String>>,
{
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(()) => return Ok(()),
            Err(last) if start.elapsed() > timeout => {
                return Err(Error::Timeout {
                    what: format!("{what} becoming ready"),
                    after: timeout,
                    last,
                });
            }
            Err(_) => process::all_alive(layout, needs)?,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
