//! One scaler against the others: how many times its violated minutes they have, and which part of their pod-hours it costs.
//! Over all workloads, and over those of one profile: a sum over all hangs on the longest runs.

use serde_json::{Map, Value, json};

use crate::compare::Runs;
use crate::report::{per_seed, scalers, workloads};
use crate::stats::Estimate;

/// The scaler that is compared with the others.
pub const OURS: &str = "ours";

/// Ratios against one peer over a group of workloads; `None` where we divide by nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// The peer.
    pub peer: String,
    /// The profile, or `all`.
    pub group: String,
    /// The peer's violated minutes as a multiple of ours.
    pub violations: Option<Estimate>,
    /// Our pod-hours as a multiple of the peer's.
    pub cost: Option<Estimate>,
}

/// All ratios, peer by peer; none if ours did not run.
pub fn against(runs: &[Runs]) -> Vec<Against> {
    if !scalers(runs).contains(&OURS) {
        return Vec::new();
    }
    let profile = |workload: &str| workload.split('-').next().unwrap_or_default().to_owned();
    let mut groups = vec![("all".to_owned(), workloads(runs))];
    for workload in workloads(runs) {
        let name = profile(workload);
        match groups.iter_mut().skip(1).find(|(group, _)| *group == name) {
            Some((_, members)) => members.push(workload),
            None => groups.push((name, vec![workload])),
        }
    }
    if groups.len() == 2 {
        groups.truncate(1);
    }
    let mut all = Vec::new();
    for peer in scalers(runs).into_iter().filter(|peer| *peer != OURS) {
        for (group, members) in &groups {
            let of = |scaler: &str, key| per_seed(runs, scaler, key, |workload| members.contains(&workload));
            all.push(Against {
                peer: peer.to_owned(),
                group: group.clone(),
                violations: Estimate::ratio(&of(peer, "violation_minutes"), &of(OURS, "violation_minutes")),
                cost: Estimate::ratio(&of(OURS, "pod_hours"), &of(peer, "pod_hours")),
            });
        }
    }
    all
}

/// A table: a row per peer, a column per group, each with violations and cost.
pub fn rows(all: &[Against]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = vec![vec!["against".to_owned()]];
    for Against {
        peer,
        group,
        violations,
        cost,
    } in all
    {
        let show = |ratio: &Option<Estimate>| match ratio {
            Some(ratio) if ratio.half() > 1e-9 => format!("{:.2}±{:.2}", ratio.mean, ratio.half()),
            Some(ratio) => format!("{:.2}", ratio.mean),
            None => "-".to_owned(),
        };
        let cell = format!("{} / {}", show(violations), show(cost));
        if let Some(header) = rows.first_mut()
            && !header.contains(group)
        {
            header.push(group.clone());
        }
        match rows.iter_mut().skip(1).find(|row| row.first() == Some(peer)) {
            Some(row) => row.push(cell),
            None => rows.push(vec![peer.clone(), cell]),
        }
    }
    rows
}

/// The ratios for machines: `<peer>.<group>.violations` and `.cost`.
pub fn json(all: &[Against]) -> Value {
    let mut peers = Map::new();
    for Against {
        peer,
        group,
        violations,
        cost,
    } in all
    {
        let entry = peers.entry(peer.clone()).or_insert_with(|| json!({}));
        if let Value::Object(groups) = entry {
            groups.insert(group.clone(), json!({"violations": violations, "cost": cost}));
        }
    }
    Value::Object(peers)
}
