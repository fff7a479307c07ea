//! Conditions of an object: one entry per type, with the generation they were observed for and the time the status last changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::errors::cut;

/// Longest message of a condition that the schema of `metav1.Condition` allows, in bytes.
pub const MESSAGE_LIMIT: usize = 32_768;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be observed.
    Unknown,
}

impl Status {
    /// All of them, as in the label `status` of a metric.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// The word in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What a condition shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Type of the condition: `Ready`.
    pub type_: String,
    /// Whether it holds.
    pub status: Status,
    /// Why, as one word in CamelCase.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
}

/// What [`set`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Unchanged,
    /// Reason, message or generation changed; the status did not.
    Updated,
    /// The status changed, or the condition is new.
    Transitioned,
}

/// Sets one condition. `now` becomes the time of transition only if the status changes. The order of the list stays; a new type goes
/// to its end. The observed generation never goes back.
pub fn set(conditions: &mut Vec<Condition>, verdict: Verdict, generation: Option<i64>, now: Timestamp) -> Change {
    let Verdict {
        type_,
        status,
        reason,
        mut message,
    } = verdict;
    cut(&mut message, MESSAGE_LIMIT);
    let Some(old) = conditions.iter_mut().find(|condition| condition.type_ == type_) else {
        conditions.push(Condition {
            last_transition_time: Time(now),
            message,
            observed_generation: generation,
            reason,
            status: status.as_str().to_owned(),
            type_,
        });
        return Change::Transitioned;
    };
    let generation = generation.max(old.observed_generation);
    if old.status != status.as_str() {
        status.as_str().clone_into(&mut old.status);
        old.last_transition_time = Time(now);
        old.reason = reason;
        old.message = message;
        old.observed_generation = generation;
        return Change::Transitioned;
    }
    if old.reason == reason && old.message == message && old.observed_generation == generation {
        return Change::Unchanged;
    }
    old.reason = reason;
    old.message = message;
    old.observed_generation = generation;
    Change::Updated
}

/// The condition of one type.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Takes out the conditions of types that `keep` refuses. True if any went.
pub fn retain(conditions: &mut Vec<Condition>, keep: impl Fn(&str) -> bool) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| keep(&condition.type_));
    conditions.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ready(status: Status, reason: &str, message: &str) -> Verdict {
        Verdict {
            type_: "Ready".into(),
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }

    #[test]
    fn the_time_of_transition_moves_with_the_status_only() {
        let mut list = Vec::new();
        assert_eq!(
            set(&mut list, ready(Status::False, "A", "m"), Some(1), at(10)),
            Change::Transitioned
        );
        assert_eq!(
            set(&mut list, ready(Status::False, "A", "m"), Some(1), at(20)),
            Change::Unchanged
        );
        assert_eq!(
            set(&mut list, ready(Status::False, "B", "n"), Some(1), at(30)),
            Change::Updated
        );
        assert_eq!(
            set(&mut list, ready(Status::False, "B", "n"), Some(2), at(40)),
            Change::Updated
        );
        assert_eq!(list[0].last_transition_time.0, at(10));
        assert_eq!(
            set(&mut list, ready(Status::True, "C", "o"), Some(2), at(50)),
            Change::Transitioned
        );
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].last_transition_time.0, at(50));
        assert_eq!(list[0].observed_generation, Some(2));
        assert_eq!((list[0].reason.as_str(), list[0].message.as_str()), ("C", "o"));
    }

    #[test]
    fn an_older_view_does_not_turn_the_generation_back() {
        let mut list = Vec::new();
        set(&mut list, ready(Status::True, "A", ""), Some(5), at(1));
        set(&mut list, ready(Status::True, "B", ""), Some(4), at(2));
        assert_eq!(list[0].observed_generation, Some(5));
    }

    #[test]
    fn other_conditions_stay_where_they_are() {
        let mut list = Vec::new();
        set(&mut list, ready(Status::True, "A", ""), None, at(1));
        let stalled = Verdict {
            type_: "Stalled".into(),
            status: Status::Unknown,
            reason: "B".into(),
            message: String::new(),
        };
        set(&mut list, stalled, None, at(1));
        set(&mut list, ready(Status::False, "C", ""), None, at(2));
        let types: Vec<&str> = list.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "Stalled"]);
        assert_eq!(get(&list, "Stalled").unwrap().status, "Unknown");
        assert!(retain(&mut list, |type_| type_ == "Ready"));
        assert!(get(&list, "Stalled").is_none());
        assert!(!retain(&mut list, |_| true));
    }

    #[test]
    fn a_message_fits() {
        let mut list = Vec::new();
        set(&mut list, ready(Status::True, "A", &"x".repeat(40_000)), None, at(1));
        assert!(list[0].message.len() <= MESSAGE_LIMIT);
    }
}
