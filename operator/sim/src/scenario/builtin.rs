//! The built-in workloads: every profile of tasks with every shape of load, by names such as `io-step`.

use super::read::{ScenarioError, parse};
use super::{Bounds, Scenario};
use crate::load::Shape;

/// Profiles of tasks, as YAML under every scenario that names one.
pub const PROFILES: [(&str, &str); 5] = [
    ("io", include_str!("../../profiles/io.yaml")),
    ("cpu", include_str!("../../profiles/cpu.yaml")),
    ("long", include_str!("../../profiles/long.yaml")),
    ("mix", include_str!("../../profiles/mix.yaml")),
    ("hours", include_str!("../../profiles/hours.yaml")),
];

/// Names of all built-in workloads.
pub fn names() -> Vec<String> {
    let of = |profile: &str| Shape::ALL.map(|shape| format!("{profile}-{}", shape.as_str()));
    PROFILES.iter().flat_map(|(profile, _)| of(profile)).collect()
}

/// A built-in workload by its name.
///
/// # Errors
/// If there is none of this name.
pub fn builtin(name: &str) -> Result<Scenario, ScenarioError> {
    let known = names();
    let found = known
        .iter()
        .find(|known| *known == name)
        .and_then(|name| name.split_once('-'));
    let Some((profile, shape)) = found else {
        return Err(ScenarioError::Field {
            field: "scenario".to_owned(),
            why: format!(
                "there is no file and no workload `{name}`; workloads: {}",
                known.join(", ")
            ),
        });
    };
    let text = format!("profile: {profile}\nname: {name}\nload: {{ shape: {shape} }}\n");
    let mut scenario = parse(&text)?;
    match scenario.load.shape {
        Shape::OnOff | Shape::Trickle => {
            // An autoscaler of Kubernetes' own never leaves zero: nobody starts there.
            scenario.bounds = Bounds {
                min: 0,
                start: 1,
                ..scenario.bounds
            };
        }
        // Its low is a third of the rate.
        Shape::Spikes => {
            scenario.bounds.start = scenario.bounds.start.div_ceil(3).max(scenario.bounds.min);
            scenario.load.peak *= 1.5;
        }
        Shape::Steady | Shape::Step | Shape::Diurnal | Shape::Flash => {}
    }
    Ok(scenario)
}
