//! One scaler's stands: the scaler installed, and for each scenario the workers at their first size and a way to Temporal. Set up for a
//! run and taken down after it, so that no scaler sees the load, or the leftovers, of another one.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    args::Scaler,
    keda,
    scenario::{Name, Scenario},
    subject::{self, NAME, Place, TEMPORAL, TEMPORAL_NAMESPACE},
};
use crate::{
    bed, clock,
    fleet::{Access, Fleet, operator, temporal},
    load::TemporalClient,
};

/// From apply to the first size, where that is more than none.
const START: Duration = Duration::from_mins(3);
/// … where it is none: a new fleet of ours first shows that it can poll, and goes to zero after its cooldown.
const START_AT_ZERO: Duration = Duration::from_mins(12);
/// From apply to a peer's first look at its metric.
const PEER: Duration = Duration::from_mins(3);
/// For pods that finish what they have.
const END: Duration = Duration::from_mins(3);

/// Workers under one scaler.
#[derive(Debug)]
pub(super) struct Stand {
    /// The workers. For the peers, too: their Deployment carries the same label.
    pub(super) fleet: Fleet,
    /// The way to Temporal.
    pub(super) temporal: TemporalClient,
    /// Their task queue, which begins the IDs of workflows.
    pub(super) queue: String,
    scaler: Scaler,
    _way: temporal::Way,
}

/// Says before a long comparison begins what a scaler lacks.
pub(super) fn check(scaler: Scaler) -> Result<()> {
    match scaler {
        Scaler::Keda => keda::check(),
        Scaler::Ours | Scaler::HpaCpu => Ok(()),
    }
}

/// Installs a scaler; the others are gone then.
pub(super) async fn install(access: &Access, scaler: Scaler) -> Result<()> {
    match scaler {
        Scaler::Ours => operator::install(access, &bed::image(access), &[]).await?,
        // The HPA's controller is a part of Kubernetes.
        Scaler::HpaCpu => operator::uninstall(access).await?,
        Scaler::Keda => {
            operator::uninstall(access).await?;
            keda::install(access).await?;
        }
    }
    Ok(())
}

/// Removes a scaler and all that [`Stand::up`] may have left when it failed half-way or was ended.
pub(super) async fn clear(access: &Access, scaler: Scaler) -> Result<()> {
    for scenario in Name::ALL {
        let namespace = format!("e2e-{}", namespace_of(scaler, scenario));
        clear_fleet(&Fleet::named(access, &namespace, NAME), scaler).await?;
    }
    uninstall(access, scaler).await
}

/// Removes a scaler that has no workers any more. Ours stays: whoever comes next removes it.
pub(super) async fn uninstall(access: &Access, scaler: Scaler) -> Result<()> {
    match scaler {
        Scaler::Keda => keda::uninstall(access).await,
        Scaler::Ours | Scaler::HpaCpu => Ok(()),
    }
}

impl Stand {
    /// Sets up the workers of an installed scaler, and waits until both are there.
    pub(super) async fn up(access: &Access, scaler: Scaler, scenario: &Scenario) -> Result<Self> {
        let namespace = bed::fresh_namespace(access, &namespace_of(scaler, scenario.name)).await?;
        // A queue per run: what an earlier run left behind is not this run's load.
        let queue = format!("live-{scaler}-{}-{}", scenario.name, clock::now().as_second());
        let place = Place { namespace, queue };
        let fleet = Fleet::named(access, &place.namespace, NAME);
        access.apply(&[subject::workers(scaler, scenario, &place)]).await?;
        let first = subject::start_of(scaler, scenario);
        let patience = if first == 0 { START_AT_ZERO } else { START };
        fleet
            .wait_replicas(&format!("{first} Ready pods"), patience, |replicas| {
                replicas.desired == first && replicas.ready == first
            })
            .await
            .with_context(|| not_there(scaler))?;
        // After the first size: KEDA ends workers that it never saw busy at once, an HPA counts pods that are not Ready.
        if let Some(object) = subject::scaler_object(scaler, scenario, &place) {
            access.apply(&[object]).await?;
            wait_for_peer(&fleet, scaler).await?;
        }
        let way = temporal::reach(access, TEMPORAL, &place.namespace).await?;
        let temporal = TemporalClient::connect(&way.address, TEMPORAL_NAMESPACE, Duration::from_mins(1)).await?;
        Ok(Self {
            fleet,
            temporal,
            queue: place.queue,
            scaler,
            _way: way,
        })
    }

    /// Takes down the workers.
    pub(super) async fn down(self) -> Result<()> {
        let Self {
            fleet,
            temporal: _,
            queue: _,
            scaler,
            _way: way,
        } = self;
        drop(way);
        clear_fleet(&fleet, scaler).await
    }
}

/// Name of a stand's Kubernetes namespace, without the prefix of all that tests make.
fn namespace_of(scaler: Scaler, scenario: Name) -> String {
    format!("live-{scaler}-{scenario}")
}

async fn clear_fleet(fleet: &Fleet, scaler: Scaler) -> Result<()> {
    let namespace = fleet.namespace.as_str();
    match scaler {
        // Its finalizer needs the operator.
        Scaler::Ours => fleet.delete(END).await?,
        Scaler::HpaCpu => {}
        Scaler::Keda => keda::delete_scaled_objects(&fleet.access, namespace).await?,
    }
    let delete = ["delete", "namespace", namespace, "--ignore-not-found", "--timeout=4m"];
    fleet.access.kubectl(&delete).await?;
    Ok(())
}

/// Waits until a peer's object says that it reads its metric. At zero an HPA of KEDA's is disabled, its own condition speaks instead.
async fn wait_for_peer(fleet: &Fleet, scaler: Scaler) -> Result<()> {
    let (kind, condition) = match scaler {
        Scaler::Ours => return Ok(()),
        Scaler::HpaCpu => ("horizontalpodautoscalers.autoscaling", "ScalingActive"),
        Scaler::Keda => ("scaledobjects.keda.sh", "Ready"),
    };
    let path = format!("jsonpath={{.status.conditions[?(@.type==\"{condition}\")].status}}");
    fleet
        .wait(&format!("{condition} of the {kind}"), PEER, async || {
            let status = fleet
                .access
                .kubectl(&["get", kind, NAME, "-n", &fleet.namespace, "-o", &path])
                .await?;
            if status.trim() == "True" {
                Ok(Ok(()))
            } else {
                Ok(Err(format!("status `{status}`")))
            }
        })
        .await?;
    Ok(())
}

fn not_there(scaler: Scaler) -> String {
    format!("the workers of {scaler} did not come to their first size")
}
