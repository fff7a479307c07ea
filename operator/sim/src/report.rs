//! Results as tables for people and as JSON for machines. A total adds minutes, hours and counts over the workloads seed by
//! seed, so that its interval is that of the sum; ratios, waits and rates are averaged.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::against::{self, against};
use crate::compare::Runs;
use crate::score::{METRICS, Metric, Score};
use crate::stats::Estimate;

/// Metrics that add up over workloads.
const SUMS: [&str; 9] = [
    "violation_minutes",
    "pod_hours",
    "killed",
    "scale_events",
    "reversals",
    "pod_starts",
    "wasted_seconds",
    "tasks",
    "recovery_seconds",
];

/// A column of a table: title, key, digits.
type Column = (&'static str, &'static str, usize);

/// Columns of tables.
const COLUMNS: [Column; 12] = [
    ("violated min", "violation_minutes", 1),
    ("pod-hours", "pod_hours", 1),
    ("killed", "killed", 1),
    ("scale events", "scale_events", 0),
    ("reversals", "reversals", 0),
    ("late %", "late_share", 2),
    ("p50 s", "wait_p50", 2),
    ("p95 s", "wait_p95", 1),
    ("p99 s", "wait_p99", 1),
    ("max s", "wait_max", 0),
    ("recovery s", "recovery_seconds", 0),
    ("CPU %", "mean_cpu", 0),
];

fn metric(key: &str) -> fn(&Score) -> f64 {
    METRICS
        .iter()
        .find(|(name, _)| *name == key)
        .map_or(|_| 0.0, |(_, read)| *read)
}

/// The estimate of a metric over the seeds of one workload.
pub fn estimate(runs: &Runs, key: &str) -> Estimate {
    let read = metric(key);
    Estimate::of(&runs.scores.iter().map(read).collect::<Vec<_>>())
}

/// A metric of one scaler per seed, over the workloads that are `wanted`: added up, or the mean where a sum means nothing.
pub(crate) fn per_seed(runs: &[Runs], scaler: &str, key: &str, wanted: impl Fn(&str) -> bool) -> Vec<f64> {
    let read = metric(key);
    let of_it = runs
        .iter()
        .filter(|runs| runs.scaler == scaler && wanted(&runs.workload));
    let of_it: Vec<&Runs> = of_it.collect();
    let seeds = of_it.iter().map(|runs| runs.scores.len()).min().unwrap_or(0);
    let parts = if SUMS.contains(&key) {
        1.0
    } else {
        of_it.len().max(1) as f64
    };
    let of_seed = |seed: usize| {
        of_it
            .iter()
            .filter_map(|runs| runs.scores.get(seed))
            .map(read)
            .sum::<f64>()
            / parts
    };
    (0..seeds).map(of_seed).collect()
}

/// The estimate of a metric of one scaler over all workloads.
pub fn total(runs: &[Runs], scaler: &str, key: &str) -> Estimate {
    Estimate::of(&per_seed(runs, scaler, key, |_| true))
}

/// Names in the order in which they come first.
fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut order = Vec::new();
    for name in names {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    order
}

/// Scalers in the order of the runs.
pub fn scalers(runs: &[Runs]) -> Vec<&str> {
    in_order(runs.iter().map(|runs| runs.scaler.as_str()))
}

/// Workloads in the order of the runs.
pub fn workloads(runs: &[Runs]) -> Vec<&str> {
    in_order(runs.iter().map(|runs| runs.workload.as_str()))
}

fn cell(estimate: Estimate, digits: usize, percent: bool) -> String {
    let scale = if percent { 100.0 } else { 1.0 };
    let (mean, half) = (estimate.mean * scale, estimate.half() * scale);
    if half.abs() < 1e-9 {
        format!("{mean:.digits$}")
    } else {
        format!("{mean:.digits$} ± {half:.digits$}")
    }
}

/// How many of the columns a terminal has room for: what it came to, without how.
const FIRST: usize = 4;

fn row(columns: &[Column], of: impl Fn(&str) -> Estimate) -> Vec<String> {
    let percent = |key: &str| key == "late_share" || key == "mean_cpu";
    columns
        .iter()
        .map(|(_, key, digits)| cell(of(key), *digits, percent(key)))
        .collect()
}

fn titles(columns: &[Column]) -> Vec<String> {
    std::iter::once("scaler")
        .chain(columns.iter().map(|(title, ..)| *title))
        .map(str::to_owned)
        .collect()
}

/// Rows of one workload, or of all together with `None`; the first is the header.
fn rows(runs: &[Runs], workload: Option<&str>) -> Vec<Vec<String>> {
    let mut rows = vec![titles(&COLUMNS)];
    if let Some(workload) = workload {
        for runs in runs.iter().filter(|runs| runs.workload == workload) {
            let mut cells = vec![runs.scaler.clone()];
            cells.extend(row(&COLUMNS, |key| estimate(runs, key)));
            rows.push(cells);
        }
    } else {
        for scaler in scalers(runs) {
            let mut cells = vec![scaler.to_owned()];
            cells.extend(row(&COLUMNS, |key| total(runs, scaler, key)));
            rows.push(cells);
        }
    }
    rows
}

/// A table per workload for a terminal.
pub fn text(runs: &[Runs]) -> String {
    let mut text = String::new();
    for workload in workloads(runs) {
        text.push_str(&format!("{workload}\n{}\n", aligned(&rows(runs, Some(workload)))));
    }
    if workloads(runs).len() > 1 {
        text.push_str(&format!("all together\n{}\n", aligned(&rows(runs, None))));
    }
    let against = against(runs);
    if !against.is_empty() {
        let table = aligned(&against::rows(&against));
        text.push_str(&format!(
            "violations of theirs / ours, then cost of ours / theirs\n{table}"
        ));
    }
    text
}

/// The scalers of one workload in a few columns: minutes violated, pod-hours, tasks killed, scale events; means over the seeds
/// with the half width of their 95 % confidence intervals.
pub fn summary(runs: &[Runs]) -> String {
    let columns: Vec<Column> = COLUMNS.into_iter().take(FIRST).collect();
    let mut rows = vec![titles(&columns)];
    for runs in runs {
        let mut cells = vec![runs.scaler.clone()];
        cells.extend(row(&columns, |key| estimate(runs, key)));
        rows.push(cells);
    }
    aligned(&rows)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if number == 0 {
                text.push_str(&format!("  {cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push('\n');
    }
    text
}

/// The tables as Markdown, the total first.
pub fn markdown(runs: &[Runs]) -> String {
    let seeds = runs.iter().map(|runs| runs.scores.len()).max().unwrap_or(0);
    let mut text =
        format!("Simulated; means over {seeds} seeds with 95 % confidence intervals.\n\n## All together\n\n");
    text.push_str(&piped(&rows(runs, None)));
    let against = against(runs);
    if !against.is_empty() {
        text.push_str("\n## Ours against the others\n\nTheir violated minutes as a multiple of ours, then our pod-hours as a multiple of theirs.\n\n");
        text.push_str(&piped(&against::rows(&against)));
    }
    for workload in workloads(runs) {
        text.push_str(&format!("\n## {workload}\n\n{}", piped(&rows(runs, Some(workload)))));
    }
    text
}

fn piped(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if number == 0 {
            let rest = "---:|".repeat(row.len().saturating_sub(1));
            text.push_str(&format!("|---|{rest}\n"));
        }
    }
    text
}

/// The results for machines: `scalers.<name>.total.<metric>` and `scalers.<name>.workloads.<name>.<metric>`, each with `mean`,
/// `low` and `high`.
pub fn json(runs: &[Runs]) -> Value {
    let all = |of: &dyn Fn(&str) -> Estimate| {
        let one = |(key, _): &Metric| ((*key).to_owned(), json!(of(key)));
        Value::Object(METRICS.iter().map(one).collect::<Map<_, _>>())
    };
    let mut by_scaler = BTreeMap::new();
    for scaler in scalers(runs) {
        let mut by_workload = Map::new();
        for runs in runs.iter().filter(|runs| runs.scaler == scaler) {
            by_workload.insert(runs.workload.clone(), all(&|key| estimate(runs, key)));
        }
        by_scaler.insert(
            scaler,
            json!({"total": all(&|key| total(runs, scaler, key)), "workloads": by_workload}),
        );
    }
    json!({
        "simulated": true,
        "seeds": runs.iter().map(|runs| runs.scores.len()).max().unwrap_or(0),
        "workloads": workloads(runs),
        "scalers": by_scaler,
        "against": against::json(&against(runs)),
    })
}
