//! The tree as text. Pure: the same model gives the same text.

use std::fmt::Write as _;

use crate::model::{Cpu, Fleet, Pod};

/// Fleets as trees with at most `pods` pods per Deployment, one empty line between fleets.
pub(crate) fn tree(fleets: &[Fleet], pods: usize) -> String {
    fleets
        .iter()
        .map(|fleet| fleet_tree(fleet, pods))
        .collect::<Vec<_>>()
        .join("\n")
}

/// One line for a fleet, without anything that changes by the mere passing of time.
pub(crate) fn line(fleet: &Fleet) -> String {
    let mut parts = vec![format!("{}/{}  {}", fleet.namespace, fleet.name, fleet.state)];
    if let Some((current, objective)) = &fleet.latency {
        parts.push(match objective.split_once(' ') {
            Some((percentile, goal)) => format!("{percentile} {current} of {goal}"),
            None => format!("{current} of {objective}"),
        });
    }
    let size = fleet.desired.map_or_else(|| "? pods".to_owned(), pods_word);
    parts.push(match fleet.bounds {
        Some((min, max)) => format!("{size} of {min}..{max}"),
        None => format!("{size}, fixed"),
    });
    if let Some(backlog) = fleet.backlog.filter(|backlog| *backlog > 0) {
        parts.push(format!("backlog {backlog}"));
    }
    parts.push(format!(
        "Temporal {} via {}",
        fleet.temporal_namespace, fleet.connection
    ));
    parts.join("   ")
}

fn fleet_tree(fleet: &Fleet, pods: usize) -> String {
    let mut text = line(fleet);
    text.push('\n');
    // What is wrong stands right under the head, where it is read first.
    if let Some(because) = &fleet.because {
        let _ = writeln!(text, "│  {because}");
    }
    let mut branches: Vec<(String, &[Pod])> = fleet
        .deployments
        .iter()
        .map(|deployment| {
            (
                format!("{}  {}/{} ready", deployment.name, deployment.ready, deployment.desired),
                &*deployment.pods,
            )
        })
        .collect();
    if !fleet.quarantined.is_empty() {
        branches.push((
            format!(
                "quarantined  {}",
                pods_word(fleet.quarantined.len().try_into().unwrap_or(i32::MAX))
            ),
            &fleet.quarantined,
        ));
    }
    if branches.is_empty() {
        branches.push(("no Deployment yet".to_owned(), &[]));
    }
    let last = branches.len() - 1;
    for (at, (head, members)) in branches.into_iter().enumerate() {
        let (branch, trunk) = if at == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let _ = writeln!(text, "{branch}{head}");
        pod_lines(&mut text, trunk, members, pods);
    }
    text
}

fn pod_lines(text: &mut String, trunk: &str, members: &[Pod], most: usize) {
    let shown = &members[..members.len().min(most)];
    let hidden = members.len() - shown.len();
    let name = shown.iter().map(|pod| pod.name.len()).max().unwrap_or(0);
    let state = shown.iter().map(|pod| pod.state.len()).max().unwrap_or(0);
    for (at, pod) in shown.iter().enumerate() {
        let branch = if at + 1 == shown.len() && hidden == 0 {
            "└─ "
        } else {
            "├─ "
        };
        let mut line = format!(
            "{trunk}{branch}{:name$}   {:state$}   {:>8}   {:>5}",
            pod.name,
            pod.state,
            cpu(pod.cpu),
            duration(pod.seconds)
        );
        if pod.restarts > 0 {
            let _ = write!(
                line,
                "   {} restart{}",
                pod.restarts,
                if pod.restarts == 1 { "" } else { "s" }
            );
        }
        if pod.next_to_go {
            line.push_str("   next to go");
        }
        let _ = writeln!(text, "{line}");
    }
    if hidden > 0 {
        let _ = writeln!(text, "{trunk}└─ … {hidden} more");
    }
}

fn pods_word(count: i32) -> String {
    format!("{count} pod{}", if count == 1 { "" } else { "s" })
}

fn cpu(cpu: Option<Cpu>) -> String {
    match cpu {
        Some(Cpu::Share(share)) => format!("cpu {:3.0}%", share * 100.0),
        Some(Cpu::Cores(cores)) => format!("cpu {:.0}m", cores * 1000.0),
        None => "cpu    ?".to_owned(),
    }
}

/// Seconds as kubectl's ages: the two largest units at most.
pub(crate) fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => format!("{minutes}m{}s", seconds % 60),
        600..7200 => format!("{minutes}m"),
        7200..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// The lines of `text` that fit a screen; says how many did not.
pub(crate) fn fit(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(|line| line.chars().take(columns).collect()).collect();
    if lines.len() > rows {
        let hidden = lines.len() - rows.saturating_sub(1);
        lines.truncate(rows.saturating_sub(1));
        lines.push(format!("… {hidden} more lines").chars().take(columns).collect());
    }
    lines
}
