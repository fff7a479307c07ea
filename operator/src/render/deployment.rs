//! The Deployment of a fleet.

use fleet_crds::names;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{CONTRACT, Fleet, container, env, volumes};

/// Renders the Deployment, without replicas: their owner is another field manager.
pub fn deployment(fleet: &Fleet) -> Deployment {
    let spec = &fleet.worker.spec;
    let annotations = [(names::ANNOTATION_CONTRACT.to_owned(), CONTRACT.to_string())];
    Deployment {
        metadata: ObjectMeta {
            name: Some(fleet.name()),
            namespace: fleet.worker.namespace(),
            labels: Some(fleet.labels()),
            annotations: Some(annotations.into()),
            owner_references: fleet.owner().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(DeploymentSpec {
            selector: fleet.selector(),
            template: template(fleet),
            strategy: spec.update_strategy.as_ref().map(|strategy| DeploymentStrategy {
                type_: Some(strategy.type_.as_str().to_owned()),
                rolling_update: strategy.rolling_update.as_ref().map(|rolling| RollingUpdateDeployment {
                    max_surge: rolling.max_surge.clone(),
                    max_unavailable: rolling.max_unavailable.clone(),
                }),
            }),
            min_ready_seconds: (spec.min_ready_seconds > 0).then_some(spec.min_ready_seconds),
            progress_deadline_seconds: Some(spec.progress_deadline_seconds),
            revision_history_limit: Some(spec.revision_history_limit),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn template(fleet: &Fleet) -> PodTemplateSpec {
    let spec = &fleet.worker.spec;
    let mut template = spec.template.clone().unwrap_or_default();
    let metadata = template.metadata.get_or_insert_with(ObjectMeta::default);
    let labels = metadata.labels.get_or_insert_default();
    labels.extend(fleet.labels());
    labels.extend(fleet.selector_labels());
    let annotations = metadata.annotations.get_or_insert_default();
    annotations
        .entry("prometheus.io/scrape".to_owned())
        .or_insert_with(|| "true".to_owned());
    annotations
        .entry("prometheus.io/port".to_owned())
        .or_insert_with(|| spec.metrics.port.to_string());
    if let Some(checksum) = fleet.credentials_checksum {
        annotations.insert(names::ANNOTATION_CREDENTIALS_CHECKSUM.to_owned(), checksum.to_owned());
    }

    let pod = template.spec.get_or_insert_with(PodSpec::default);
    pod.termination_grace_period_seconds
        .get_or_insert_with(|| fleet.graceful_seconds() + names::SHUTDOWN_MARGIN_SECONDS);
    let (mounted, mounts) = volumes::volumes(fleet);
    pod.volumes.get_or_insert_default().extend(mounted);
    let worker = worker_container(pod);
    container::complete(fleet, worker);
    worker.env.get_or_insert_default().extend(env::contract(fleet));
    worker.volume_mounts.get_or_insert_default().extend(mounts);
    if spec.image.is_some() {
        container::restrict(pod);
    }
    template
}

/// The container `worker` of the template; made, and put first, if there is none.
fn worker_container(pod: &mut PodSpec) -> &mut Container {
    let at = pod
        .containers
        .iter()
        .position(|container| container.name == names::WORKER_CONTAINER)
        .unwrap_or_else(|| {
            pod.containers.insert(
                0,
                Container {
                    name: names::WORKER_CONTAINER.to_owned(),
                    ..Container::default()
                },
            );
            0
        });
    &mut pod.containers[at]
}
