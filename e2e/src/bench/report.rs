//! What was found: one row per bar, as a table for people and as JSON for machines.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    machine::Machine,
    stats::{Estimate, estimate},
};

/// Everything of one run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Where it ran.
    pub(super) machine: Machine,
    /// What was found.
    pub(super) rows: Vec<Row>,
}

/// One measured quantity.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// What it is.
    pub(super) what: String,
    /// Its unit, `x` for a ratio.
    pub(super) unit: &'static str,
    /// Its value.
    pub(super) value: Estimate,
    /// What was promised; absent for what explains another row.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) bar: Option<Bar>,
    /// All measurements.
    pub(super) samples: Vec<f64>,
    /// What else is worth knowing, such as where CPU time went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<serde_json::Value>,
}

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bar {
    /// Not more than that.
    AtMost(f64),
    /// Not less than that.
    AtLeast(f64),
}

impl Row {
    /// A quantity without a promise.
    pub(super) fn new(what: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Result<Self> {
        let what = what.into();
        let value = estimate(&samples).with_context(|| format!("{what}: nothing was measured"))?;
        Ok(Self {
            what,
            unit,
            value,
            bar: None,
            samples,
            detail: None,
        })
    }

    /// A promise about it.
    #[must_use]
    pub(super) fn with_bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// What explains it.
    #[must_use]
    pub(super) fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Whether the median keeps the promise.
    pub(super) fn holds(&self) -> Option<bool> {
        self.bar.map(|bar| match bar {
            Bar::AtMost(most) => self.value.median <= most,
            Bar::AtLeast(least) => self.value.median >= least,
        })
    }
}

impl Report {
    /// Writes the JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(f, "| what | median | interval | bar | |\n|---|---|---|---|---|")?;
        for row in &self.rows {
            let Estimate {
                median,
                low,
                high,
                confidence,
                of,
            } = row.value;
            let interval = if of > 1 {
                format!(
                    "{} – {} ({:.0} %, n = {of})",
                    short(low),
                    short(high),
                    confidence * 100.0
                )
            } else {
                "one measurement".to_owned()
            };
            let bar = match row.bar {
                Some(Bar::AtMost(most)) => format!("≤ {}", short(most)),
                Some(Bar::AtLeast(least)) => format!("≥ {}", short(least)),
                None => "–".to_owned(),
            };
            let verdict = match row.holds() {
                Some(true) => "held",
                Some(false) => "**missed**",
                None => "",
            };
            writeln!(
                f,
                "| {} | {} {} | {interval} | {bar} | {verdict} |",
                row.what,
                short(median),
                row.unit
            )?;
        }
        Ok(())
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        big if big >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        small if small >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_held_or_missed_by_the_median() {
        let row = |bar| Row::new("x", "x", vec![1.0, 9.0, 2.0]).expect("values").with_bar(bar);
        assert_eq!(row(Bar::AtMost(2.0)).holds(), Some(true));
        assert_eq!(row(Bar::AtMost(1.9)).holds(), Some(false));
        assert_eq!(row(Bar::AtLeast(2.0)).holds(), Some(true));
        assert_eq!(row(Bar::AtLeast(2.1)).holds(), Some(false));
        assert_eq!(Row::new("x", "x", vec![1.0]).expect("a value").holds(), None);
        assert!(Row::new("x", "x", vec![]).is_err());
    }

    #[test]
    fn the_table_says_what_was_missed() {
        let machine = Machine::read().expect("this machine");
        let rows = vec![
            Row::new("ratio", "x", vec![1.0651, 1.1])
                .expect("values")
                .with_bar(Bar::AtMost(1.05)),
            Row::new("memory", "MiB", vec![123.4]).expect("a value"),
        ];
        let text = Report { machine, rows }.to_string();
        assert!(
            text.contains("| ratio | 1.08 x | 1.07 – 1.10 (50 %, n = 2) | ≤ 1.05 | **missed** |"),
            "{text}"
        );
        assert!(text.contains("| memory | 123 MiB | one measurement | – |  |"), "{text}");
    }
}
