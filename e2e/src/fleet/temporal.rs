//! The way from this machine to a Temporal that runs in the cluster.
//!
//! Where Service addresses are routed to this machine (the local cluster) it is direct; elsewhere each connection goes
//! through the API server to a pod of the Service, as `kubectl port-forward` does.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::{
    api::core::v1::{Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, api::ListParams};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    access::{Access, answer},
    error::{Error, Result},
};

/// How long a Service address may take to accept; a route that leads nowhere never does.
const DIAL: Duration = Duration::from_secs(2);

/// A way to Temporal, open until it is dropped.
#[derive(Debug)]
pub struct Way {
    /// Address to dial from here, host:port.
    pub address: String,
    forward: Option<JoinHandle<()>>,
}

impl Way {
    /// An address that can be dialled as it is.
    pub fn direct(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            forward: None,
        }
    }

    /// Whether connections go through the API server.
    pub fn is_forwarded(&self) -> bool {
        self.forward.is_some()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(task) = &self.forward {
            task.abort();
        }
    }
}

/// A Service and port of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InCluster {
    service: String,
    namespace: String,
    port: u16,
}

/// Opens a way to the address that pods use; `fleet_namespace` completes a bare Service name. An address that is no
/// Service of the cluster is taken as it is.
pub async fn reach(access: &Access, address: &str, fleet_namespace: &str) -> Result<Way> {
    let Some(target) = parse(address, fleet_namespace) else {
        return Ok(Way::direct(address));
    };
    let services: Api<Service> = Api::namespaced(access.client.clone(), &target.namespace);
    let what = format!("read Service {}/{}", target.namespace, target.service);
    let Some(service) = answer(&what, services.get_opt(&target.service)).await? else {
        return Ok(Way::direct(address));
    };
    let cluster_ip = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.clone())
        .filter(|ip| ip != "None");
    if let Some(ip) = cluster_ip {
        let direct = format!("{ip}:{}", target.port);
        if matches!(tokio::time::timeout(DIAL, TcpStream::connect(&direct)).await, Ok(Ok(_))) {
            return Ok(Way::direct(&direct));
        }
    }
    forward_to(access, &target, service).await
}

/// Opens a way through the API server, whether or not there is a shorter one.
pub async fn forward(access: &Access, address: &str, fleet_namespace: &str) -> Result<Way> {
    let no_service = || Error::Temporal {
        address: address.to_owned(),
        reason: "it is no Service of the cluster".to_owned(),
    };
    let target = parse(address, fleet_namespace).ok_or_else(no_service)?;
    let services: Api<Service> = Api::namespaced(access.client.clone(), &target.namespace);
    let service = answer("read Temporal's Service", services.get_opt(&target.service))
        .await?
        .ok_or_else(no_service)?;
    forward_to(access, &target, service).await
}

async fn forward_to(access: &Access, target: &InCluster, service: Service) -> Result<Way> {
    let failed = |reason: &str| Error::Temporal {
        address: format!("{}.{}:{}", target.service, target.namespace, target.port),
        reason: reason.to_owned(),
    };
    let spec = service.spec.unwrap_or_default();
    let port = spec
        .ports
        .into_iter()
        .flatten()
        .find(|port| u16::try_from(port.port).ok() == Some(target.port))
        .ok_or_else(|| failed("the Service has no such port"))?;
    let selector: Vec<_> = spec
        .selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if selector.is_empty() {
        return Err(failed("the Service selects no pods"));
    }
    let pods: Api<Pod> = Api::namespaced(access.client.clone(), &target.namespace);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .map_err(|error| failed(&format!("no local port: {error}")))?;
    let local = listener
        .local_addr()
        .map_err(|error| failed(&format!("no local port: {error}")))?;
    let task = tokio::spawn(accept(listener, pods, selector.join(","), port));
    Ok(Way {
        address: local.to_string(),
        forward: Some(task),
    })
}

/// One forward per connection, each to a pod that is ready then: a restarted server is found again.
async fn accept(listener: TcpListener, pods: Api<Pod>, selector: String, port: ServicePort) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (pods, selector, port) = (pods.clone(), selector.clone(), port.clone());
                tokio::spawn(async move {
                    if let Err(reason) = carry(stream, &pods, &selector, &port).await {
                        tracing::debug!(%reason, "a forwarded connection to Temporal ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no more connections to Temporal are forwarded");
                return;
            }
        }
    }
}

async fn carry(
    mut stream: TcpStream,
    pods: &Api<Pod>,
    selector: &str,
    port: &ServicePort,
) -> std::result::Result<(), String> {
    let list = answer(
        "list Temporal's pods",
        pods.list(&ListParams::default().labels(selector)),
    )
    .await;
    let pod = list
        .map_err(|error| error.to_string())?
        .items
        .into_iter()
        .find(is_ready)
        .ok_or("no pod is ready")?;
    let number = target_port(port, &pod).ok_or("the pod has no such port")?;
    let name = pod.metadata.name.ok_or("the pod has no name")?;
    let mut forwarder = answer("forward a port", pods.portforward(&name, &[number]))
        .await
        .map_err(|error| error.to_string())?;
    let mut remote = forwarder.take_stream(number).ok_or("the forward carries no stream")?;
    tokio::io::copy_bidirectional(&mut stream, &mut remote)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .filter_map(|status| status.conditions.as_ref())
        .flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|each| each.type_ == "Ready" && each.status == "True")
}

/// The pod's port that a Service port stands for: a number, or the name of one of the containers' ports.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok()
}

/// Reads `service[.namespace[.svc[.domain]]]:port`; `None` for what is no Service name, such as an IP address.
fn parse(address: &str, fleet_namespace: &str) -> Option<InCluster> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') || host == "localhost" {
        return None;
    }
    let mut parts = host.split('.');
    let service = parts.next().filter(|part| !part.is_empty())?.to_owned();
    let namespace = parts.next().unwrap_or(fleet_namespace).to_owned();
    match parts.next() {
        None | Some("svc") => Some(InCluster {
            service,
            namespace,
            port,
        }),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names_are_told_from_other_addresses() {
        let expected = InCluster {
            service: "frontend".to_owned(),
            namespace: "temporal".to_owned(),
            port: 7233,
        };
        for address in [
            "frontend.temporal:7233",
            "frontend.temporal.svc:7233",
            "frontend.temporal.svc.cluster.local:7233",
        ] {
            assert_eq!(parse(address, "demo"), Some(expected.clone()), "{address}");
        }
        assert_eq!(
            parse("frontend:7233", "demo").map(|each| each.namespace),
            Some("demo".to_owned())
        );
        for address in [
            "10.96.0.20:7233",
            "localhost:7233",
            "[::1]:7233",
            "temporal.example.com:7233",
            "frontend.temporal",
        ] {
            assert_eq!(parse(address, "demo"), None, "{address}");
        }
    }

    #[test]
    fn a_named_target_port_is_the_containers() {
        let port = |target| ServicePort {
            port: 7233,
            target_port: target,
            ..ServicePort::default()
        };
        let pod: Pod = serde_json::from_value(serde_json::json!({"spec": {"containers": [
            {"name": "server", "ports": [{"name": "grpc", "containerPort": 17233}]}]}}))
        .unwrap();
        assert_eq!(target_port(&port(None), &pod), Some(7233));
        assert_eq!(target_port(&port(Some(IntOrString::Int(9000))), &pod), Some(9000));
        assert_eq!(
            target_port(&port(Some(IntOrString::String("grpc".to_owned()))), &pod),
            Some(17233)
        );
        assert_eq!(
            target_port(&port(Some(IntOrString::String("http".to_owned()))), &pod),
            None
        );
    }
}
