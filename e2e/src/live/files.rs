//! Where results lie, and how they are written and read back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{args::Scaler, record::Record, scenario::Name};

/// The folder of a comparison.
#[derive(Debug, Clone)]
pub(super) struct Files {
    output: PathBuf,
}

impl Files {
    /// Below this folder.
    pub(super) fn new(output: &Path) -> Self {
        Self {
            output: output.to_owned(),
        }
    }

    /// The scores of all runs.
    pub(super) fn json(&self) -> PathBuf {
        self.output.join("live.json")
    }

    /// The tables.
    pub(super) fn markdown(&self) -> PathBuf {
        self.output.join("live.md")
    }

    /// The picture of a scenario.
    pub(super) fn picture(&self, scenario: Name) -> PathBuf {
        self.output.join(format!("live-{scenario}.svg"))
    }

    /// The record of a run.
    pub(super) fn record(&self, scenario: Name, scaler: Scaler) -> PathBuf {
        self.part(&format!("{scenario}-{scaler}.json"))
    }

    /// Name of the load of a scenario as a trace.
    pub(super) fn trace_name(scenario: Name) -> String {
        format!("{scenario}.csv")
    }

    /// A file beside the records.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.output.join("live").join(name)
    }

    /// What the simulator says of a scenario, if it was asked.
    pub(super) fn prediction(&self, scenario: Name) -> Option<serde_json::Value> {
        let text = fs::read_to_string(self.part(&format!("{scenario}.simulated.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps a run.
    pub(super) fn keep(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string(record)?;
        write(&self.record(record.scenario, record.scaler), &text)
    }

    /// All runs that were kept, in the order of scenarios and scalers. A record that cannot be read is an error: it must not be missing
    /// from a table in silence.
    pub(super) fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for scenario in Name::ALL {
            for scaler in Scaler::ALL {
                let path = self.record(scenario, scaler);
                if path.exists() {
                    let shown = path.display();
                    let text = fs::read(&path).with_context(|| format!("failed to read {shown}"))?;
                    let record = serde_json::from_slice(&text)
                        .with_context(|| format!("{shown} is no record of this version; remove it"))?;
                    records.push(record);
                }
            }
        }
        Ok(records)
    }
}

/// Writes a file; its folder is made if need be.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_run_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::new(folder.path());
        assert!(files.records().expect("none").is_empty());
        let record = Record {
            scaler: Scaler::Keda,
            scenario: Name::Burst,
            beside: vec![],
            seed: 3,
            machine: "2 x CPU".to_owned(),
            began: Timestamp::UNIX_EPOCH,
            seconds: 900.0,
            due: vec![90.0],
            workflows: vec![],
            pods: vec![],
            sizes: vec![],
            samples: vec![],
            health: vec![],
        };
        files.keep(&record).expect("kept");
        assert_eq!(files.records().expect("one"), [record]);
        fs::write(files.record(Name::Step, Scaler::Ours), "{}").expect("written");
        assert!(files.records().is_err(), "a record of another form is not passed over");
    }
}
