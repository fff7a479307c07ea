//! Conditions and reasons agree with each other and with what Kubernetes accepts.

use fleet_crds::{ConditionType, Reason};

#[test]
fn no_reason_means_both_true_and_false() {
    for condition in ConditionType::ALL {
        for reason in condition.true_reasons() {
            assert!(!condition.false_reasons().contains(reason), "{condition}: {reason}");
        }
        assert!(
            !condition.true_reasons().is_empty() && !condition.false_reasons().is_empty(),
            "{condition}"
        );
    }
}

#[test]
fn every_reason_belongs_to_a_condition() {
    for reason in Reason::ALL {
        let used = ConditionType::ALL
            .iter()
            .any(|c| c.true_reasons().contains(reason) || c.false_reasons().contains(reason));
        assert!(used || *reason == Reason::NotObserved, "{reason}");
    }
}

#[test]
fn names_survive_the_way_through_the_api() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        assert!(reason.as_str().chars().all(|c| c.is_ascii_alphabetic()), "{reason}");
        assert!(reason.describe().ends_with('.'), "{reason}: {}", reason.describe());
    }
    assert_eq!(Reason::parse("Nonsense"), None);
}
