//! What a plan must not forget between passes. Small, versioned, kept in the status of the `TemporalWorker`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::autoscale;
use crate::pause::Hold;

/// The planner's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Size that was decided last; the Deployment should have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// `spec.replicas` as seen last, to tell its next change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_replicas: Option<u32>,
    /// The autoscaler decided the size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto: bool,
    /// Autoscaling ended; the size stays until `spec.replicas` changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// A scale-in that was announced to its victims and not yet written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<ScaleIn>,
    /// What annotations held back of changes of size at the last pass: a change of it is told.
    #[serde(skip_serializing_if = "Hold::is_no")]
    pub hold: Hold,
    /// Others who write the Deployment's size, each once, at most [`WRITERS`].
    #[serde(
        alias = "writer",
        deserialize_with = "one_or_several",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub writers: Vec<Writer>,
    /// Whose the Deployment's size was at the last pass, if not ours: a change of it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yielded_to: Option<String>,
    /// What the scaling law remembers.
    pub autoscale: autoscale::Memory,
}

/// Most writers that are remembered; of more the one who wrote longest ago is forgotten.
pub const WRITERS: usize = 8;

/// Somebody else who writes the Deployment's size, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Writer {
    /// The field manager.
    pub manager: String,
    /// The first of the writes that are counted.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// How many there were, seen one by one.
    pub writes: u32,
}

/// Earlier states have one writer.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Writer>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Writers {
        One(Writer),
        Several(Vec<Writer>),
    }
    Ok(match Writers::deserialize(deserializer)? {
        Writers::One(writer) => vec![writer],
        Writers::Several(writers) => writers,
    })
}

/// A scale-in between its two writes: the victims' deletion cost first, the replicas when our own watch shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleIn {
    /// Size to go to.
    pub to: u32,
    /// UIDs of the pods that should go.
    pub victims: Vec<String>,
    /// When the victims were first seen marked; none yet if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<Timestamp>,
    /// Why, for status and event.
    pub reason: String,
    /// The arithmetic, for status and event.
    pub message: String,
}
