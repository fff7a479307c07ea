//! Looks at the workers every few seconds: sizes and CPU. What was asked for and which pods lived is watched without gaps by
//! `fleet::sizes` and `fleet::watch`; these looks are for curves and for the mean CPU.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::ApiResource,
};
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, timeout},
};

use super::{record::Sample, scenario::POD_MILLICORES};
use crate::{clock, fleet::Fleet};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// Longest wait for one source.
const PATIENCE: Duration = Duration::from_secs(3);

/// A watch that runs until it is dropped.
#[derive(Debug)]
pub(super) struct SampleWatch {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl SampleWatch {
    /// Begins to look.
    pub(super) fn start(fleet: &Fleet) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (shared, fleet) = (samples.clone(), fleet.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let sample = look(&fleet).await;
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
        });
        Self { samples, task }
    }

    /// All looks so far.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SampleWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(fleet: &Fleet) -> Sample {
    let at = clock::now();
    let (replicas, cpu) = tokio::join!(timeout(PATIENCE, fleet.replicas()), timeout(PATIENCE, cpu(fleet)));
    let replicas = replicas.ok().and_then(Result::ok).flatten();
    Sample {
        at,
        desired: replicas.map(|replicas| replicas.desired),
        ready: replicas.map(|replicas| replicas.ready),
        cpu: cpu.ok().flatten(),
    }
}

/// CPU of all pods that the metrics API knows, as a share of their limits.
async fn cpu(fleet: &Fleet) -> Option<f64> {
    let resource = ApiResource {
        group: "metrics.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metrics.k8s.io/v1beta1".to_owned(),
        kind: "PodMetrics".to_owned(),
        plural: "pods".to_owned(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(fleet.access.client.clone(), &fleet.namespace, &resource);
    let list = api.list(&ListParams::default().labels(&fleet.selector())).await.ok()?;
    let used: Vec<f64> = list.items.iter().filter_map(|pod| cores_of(&pod.data)).collect();
    share(&used)
}

fn share(used: &[f64]) -> Option<f64> {
    let limit = used.len() as f64 * f64::from(POD_MILLICORES) / 1_000.0;
    (limit > 0.0).then(|| used.iter().sum::<f64>() / limit)
}

/// Cores that the containers of a pod use.
fn cores_of(metrics: &Value) -> Option<f64> {
    let containers = metrics.get("containers")?.as_array()?;
    containers
        .iter()
        .map(|container| cores(container.pointer("/usage/cpu")?.as_str()?))
        .sum()
}

/// Cores from a quantity as the metrics API writes it: `812345n`, `35u`, `250m`, `1`.
fn cores(text: &str) -> Option<f64> {
    let units = [("n", 1e-9), ("u", 1e-6), ("m", 1e-3)];
    let with_unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)));
    let (number, factor) = with_unit.unwrap_or((text, 1.0));
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_of_the_metrics_api() {
        for (text, expected) in [("50000000n", 0.05), ("50000u", 0.05), ("50m", 0.05), ("2", 2.0)] {
            let read = cores(text).expect(text);
            assert!((read - expected).abs() < 1e-9, "{text}: {read}");
        }
        for text in ["", "m", "-5m", "x", "NaN"] {
            assert_eq!(cores(text), None, "{text}");
        }
    }

    #[test]
    fn cpu_is_a_share_of_the_limits_of_the_pods_that_are_known() {
        let pod = json!({"containers": [{"name": "worker", "usage": {"cpu": "80m", "memory": "1Mi"}}]});
        assert_eq!(
            cores_of(&json!({"containers": [{"name": "worker"}]})),
            None,
            "not known is not zero"
        );
        let used: Vec<f64> = [&pod, &pod].into_iter().filter_map(cores_of).collect();
        let share_of_two = share(&used).expect("a share");
        assert!((share_of_two - 0.8).abs() < 1e-9, "{share_of_two}");
        assert_eq!(share(&[]), None, "no pods use no share of anything");
    }
}
