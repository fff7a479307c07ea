//! The container `worker`: image, ports, probes, security context.

use fleet_crds::names;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, PodSecurityContext, PodSpec, Probe, SeccompProfile,
    SecurityContext,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Fleet;

/// Adds what the fleet needs to the container `worker`.
pub fn complete(fleet: &Fleet, container: &mut Container) {
    let spec = &fleet.worker.spec;
    if let Some(image) = &spec.image {
        container.image = Some(image.clone());
    }
    let ports = container.ports.get_or_insert_default();
    port(ports, "metrics", spec.metrics.port);
    port(ports, "control", names::CONTROL_PORT);
    if let Some(health) = &spec.health {
        port(ports, names::HEALTH_PORT_NAME, health.port);
    }
    let asks_for_probes = ports
        .iter()
        .any(|port| port.name.as_deref() == Some(names::HEALTH_PORT_NAME));
    let has_probes =
        container.startup_probe.is_some() || container.readiness_probe.is_some() || container.liveness_probe.is_some();
    if asks_for_probes && !has_probes {
        // Start-up asks for life only: a worker that waits for Temporal is alive, and restarting it would not help.
        container.startup_probe = Some(probe("/livez", 1, 60));
        container.readiness_probe = Some(probe("/readyz", 2, 2));
        container.liveness_probe = Some(probe("/livez", 10, 3));
    }
}

fn port(ports: &mut Vec<ContainerPort>, name: &str, number: i32) {
    if ports
        .iter()
        .any(|port| port.container_port == number || port.name.as_deref() == Some(name))
    {
        return;
    }
    ports.push(ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    });
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(names::HEALTH_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// The profile *restricted* of Pod Security, for what the template leaves open.
pub fn restrict(pod: &mut PodSpec) {
    let context = pod.security_context.get_or_insert_with(PodSecurityContext::default);
    context.run_as_non_root.get_or_insert(true);
    context.seccomp_profile.get_or_insert_with(|| SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    });
    pod.automount_service_account_token.get_or_insert(false);
    for container in &mut pod.containers {
        let context = container.security_context.get_or_insert_with(SecurityContext::default);
        context.allow_privilege_escalation.get_or_insert(false);
        context.capabilities.get_or_insert_with(|| Capabilities {
            add: None,
            drop: Some(vec!["ALL".to_owned()]),
        });
    }
}
