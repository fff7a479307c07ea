//! The peers' scalers, each in its own words, in the same world as ours.
//!
//! A baseline is what a user gets who follows the peer's documentation. Where the documentation leaves a choice, the module says
//! what is assumed, and the choice that favours the peer is taken: no stalls, no outages of a metrics pipeline, no throttling.
//! Loops that run apart in reality start half a period apart here: that is the mean of their chance phases, without a draw.
//!
//! | name | peer | grace |
//! |---|---|---|
//! | `keda` | KEDA's Temporal scaler, defaults | 30 s |
//! | `keda-long-grace` | the same | the fleet's |
//! | `keda-tuned` | one task per slot of a pod, a poll every 5 s | 30 s |
//! | `keda-cpu` | the defaults and a trigger on 80 % CPU | 30 s |
//! | `hpa` | HPA on 80 % CPU | 30 s |
//! | `twc` | the HPA that temporal-worker-controller recommends | the fleet's |
//! | `twc-fast` | the same on fresher metrics, unhindered by rates | the fleet's |
//! | `wci` | Temporal's Worker Controller Instance, as documented | the fleet's |

mod every;
pub mod hpa;
pub mod hpa_cpu;
pub mod keda;
pub mod twc;
pub mod wci;

use crate::scaler::{Ending, Scaler};
use crate::setting::Setting;

/// Names of all baselines, as `by_name` takes them.
pub const NAMES: &[&str] = &[
    "keda",
    "keda-long-grace",
    "keda-tuned",
    "keda-cpu",
    "hpa",
    "twc",
    "twc-fast",
    "wci",
];

/// The baseline of that name, fresh, for a fleet; `None` if there is none.
pub fn by_name(name: &str, setting: &Setting) -> Option<Box<dyn Scaler + Send>> {
    let defaults = keda::Trigger::default();
    Some(match name {
        "keda" => Box::new(keda::Keda::new("keda", defaults, kubernetes_grace(), setting)),
        "keda-long-grace" => Box::new(keda::Keda::new(
            "keda-long-grace",
            defaults,
            fleet_grace(setting),
            setting,
        )),
        "keda-tuned" => Box::new(keda::Keda::new(
            "keda-tuned",
            keda::Trigger::tuned(setting),
            kubernetes_grace(),
            setting,
        )),
        "keda-cpu" => Box::new(keda::Keda::new(
            "keda-cpu",
            keda::Trigger {
                cpu_percent: Some(80),
                ..defaults
            },
            kubernetes_grace(),
            setting,
        )),
        "hpa" => Box::new(hpa_cpu::HpaCpu::new(setting)),
        "twc" => Box::new(twc::Twc::documented(setting)),
        "twc-fast" => Box::new(twc::Twc::fast(setting)),
        "wci" => Box::new(wci::Wci::new(setting)),
        _ => return None,
    })
}

/// Pods as Kubernetes ends them if nobody asks for more: 30 s, and the order of their `ReplicaSet`.
fn kubernetes_grace() -> Ending {
    ending(30.0)
}

/// Pods that get the grace of the fleet, in the order of their `ReplicaSet`.
fn fleet_grace(setting: &Setting) -> Ending {
    ending(setting.grace_seconds)
}

/// None of the peers chooses its victims or lets a pod outlive its grace.
fn ending(grace_seconds: f64) -> Ending {
    Ending {
        grace_seconds,
        idle_first: false,
        quarantine: false,
    }
}
