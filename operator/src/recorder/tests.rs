//! What is recorded is decided again to the same answer, over restarts, full files and lost records.

use std::collections::BTreeMap;

use fleet_autoscale::{
    Decision, Memory, PodPhase, PodReport, PodSample, Policy, QueueSample, QueueStats, Replay, Sample, Seen, SlotKind,
    SlotReport, TaskType, decide,
};
use jiff::{SignedDuration, Timestamp};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("in range")
}

/// A fleet whose load grows: three pods of ten slots.
fn sample(second: i64) -> Sample {
    let load = 1.0 + second as f64 / 120.0;
    let pod = |number: u32| PodSample {
        name: format!("orders-{number}"),
        uid: format!("uid-{number}"),
        phase: PodPhase::Ready,
        created: at(-60),
        ready: Some(at(-50)),
        cpu_capacity_cores: Some(0.5),
        report: Seen::Known(PodReport {
            at: at(second),
            started: at(-60),
            slots: vec![SlotReport {
                kind: SlotKind::Activity,
                used: load as u32,
                limit: Some(10),
                completions: (load * (second + 60) as f64 / 2.1) as u64,
                busy_seconds: load * (second + 60) as f64,
            }],
            cpu_seconds: Some(0.1 * load * (second + 60) as f64),
            memory_bytes: None,
            schedule_to_start: Vec::new(),
        }),
        cpu_cores: Seen::unknown("not asked"),
        memory_capacity_bytes: None,
        memory_bytes: None,
    };
    Sample {
        replicas: 3,
        queues: vec![QueueSample {
            queue: "orders".into(),
            task_type: TaskType::Activity,
            stats: Seen::Known(QueueStats {
                backlog: second as u64 / 20,
                backlog_age_seconds: 0.1,
                add_rate: load,
                dispatch_rate: load,
                rate_limited: false,
            }),
            at: at(second),
        }],
        pods: (0..3).map(pod).collect(),
        rolling: false,
        default_slots: BTreeMap::new(),
    }
}

/// An operator that decides and records.
struct Operator {
    recorder: Recorder,
    entries: Receiver<Entry>,
    writer: Writer,
    memory: Memory,
    decisions: Vec<Decision>,
}

impl Operator {
    fn start(directory: &Path, full: u64, status: &Memory) -> Self {
        let (recorder, entries) = Recorder::new();
        // Only what is persisted survives.
        let status = serde_json::to_string(status).expect("serialises");
        Self {
            recorder,
            entries,
            writer: Writer::new(directory.to_owned(), full),
            memory: serde_json::from_str(&status).expect("reads back"),
            decisions: Vec::new(),
        }
    }

    fn decide(&mut self, second: i64) -> Record {
        let policy = Policy {
            polling_interval: SignedDuration::from_secs(15),
            ..Policy::new(1, 20).expect("valid")
        };
        let sample = sample(second);
        let (decision, memory) = decide(&policy, &self.memory, &sample, at(second));
        self.decisions.push(decision.clone());
        Record {
            at: at(second),
            policy,
            memory: Some(std::mem::replace(&mut self.memory, memory)),
            continues: false,
            sample,
            decision,
        }
    }

    fn pass(&mut self, second: i64) {
        let record = self.decide(second);
        self.recorder.record("shop", "orders", "u1", record);
    }

    fn catch_up(&mut self) {
        while let Ok(entry) = self.entries.try_recv() {
            self.writer.write(entry);
        }
    }
}

fn records(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).expect("readable");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a record"));
    lines.collect()
}

fn replayed(records: &[Record]) -> Vec<Decision> {
    let mut replay = Replay::default();
    records.iter().map(|record| replay.next(record)).collect()
}

fn memories(records: &[Record]) -> Vec<usize> {
    let with = |(number, record): (usize, &Record)| record.memory.is_some().then_some(number);
    records.iter().enumerate().filter_map(with).collect()
}

#[test]
fn recorded_lines_replay_to_the_same_decisions_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut first = Operator::start(directory.path(), FULL, &Memory::default());
    (0..20).for_each(|number| first.pass(15 * number));
    first.catch_up();
    let mut second = Operator::start(directory.path(), FULL, &first.memory);
    (21..40).for_each(|number| second.pass(15 * number));
    second.catch_up();

    let records = records(&directory.path().join("shop.orders.jsonl"));
    let decided: Vec<Decision> = first.decisions.into_iter().chain(second.decisions).collect();
    assert_eq!(
        memories(&records),
        [0, 20],
        "the first line, and the first after the restart"
    );
    assert_eq!(replayed(&records), decided);
    let sizes: HashSet<u32> = decided.iter().map(|decision| decision.recommended).collect();
    assert!(sizes.len() > 1, "the law had something to decide: {sizes:?}");
}

#[test]
fn a_full_file_is_put_aside_and_both_together_replay_exactly() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut operator = Operator::start(directory.path(), 40_000, &Memory::default());
    let path = directory.path().join("shop.orders.jsonl");
    let aside = directory.path().join("shop.orders.jsonl.1");
    let mut number = 0;
    while !aside.exists() {
        operator.pass(15 * number);
        operator.catch_up();
        number += 1;
    }
    (number..number + 3).for_each(|number| operator.pass(15 * number));
    operator.catch_up();
    let (older, newer) = (records(&aside), records(&path));
    assert!(
        newer[0].continues && memories(&newer) == [0],
        "a file alone can be replayed too"
    );
    let both: Vec<Record> = older.into_iter().chain(newer).collect();
    assert_eq!(replayed(&both), operator.decisions);
}

#[test]
fn a_disk_that_fails_costs_records_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("later");
    let mut operator = Operator::start(&missing, FULL, &Memory::default());
    (0..3).for_each(|number| operator.pass(15 * number));
    operator.catch_up();
    fs::create_dir(&missing).expect("made");
    (3..6).for_each(|number| operator.pass(15 * number));
    operator.catch_up();
    let records = records(&missing.join("shop.orders.jsonl"));
    assert_eq!((records.len(), memories(&records)), (3, vec![0]));
}

#[test]
fn a_record_for_which_there_is_no_room_is_dropped_and_the_next_one_says_what_was_remembered() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut operator = Operator::start(directory.path(), FULL, &Memory::default());
    let some = i64::try_from(WAITING).expect("small");
    (0..some + 2).for_each(|number| operator.pass(15 * number));
    operator.catch_up();
    operator.pass(15 * (some + 2));
    operator.catch_up();
    let records = records(&directory.path().join("shop.orders.jsonl"));
    assert_eq!(memories(&records), [0, WAITING]);
}

#[test]
fn another_fleet_of_the_same_name_begins_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut operator = Operator::start(directory.path(), FULL, &Memory::default());
    operator.pass(0);
    let record = operator.decide(15);
    operator.recorder.record("shop", "orders", "u2", record);
    operator.catch_up();
    let records = records(&directory.path().join("shop.orders.jsonl"));
    assert_eq!(memories(&records), [0, 1]);
}

#[test]
fn a_recorder_makes_its_directory_and_writes_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let deep = directory.path().join("a/b");
    let (recorder, thread) = Recorder::begin(deep.clone()).expect("a thread");
    let mut operator = Operator::start(directory.path(), FULL, &Memory::default());
    recorder.record("shop", "orders", "u1", operator.decide(0));
    drop(recorder);
    thread.join().expect("it ends with the recorder");
    assert_eq!(replayed(&records(&deep.join("shop.orders.jsonl"))), operator.decisions);
}
