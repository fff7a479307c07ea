//! Command line of the live comparison.

use std::{fmt, path::PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::scenario::Name;

/// Compare scalers on the local cluster: the same load on the same workers, one scaler after another.
///
/// Each run leaves a record; tables and pictures are made of all records in the folder, so that scalers can be measured on different
/// days.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Args {
    /// Scalers, in this order within each scenario
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Scaler::ALL)]
    pub scalers: Vec<Scaler>,
    /// Scenarios
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Name::ALL)]
    pub scenarios: Vec<Name>,
    /// Run the scenarios of a scaler at the same time, each with workers of its own, instead of one after another; the most
    /// pods of all of them must find room on the node
    #[arg(long)]
    pub side_by_side: bool,
    /// Length of each run; else the scenario's own. Below 15 minutes no scaler's scale-in is seen
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub minutes: Option<u64>,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seconds that workflows have to close after a run
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(60..=3600))]
    pub settle_seconds: u64,
    /// The folder for live.json, live.md, one picture per scenario, and the records below `live`
    #[arg(long, default_value = "target/bench")]
    pub output: PathBuf,
    /// Run nothing; make tables and pictures of the records that are there
    #[arg(long)]
    pub report_only: bool,
}

/// Who sets the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scaler {
    /// A `TemporalWorker` with the defaults of its autoscaler.
    Ours,
    /// A Deployment with a `HorizontalPodAutoscaler` on 80 % CPU.
    HpaCpu,
    /// The same Deployment with KEDA's Temporal scaler at its defaults.
    Keda,
}

impl Scaler {
    /// All, in the order of runs and tables.
    pub const ALL: [Self; 3] = [Self::Ours, Self::HpaCpu, Self::Keda];

    /// Name in files, tables and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::HpaCpu => "hpa-cpu",
            Self::Keda => "keda",
        }
    }

    /// Name of its model in the simulator.
    pub const fn simulated(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::HpaCpu => "hpa",
            Self::Keda => "keda",
        }
    }
}

impl fmt::Display for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn names_are_those_of_files_and_records() {
        let args = Args::try_parse_from(["bench-live", "--scalers", "hpa-cpu,ours", "--scenarios", "step,long"])
            .expect("arguments");
        assert_eq!(args.scalers, [Scaler::HpaCpu, Scaler::Ours]);
        assert_eq!(args.scenarios, [Name::Step, Name::Long]);
        for scaler in Scaler::ALL {
            assert_eq!(serde_json::json!(scaler), scaler.as_str());
            assert_eq!(Scaler::from_str(scaler.as_str(), false).ok(), Some(scaler));
        }
    }

    #[test]
    fn all_scalers_and_scenarios_run_unless_said_otherwise() {
        let args = Args::try_parse_from(["bench-live"]).expect("arguments");
        assert_eq!(args.scalers, Scaler::ALL);
        assert_eq!(args.scenarios, Name::ALL);
    }
}
