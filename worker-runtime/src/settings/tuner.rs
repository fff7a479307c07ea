//! Whether the pod has a number of slots, or as many as its CPU and memory carry.

use serde::Deserialize;

use super::{Problem, Reader};

/// What the environment may ask for, in percent.
const BOUNDS: std::ops::RangeInclusive<u8> = 10..=100;

/// How the slots of the pod come about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tuner {
    /// The numbers of [`super::Options`] are the slots.
    #[default]
    Fixed,
    /// Further tasks are taken while CPU and memory are below their targets; the numbers of [`super::Options`] are ceilings, and each
    /// queue always gets one slot per task type.
    ///
    /// The SDK measures: against the limits of the container, and without limits against the whole machine.
    ResourceBased {
        /// Percent of the CPU, 1 to 100; from the environment 10 to 100. Default there: 90.
        target_cpu_percent: u8,
        /// Percent of the memory, 1 to 100; from the environment 10 to 100. Default there: 80.
        target_memory_percent: u8,
    },
}

/// The same as the variable spells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Spelt {
    Fixed {},
    ResourceBased {
        #[serde(default = "ninety")]
        target_cpu_percent: u8,
        #[serde(default = "eighty")]
        target_memory_percent: u8,
    },
}

impl Tuner {
    /// Whether CPU and memory decide how many tasks run.
    pub const fn is_resource_based(self) -> bool {
        matches!(self, Self::ResourceBased { .. })
    }

    /// What is wrong with targets that were set in code.
    pub(crate) fn check(self, problems: &mut Vec<Problem>) {
        let Self::ResourceBased {
            target_cpu_percent,
            target_memory_percent,
        } = self
        else {
            return;
        };
        for (name, percent) in [
            ("target_cpu_percent", target_cpu_percent),
            ("target_memory_percent", target_memory_percent),
        ] {
            if !(1..=100).contains(&percent) {
                problems.push(Problem::new("tuner", format!("{name} is {percent}"), "1 to 100"));
            }
        }
    }
}

impl Reader<'_> {
    /// The tuner that the environment names, if it names one.
    pub(super) fn tuner(&mut self) -> Option<Tuner> {
        const NAME: &str = "TEMPORAL_FLEET_TUNER";
        let allowed = "{\"fixed\":{}} (default), or {\"resourceBased\":{\"targetCpuPercent\":90,\"targetMemoryPercent\":80}} \
                       with each from 10 to 100 (these are the defaults)";
        let text = self.get(NAME)?.to_owned();
        match serde_json::from_str(&text) {
            Err(error) => self.problem(NAME, format!("{text:?} cannot be read: {error}"), allowed),
            Ok(Spelt::Fixed {}) => return Some(Tuner::Fixed),
            Ok(Spelt::ResourceBased {
                target_cpu_percent,
                target_memory_percent,
            }) => {
                if BOUNDS.contains(&target_cpu_percent) && BOUNDS.contains(&target_memory_percent) {
                    return Some(Tuner::ResourceBased {
                        target_cpu_percent,
                        target_memory_percent,
                    });
                }
                self.problem(NAME, format!("{text} is out of range"), allowed);
            }
        }
        None
    }
}

const fn ninety() -> u8 {
    90
}

const fn eighty() -> u8 {
    80
}
