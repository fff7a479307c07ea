//! What a person asks of a fleet's size by annotations, for the moment and without touching its spec. One function reads them;
//! condition, metric, events and the size itself follow from what it returns, so that all begin and end together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::notice::{Notice, NoticeReason};

/// `"true"`: the size stays.
pub const PAUSED: &str = "temporal-fleet.dev/paused";
/// A number of pods: the size becomes it and stays; wins over the others.
pub const PAUSED_REPLICAS: &str = "temporal-fleet.dev/paused-replicas";
/// `"true"`: the fleet does not shrink.
pub const PAUSED_SCALE_IN: &str = "temporal-fleet.dev/paused-scale-in";
/// `"true"`: the fleet does not grow.
pub const PAUSED_SCALE_OUT: &str = "temporal-fleet.dev/paused-scale-out";
/// `"true"`: the autoscaler acts as if a task waited, so it never goes to zero.
pub const FORCE_ACTIVATION: &str = "temporal-fleet.dev/force-activation";

/// The most pods that a fleet can be pinned to: the upper bound of `maxReplicas` and `replicas`.
pub const MOST_REPLICAS: u32 = 10_000;
/// Characters of a value that cannot be read which are shown.
const SHOWN: usize = 32;

/// Which changes of size are held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// None.
    #[default]
    No,
    /// All: the size stays.
    Size,
    /// All: the size is this many pods, 0 to [`MOST_REPLICAS`].
    At(u32),
    /// Those that shrink the fleet.
    ScaleIn,
    /// Those that grow it.
    ScaleOut,
}

impl Hold {
    /// Nothing is held back.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(crate) fn is_no(&self) -> bool {
        *self == Self::No
    }

    /// What holds, for people; it changes with the annotations only.
    pub fn describe(self) -> String {
        match self {
            Self::No => "no annotation holds the size".to_owned(),
            Self::Size => format!("the size stays while the annotation {PAUSED} stands"),
            Self::At(pods) => format!("the size is {pods} while the annotation {PAUSED_REPLICAS} stands"),
            Self::ScaleIn => format!("the fleet does not shrink while the annotation {PAUSED_SCALE_IN} stands"),
            Self::ScaleOut => format!("the fleet does not grow while the annotation {PAUSED_SCALE_OUT} stands"),
        }
    }

    /// The event of a change from what held at the last pass; `None` if nothing changed.
    pub fn change_from(self, before: Self) -> Option<Notice> {
        if self == before {
            return None;
        }
        Some(if self == Self::No {
            let text = "no annotation holds the size any more".to_owned();
            Notice::normal(NoticeReason::Resumed, text)
        } else {
            Notice::normal(NoticeReason::Paused, self.describe())
        })
    }
}

/// What the annotations of a `TemporalWorker` ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// Which changes of size are held back.
    pub hold: Hold,
    /// The autoscaler acts as if a task waited: at least `max(1, minReplicas)` pods, unless `hold` forbids it.
    pub force_activation: bool,
    /// Annotations with a value that cannot be read, each in words. They are ignored.
    pub unreadable: Vec<String>,
}

impl Pause {
    /// One event for each annotation that cannot be read.
    pub fn complaints(&self) -> impl Iterator<Item = Notice> + '_ {
        let complaint = |text: &String| Notice::warning(NoticeReason::AnnotationInvalid, text.clone());
        self.unreadable.iter().map(complaint)
    }
}

/// Reads the annotations of a `TemporalWorker`; those of others are skipped.
pub fn read(annotations: &BTreeMap<String, String>) -> Pause {
    let mut unreadable = Vec::new();
    let mut is_set = |name: &str| match annotations.get(name).map(String::as_str) {
        Some("true") => true,
        Some("false") | None => false,
        Some(other) => {
            unreadable.push(complaint(name, other, "\"true\" or \"false\""));
            false
        }
    };
    let (paused, scale_in, scale_out) = (is_set(PAUSED), is_set(PAUSED_SCALE_IN), is_set(PAUSED_SCALE_OUT));
    let force_activation = is_set(FORCE_ACTIVATION);
    let pinned = annotations.get(PAUSED_REPLICAS).and_then(|value| {
        let pods = pods(value);
        if pods.is_none() {
            unreadable.push(complaint(PAUSED_REPLICAS, value, "a number of pods, 0 to 10000"));
        }
        pods
    });
    let hold = match (pinned, paused, scale_in, scale_out) {
        (Some(pods), ..) => Hold::At(pods),
        (None, true, ..) | (None, false, true, true) => Hold::Size,
        (None, false, true, false) => Hold::ScaleIn,
        (None, false, false, true) => Hold::ScaleOut,
        (None, false, false, false) => Hold::No,
    };
    Pause {
        hold,
        force_activation,
        unreadable,
    }
}

/// A whole number of pods, at most [`MOST_REPLICAS`]. A negative one is a slip and not a wish for none.
fn pods(value: &str) -> Option<u32> {
    let pods: u64 = value.parse().ok()?;
    Some(u32::try_from(pods).unwrap_or(u32::MAX).min(MOST_REPLICAS))
}

fn complaint(name: &str, value: &str, allowed: &str) -> String {
    let shown: String = value.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    format!("the annotation {name} is ignored: \"{shown}\" is not {allowed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(annotations: &[(&str, &str)]) -> Pause {
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(&annotations.collect())
    }

    #[test]
    fn each_annotation_holds_what_it_names() {
        for (annotations, wanted) in [
            (&[][..], Hold::No),
            (&[("example.com/paused", "true")], Hold::No),
            (&[(PAUSED, "false")], Hold::No),
            (&[(PAUSED, "true")], Hold::Size),
            (&[(PAUSED_REPLICAS, "3")], Hold::At(3)),
            (&[(PAUSED_REPLICAS, "0")], Hold::At(0)),
            (&[(PAUSED_SCALE_IN, "true")], Hold::ScaleIn),
            (&[(PAUSED_SCALE_OUT, "true")], Hold::ScaleOut),
            (&[(PAUSED_SCALE_IN, "true"), (PAUSED_SCALE_OUT, "true")], Hold::Size),
            (&[(PAUSED, "true"), (PAUSED_SCALE_IN, "true")], Hold::Size),
            (&[(PAUSED, "true"), (PAUSED_REPLICAS, "7")], Hold::At(7)),
        ] {
            let pause = of(annotations);
            assert_eq!(pause.hold, wanted, "{annotations:?}");
            assert_eq!(pause.unreadable, Vec::<String>::new(), "{annotations:?}");
        }
    }

    #[test]
    fn a_pinned_size_is_clamped_to_what_a_fleet_can_have() {
        for value in ["10000", "10001", "99999999999"] {
            assert_eq!(of(&[(PAUSED_REPLICAS, value)]).hold, Hold::At(MOST_REPLICAS), "{value}");
        }
    }

    #[test]
    fn an_unreadable_value_is_ignored_and_named_and_the_others_still_hold() {
        for value in ["-3", "", "many", "2.5", "99999999999999999999999"] {
            let pause = of(&[(PAUSED_REPLICAS, value), (PAUSED_SCALE_OUT, "true"), (PAUSED, "True")]);
            assert_eq!(pause.hold, Hold::ScaleOut, "{value}");
            assert_eq!(pause.unreadable.len(), 2, "{:?}", pause.unreadable);
            assert!(pause.complaints().all(|notice| notice.warning));
        }
        assert_eq!(
            of(&[(PAUSED, "yes\n, please")]).unreadable,
            ["the annotation temporal-fleet.dev/paused is ignored: \"yes, please\" is not \"true\" or \"false\""]
        );
    }

    #[test]
    fn a_change_is_told_once_in_both_directions() {
        let told = |to: Hold, from: Hold| to.change_from(from).map(|notice| notice.reason);
        assert_eq!(told(Hold::No, Hold::No), None);
        assert_eq!(told(Hold::Size, Hold::Size), None);
        assert_eq!(told(Hold::Size, Hold::No), Some(NoticeReason::Paused));
        assert_eq!(told(Hold::At(5), Hold::At(3)), Some(NoticeReason::Paused));
        assert_eq!(told(Hold::No, Hold::ScaleIn), Some(NoticeReason::Resumed));
    }
}
