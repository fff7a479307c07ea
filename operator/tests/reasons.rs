//! The planner's reasons and condition types are those of the API, name by name: two lists, as neither crate knows the other.

use std::collections::BTreeSet;

use fleet_core::{ConditionType, Reason, pause};
use fleet_crds::{conditions, names};

#[test]
fn every_reason_of_the_planner_is_documented_and_every_documented_one_can_be_given() {
    let planner: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let api: BTreeSet<_> = conditions::Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(planner, api);
}

#[test]
fn the_types_of_conditions_are_the_same() {
    let planner: BTreeSet<_> = ConditionType::ALL.iter().map(|type_| format!("{type_:?}")).collect();
    let api: BTreeSet<_> = conditions::ConditionType::ALL
        .iter()
        .map(|type_| type_.as_str().to_owned())
        .collect();
    assert_eq!(planner, api);
}

#[test]
fn the_annotations_that_hold_a_size_have_the_same_names() {
    for (planner, api) in [
        (pause::PAUSED, names::ANNOTATION_PAUSED),
        (pause::PAUSED_REPLICAS, names::ANNOTATION_PAUSED_REPLICAS),
        (pause::PAUSED_SCALE_IN, names::ANNOTATION_PAUSED_SCALE_IN),
        (pause::PAUSED_SCALE_OUT, names::ANNOTATION_PAUSED_SCALE_OUT),
        (pause::FORCE_ACTIVATION, names::ANNOTATION_FORCE_ACTIVATION),
    ] {
        assert_eq!(planner, api);
    }
}
