//! What a reader must know of runs before believing them. Pure.

use super::{record::Record, scenario::Name};
use crate::fleet::pods::PodLife;

/// Images lie on the node: a pod that has not begun to run after so many seconds was not placed.
const ROOM_SECONDS: f64 = 60.0;

/// The remarks on the runs of one scenario; nothing if there are none.
pub(super) fn remarks(name: Name, records: &[&Record]) -> String {
    let mut text = String::new();
    if let Some(first) = records.first()
        && !first.beside.is_empty()
    {
        let beside: Vec<&str> = first.beside.iter().map(|name| name.as_str()).collect();
        text.push_str(&format!("\n{name} ran beside {}.\n", beside.join(", ")));
    }
    for record in records {
        let count = pods_without_room(record);
        if count > 0 {
            text.push_str(&format!(
                "\n**{name}, {}: {count} pods waited for more than {ROOM_SECONDS:.0} s to run: the node was full, and size and waits are the \
                 machine's rather than the scaler's.**\n",
                record.scaler
            ));
        }
    }
    text
}

/// Pods whose container did not begin to run in time, and that were still wanted.
fn pods_without_room(record: &Record) -> usize {
    let end = record.moment(record.seconds);
    let waited = |pod: &&PodLife| {
        let Some(created) = pod.created else { return false };
        let until = [pod.running, pod.end_asked, pod.gone].into_iter().flatten().min();
        until.unwrap_or(end).min(end).duration_since(created).as_secs_f64() > ROOM_SECONDS
    };
    record.pods.iter().filter(waited).count()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::live::args::Scaler;

    #[test]
    fn a_full_node_and_neighbours_are_told() {
        let at = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let pod = |running: Option<i64>, end_asked: Option<i64>| PodLife {
            name: "p".to_owned(),
            uid: "u".to_owned(),
            created: Some(at(100)),
            running: running.map(at),
            ready: None,
            end_asked: end_asked.map(at),
            gone: None,
            exit_code: None,
            restarts: 0,
        };
        let mut record = Record {
            scaler: Scaler::Keda,
            scenario: Name::Step,
            beside: vec![Name::Trickle],
            seed: 1,
            machine: String::new(),
            began: at(0),
            seconds: 900.0,
            due: vec![],
            workflows: vec![],
            // Placed at once, given up soon, late, never: the last two found no room.
            pods: vec![
                pod(Some(102), None),
                pod(None, Some(130)),
                pod(Some(200), None),
                pod(None, None),
            ],
            sizes: vec![],
            samples: vec![],
            health: vec![],
        };
        let text = remarks(Name::Step, &[&record]);
        assert!(text.contains("step ran beside trickle"), "{text}");
        assert!(
            text.contains("**step, keda: 2 pods waited for more than 60 s to run"),
            "{text}"
        );
        record.beside.clear();
        record.pods.truncate(2);
        assert_eq!(remarks(Name::Step, &[&record]), "");
    }
}
