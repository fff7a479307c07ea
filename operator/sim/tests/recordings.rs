//! Recordings of a simulated fleet, played back through the law.

mod common;

use common::scenario;
use fleet_autoscale::Record;
use fleet_sim::recording::{record, replay};

fn recorded() -> String {
    record(&scenario(
        "profile: mix\nload: { shape: step, rate: 20 }\ndurationSeconds: 1200\nbounds: { start: 3 }\n\
         faults: { lostReports: 0.02, lostQueues: 0.02 }",
    ))
    .expect("written")
}

#[test]
fn a_recording_replays_to_the_bit() {
    let text = recorded();
    let replayed = replay(&text).expect("a recording");
    assert!(replayed.decisions > 80, "{}", replayed.decisions);
    assert_eq!(replayed.decisions, text.lines().count());
    assert_eq!(replayed.differences, []);
}

#[test]
fn a_decision_that_is_not_what_it_was_is_shown_with_its_line() {
    let mut lines: Vec<String> = recorded().lines().map(str::to_owned).collect();
    let mut changed: Record = serde_json::from_str(&lines[9]).expect("a record");
    changed.decision.replicas += 1;
    changed.decision.message = "another".to_owned();
    lines[9] = serde_json::to_string(&changed).expect("written");
    let replayed = replay(&lines.join("\n")).expect("a recording");
    let [difference] = &replayed.differences[..] else {
        panic!("{:?}", replayed.differences);
    };
    assert_eq!((difference.line, difference.then.as_str()), (10, "another"));
}

#[test]
fn what_is_not_a_recording_is_refused_with_its_line() {
    let first = recorded().lines().next().map(str::to_owned).expect("a line");
    let error = replay(&format!("{first}\n{{\"at\":5}}\n")).expect_err("not a record");
    assert_eq!(error.to_string(), "line 2 is not a record");
    assert_eq!(replay("\n").expect_err("nothing").to_string(), "the recording is empty");
}
