//! The proposal of CPU utilisation: use against request, with care for pods that cannot be measured.

use super::Tolerance;
use crate::scaler::{Phase, Pod, Time};

/// Samples of pods younger than this need a Ready pod and a window after Ready [s] (`--…-cpu-initialization-period`).
const INITIALIZATION_SECONDS: f64 = 300.0;
/// A pod that became unready within this time of its start was never Ready [s] (`--…-initial-readiness-delay`).
const READINESS_DELAY_SECONDS: f64 = 30.0;
/// Window of a CPU sample [s], as `Pod::cpu_cores` says.
const WINDOW_SECONDS: f64 = 15.0;

/// What a pod says to the question of CPU use.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Being deleted: skipped.
    Leaving,
    /// Not there yet: its sample, if any, says nothing about the load.
    Unready,
    /// Runs, no sample.
    Missing,
    /// Uses so much [millicores].
    Uses(u64),
}

/// Replicas for a mean CPU use of `percent` of the request; `None` without any sample, or if a pod has no request.
pub fn proposal(pods: &[Pod], replicas: u32, percent: u32, tolerance: Tolerance, now: Time) -> Option<u32> {
    if percent == 0 || pods.iter().any(|pod| milli(pod.cpu_request) == 0) {
        return None;
    }
    let standings: Vec<(Standing, u64)> = pods
        .iter()
        .map(|pod| (standing(pod, now), milli(pod.cpu_request)))
        .collect();
    let count = |wanted: Standing| standings.iter().filter(|(standing, _)| *standing == wanted).count();
    let (unready, missing) = (count(Standing::Unready), count(Standing::Missing));

    // First by the pods that can be measured.
    let measured: Vec<(u64, u64)> = uses(&standings, |_, _| None);
    let ratio = usage_ratio(&measured, percent)?;
    let grows_with_unready = unready > 0 && ratio > 1.0;
    if !grows_with_unready && missing == 0 {
        if tolerance.holds(ratio) {
            return Some(replicas);
        }
        return Some((ratio * measured.len() as f64).ceil() as u32);
    }

    // Then again, with the others taken for what speaks against a change.
    let cautious: Vec<(u64, u64)> = uses(&standings, |standing, request| match standing {
        Standing::Missing if ratio < 1.0 => Some(request * u64::from(percent.max(100)) / 100),
        Standing::Missing if ratio > 1.0 => Some(0),
        Standing::Unready if grows_with_unready => Some(0),
        _ => None,
    });
    let again = usage_ratio(&cautious, percent)?;
    if tolerance.holds(again) || (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0) {
        return Some(replicas);
    }
    let proposed = (again * cautious.len() as f64).ceil() as u32;
    if (again < 1.0 && proposed > replicas) || (again > 1.0 && proposed < replicas) {
        return Some(replicas);
    }
    Some(proposed)
}

/// (use, request) of the measured pods, and of those that `guess` puts a figure on.
fn uses(standings: &[(Standing, u64)], guess: impl Fn(Standing, u64) -> Option<u64>) -> Vec<(u64, u64)> {
    let use_of = |&(standing, request): &(Standing, u64)| match standing {
        Standing::Uses(cores) => Some((cores, request)),
        other => guess(other, request).map(|cores| (cores, request)),
    };
    standings.iter().filter_map(use_of).collect()
}

/// Use in whole per cent of the request, over the target. The controller truncates too.
fn usage_ratio(uses: &[(u64, u64)], percent: u32) -> Option<f64> {
    let (used, requested) = uses.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let utilisation = (used * 100_u64).checked_div(requested)?;
    Some(utilisation as f64 / f64::from(percent))
}

fn standing(pod: &Pod, now: Time) -> Standing {
    match (pod.phase, pod.cpu_cores) {
        (Phase::Draining, _) => Standing::Leaving,
        (Phase::Pending, _) => Standing::Unready,
        (_, None) => Standing::Missing,
        (_, Some(_)) if is_unready(pod, now) => Standing::Unready,
        (_, Some(cores)) => Standing::Uses(milli(cores)),
    }
}

/// Whether the CPU sample of a running pod must not count.
fn is_unready(pod: &Pod, now: Time) -> bool {
    let ready = pod.phase == Phase::Ready;
    let changed = pod.ready.unwrap_or(pod.created);
    if pod.created + INITIALIZATION_SECONDS > now {
        !ready || now < changed + WINDOW_SECONDS
    } else {
        !ready && pod.created + READINESS_DELAY_SECONDS > changed
    }
}

/// Millicores of cores; negative and NaN count as 0.
fn milli(cores: f64) -> u64 {
    (cores.clamp(0.0, 1e9) * 1000.0).round() as u64
}
