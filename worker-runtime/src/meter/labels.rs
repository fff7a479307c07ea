//! Sets of labels, each kept once.
//!
//! The SDK makes the labels of a call anew for each call, step by step, out of the same few. Kept, a step costs one look-up instead of a map of
//! copied strings, and a series is found by the address of its labels.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use temporalio_common::telemetry::metrics::{MetricKeyValue, MetricValue, NewAttributes};

/// So many sets are kept. The SDK's labels (namespace, queue, type, method, code) are few; were there more, those beyond are made
/// anew each time and work all the same.
pub(super) const KEPT: usize = 4_096;

/// Labels of a series: names as the SDK gives them, and values.
pub(super) type Labels = Arc<HashMap<String, String>>;

/// The sets that are kept, by the step that made them. The words are the SDK's own, so that the hash is a quick one: with the standard
/// library's it was a third of what metrics cost.
#[derive(Default)]
pub(super) struct LabelSets {
    hasher: RandomState,
    steps: RwLock<Steps>,
}

#[derive(Default)]
struct Steps {
    by_hash: foldhash::HashMap<u64, Vec<Step>>,
    count: usize,
}

/// From one set to the next.
struct Step {
    /// Held, so that its address stays its own.
    from: Option<Labels>,
    added: Vec<MetricKeyValue>,
    to: Labels,
}

impl LabelSets {
    /// The labels of `from` with those added; of two values for one name the added one.
    pub(super) fn extend(&self, from: Option<&Labels>, added: NewAttributes) -> Labels {
        let hash = self.hash(from, &added.attributes);
        let found = self
            .steps
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .find(hash, from, &added.attributes);
        if let Some(labels) = found {
            return labels;
        }
        let mut labels = from.map(|labels| labels.as_ref().clone()).unwrap_or_default();
        labels.extend(HashMap::<String, String>::from(added.clone()));
        let step = Step {
            from: from.cloned(),
            added: added.attributes,
            to: Arc::new(labels),
        };
        self.steps
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(hash, step)
    }

    fn hash(&self, from: Option<&Labels>, added: &[MetricKeyValue]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        from.map(Arc::as_ptr).hash(&mut hasher);
        for MetricKeyValue { key, value } in added {
            key.hash(&mut hasher);
            match value {
                MetricValue::String(text) => text.hash(&mut hasher),
                other => other.to_string().hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

impl Steps {
    fn find(&self, hash: u64, from: Option<&Labels>, added: &[MetricKeyValue]) -> Option<Labels> {
        let step = self
            .by_hash
            .get(&hash)?
            .iter()
            .find(|step| step.from.as_ref().map(Arc::as_ptr) == from.map(Arc::as_ptr) && step.added == added)?;
        Some(Arc::clone(&step.to))
    }

    /// Keeps the step unless there are too many; gives where it leads.
    fn keep(&mut self, hash: u64, step: Step) -> Labels {
        // Another thread may have been first.
        if let Some(labels) = self.find(hash, step.from.as_ref(), &step.added) {
            return labels;
        }
        let labels = Arc::clone(&step.to);
        if self.count < KEPT {
            self.count += 1;
            self.by_hash.entry(hash).or_default().push(step);
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(labels: &[(&str, &str)]) -> NewAttributes {
        let attributes = labels
            .iter()
            .map(|(key, value)| MetricKeyValue::new(*key, (*value).to_owned()))
            .collect();
        NewAttributes { attributes }
    }

    #[test]
    fn the_same_steps_lead_to_the_same_set() {
        let sets = LabelSets::default();
        let walk = |method: &str| {
            let base = sets.extend(None, added(&[("namespace", "default"), ("operation", "none")]));
            sets.extend(Some(&base), added(&[("operation", method)]))
        };
        let first = walk("PollActivityTaskQueue");
        assert!(Arc::ptr_eq(&first, &walk("PollActivityTaskQueue")));
        assert!(!Arc::ptr_eq(&first, &walk("StartWorkflowExecution")));
        let mut all: Vec<_> = first
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        all.sort_unstable();
        assert_eq!(all, [("namespace", "default"), ("operation", "PollActivityTaskQueue")]);
    }

    #[test]
    fn the_same_words_added_to_another_set_are_another_step() {
        let sets = LabelSets::default();
        let [one, two] = ["one", "two"].map(|queue| sets.extend(None, added(&[("task_queue", queue)])));
        let [one, two] = [one, two].map(|from| sets.extend(Some(&from), added(&[("operation", "Poll")])));
        assert_eq!(one.get("task_queue").map(String::as_str), Some("one"));
        assert_eq!(two.get("task_queue").map(String::as_str), Some("two"));
    }

    #[test]
    fn beyond_the_limit_sets_are_made_anew_and_are_right() {
        let sets = LabelSets::default();
        let make = |number: usize| sets.extend(None, added(&[("workflow_type", &number.to_string())]));
        for number in 0..KEPT {
            make(number);
        }
        assert!(Arc::ptr_eq(&make(7), &make(7)));
        let [beyond, again] = [make(KEPT), make(KEPT)];
        assert_eq!(beyond, again);
        assert!(!Arc::ptr_eq(&beyond, &again));
    }
}
