//! Reads the text format of Prometheus, as far as looking at the operator's own metrics needs it. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape: series in the order of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scrape(Vec<Series>);

/// One series and its value.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads a scrape; lines that are no series are left out.
    pub fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(series)
                .collect(),
        )
    }

    /// The sum over all series of this name that carry these labels; `None` if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels)
            .map(|series| series.value)
            .reduce(|sum, value| sum + value)
    }

    /// The largest of all series of this name that carry these labels.
    pub fn max(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).map(|series| series.value).reduce(f64::max)
    }

    /// Cumulative buckets `(upper bound, count)` of a histogram, summed over all series that carry these labels.
    pub fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for series in self.matching(&name, labels) {
            let Some(bound) = series.labels.get("le").and_then(|bound| bound.parse::<f64>().ok()) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, count)) => *count += series.value,
                None => buckets.push((bound, series.value)),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        buckets
    }

    /// The names of all metrics and of their labels, the parts of histograms joined.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::new();
        let histograms: BTreeSet<&str> = self
            .0
            .iter()
            .filter_map(|each| each.name.strip_suffix("_bucket"))
            .collect();
        for series in &self.0 {
            let part = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| series.name.strip_suffix(suffix))
                .filter(|name| histograms.contains(name));
            let labels = shape.entry(part.unwrap_or(&series.name).to_owned()).or_default();
            labels.extend(series.labels.keys().filter(|key| *key != "le").cloned());
        }
        shape
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        self.0.iter().filter(move |series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|known| known == value))
        })
    }
}

/// Metrics by name, each with the names of its labels.
pub type Shape = BTreeMap<String, BTreeSet<String>>;

/// What a reference page promises: a table with rows `| name | type | labels | meaning |`, names and labels in backticks.
pub fn documented(page: &str) -> Shape {
    let quoted = |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').collect();
        let name = quoted(cells.get(1)?).into_iter().next()?;
        Some((name, quoted(cells.get(3)?)))
    });
    rows.collect()
}

/// The bound below which a share `q` of what came between two readings of a histogram lies: the upper bound of its
/// bucket, so never too optimistic. `None` if nothing came; the largest finite bound for what lies beyond.
pub fn quantile_between(before: &[(f64, f64)], after: &[(f64, f64)], q: f64) -> Option<f64> {
    let earlier = |bound: f64| {
        before
            .iter()
            .find(|(known, _)| known.total_cmp(&bound).is_eq())
            .map_or(0.0, |(_, count)| *count)
    };
    let came: Vec<(f64, f64)> = after
        .iter()
        .map(|(bound, count)| (*bound, (count - earlier(*bound)).max(0.0)))
        .collect();
    let total = came.last()?.1;
    if total <= 0.0 {
        return None;
    }
    let hit = came.iter().find(|(_, count)| *count >= q * total)?.0;
    if hit.is_finite() {
        Some(hit)
    } else {
        came.iter()
            .rev()
            .map(|(bound, _)| *bound)
            .find(|bound| bound.is_finite())
    }
}

fn series(line: &str) -> Option<Series> {
    let (head, value) = match line.find('}') {
        Some(end) => line.split_at(end + 1),
        None => line.split_once(' ')?,
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    let (name, labels) = match head.split_once('{') {
        Some((name, labels)) => (name, read_labels(labels.strip_suffix('}')?)),
        None => (head.trim(), BTreeMap::new()),
    };
    Some(Series {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Splits `a="x",b="y"`. A label value of ours never holds a quote or a brace: names of Kubernetes and closed sets.
fn read_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else {
            break;
        };
        labels.insert(key.trim_matches([',', ' ']).to_owned(), value.to_owned());
        rest = next;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP temporal_fleet_worker_slots_used Busy slots.
# TYPE temporal_fleet_worker_slots_used gauge
temporal_fleet_worker_slots_used{worker_namespace="default",worker="demo",slot_type="Activity"} 7
temporal_fleet_worker_slots_used{worker_namespace="default",worker="other",slot_type="Activity"} 3
up 1
lat_bucket{worker="demo",task_type="Activity",le="0.1"} 90
lat_bucket{worker="demo",task_type="Activity",le="5"} 99
lat_bucket{worker="demo",task_type="Activity",le="+Inf"} 100
lat_bucket{worker="demo",task_type="Workflow",le="0.1"} 10
lat_bucket{worker="demo",task_type="Workflow",le="5"} 10
lat_bucket{worker="demo",task_type="Workflow",le="+Inf"} 10
"#;

    #[test]
    fn series_are_found_by_their_labels() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!(
            scrape.sum("temporal_fleet_worker_slots_used", &[("worker", "demo")]),
            Some(7.0)
        );
        assert_eq!(scrape.sum("temporal_fleet_worker_slots_used", &[]), Some(10.0));
        assert_eq!(scrape.max("temporal_fleet_worker_slots_used", &[]), Some(7.0));
        assert_eq!(scrape.sum("up", &[]), Some(1.0));
        assert_eq!(scrape.sum("absent", &[]), None);
    }

    #[test]
    fn a_scrape_is_compared_with_what_a_page_promises() {
        let page = "| metric | type | labels | meaning |\n|---|---|---|---|\n| `up` | gauge |  | Up. |\n\
                    | `lat` | histogram | `worker` `task_type` | Time. |\n";
        let promised = documented(page);
        let shape = Scrape::parse(TEXT).shape();
        assert_eq!(
            (promised.get("up"), promised.get("lat")),
            (shape.get("up"), shape.get("lat"))
        );
        assert_eq!(promised.len(), 2);
    }

    #[test]
    fn quantiles_are_those_of_what_came_in_between() {
        let scrape = Scrape::parse(TEXT);
        let all = scrape.buckets("lat", &[("worker", "demo")]);
        assert_eq!(all, [(0.1, 100.0), (5.0, 109.0), (f64::INFINITY, 110.0)]);
        assert_eq!(quantile_between(&[], &all, 0.5), Some(0.1));
        assert_eq!(quantile_between(&[], &all, 0.99), Some(5.0));
        assert_eq!(
            quantile_between(&[], &all, 1.0),
            Some(5.0),
            "beyond the last bound: the last bound"
        );
        assert_eq!(quantile_between(&all, &all, 0.99), None, "nothing came");
    }
}
