//! Golden reports of real metrics pages: of the Python example's worker (SDK 1.35, milliseconds) and of the sample worker of the
//! Rust runtime, recorded while they ran on a development server; and of what other settings make of them.

use fleet_core::autoscale::{SlotKind, SlotReport};
use fleet_core::signals::scrape::read;
use jiff::Timestamp;

const PYTHON_IDLE: &str = include_str!("scrapes/python-idle.txt");
const PYTHON_BUSY: &str = include_str!("scrapes/python-busy.txt");
const RUST_BUSY: &str = include_str!("scrapes/rust-busy.txt");

#[test]
fn real_pages_read_as_reviewed() {
    for (name, page) in [
        ("python-idle", PYTHON_IDLE),
        ("python-busy", PYTHON_BUSY),
        ("rust-busy", RUST_BUSY),
    ] {
        insta::with_settings!({snapshot_suffix => name, omit_expression => true}, {
            insta::assert_debug_snapshot!("scrapes", read(page));
        });
    }
}

fn activity(page: &str) -> SlotReport {
    let scraped = read(page).expect("slots");
    let found = scraped.slots.into_iter().find(|slot| slot.kind == SlotKind::Activity);
    found.expect("activity slots")
}

#[test]
fn a_busy_worker_shows_its_slots_its_limit_and_the_time_of_the_tasks_that_ended() {
    let slot = activity(PYTHON_BUSY);
    assert_eq!((slot.used, slot.limit, slot.completions), (3, Some(4), 1));
    assert!((slot.busy_seconds - 2.863).abs() < 1e-9, "{}", slot.busy_seconds);
}

#[test]
fn seconds_are_told_by_the_suffix_or_by_the_smallest_bucket() {
    let page = |name: &str, bound: &str, sum: &str| {
        format!(
            "temporal_worker_task_slots_used{{worker_type=\"ActivityWorker\"}} 0\n\
             {name}_bucket{{task_queue=\"q\",le=\"{bound}\"}} 1\n{name}_bucket{{task_queue=\"q\",le=\"+Inf\"}} 2\n\
             {name}_sum{{task_queue=\"q\"}} {sum}\n{name}_count{{task_queue=\"q\"}} 2\n"
        )
    };
    let bare = "temporal_activity_execution_latency";
    for (name, bound, sum) in [
        (bare, "50", "4500"),
        (bare, "0.05", "4.5"),
        ("temporal_activity_execution_latency_seconds", "1", "4.5"),
        ("temporal_activity_execution_latency_milliseconds", "0.5", "4500"),
    ] {
        let slot = activity(&page(name, bound, sum));
        assert_eq!(slot.completions, 2, "{name} {bound}");
        assert!(
            (slot.busy_seconds - 4.5).abs() < 1e-9,
            "{name} {bound}: {}",
            slot.busy_seconds
        );
    }
}

#[test]
fn resource_based_slots_have_no_limit() {
    let without: String = PYTHON_BUSY
        .lines()
        .filter(|line| !line.starts_with("temporal_worker_task_slots_available"))
        .map(|line| format!("{line}\n"))
        .collect();
    let slot = activity(&without);
    assert_eq!((slot.used, slot.limit), (3, None));
}

#[test]
fn workers_of_several_queues_add_up_and_a_missing_series_leaves_the_limit_unknown() {
    let other = PYTHON_BUSY.replace("my-data-processing-task-queue", "other");
    let slot = activity(&format!("{PYTHON_BUSY}{other}"));
    assert_eq!((slot.used, slot.limit, slot.completions), (6, Some(8), 2));
    let part = "temporal_worker_task_slots_used{task_queue=\"third\",worker_type=\"ActivityWorker\"} 1\n";
    let slot = activity(&format!("{PYTHON_BUSY}{part}"));
    assert_eq!((slot.used, slot.limit), (4, None));
}

#[test]
fn pages_without_slots_are_unknown_not_idle() {
    for page in ["", "# nothing\n", "process_cpu_seconds_total 4\n", "<html></html>"] {
        assert_eq!(read(page), None, "{page}");
    }
    let cut: String = PYTHON_BUSY.chars().take(200).collect();
    assert_eq!(read(&cut), None);
}

#[test]
fn figures_that_cannot_be_are_bounded() {
    let page = PYTHON_BUSY
        .replace(
            "worker_type=\"ActivityWorker\"} 3",
            "worker_type=\"ActivityWorker\"} -3",
        )
        .replace(
            "worker_type=\"ActivityWorker\"} 1",
            "worker_type=\"ActivityWorker\"} +Inf",
        );
    let slot = activity(&page);
    assert_eq!((slot.used, slot.limit), (0, Some(u32::MAX)));
}

#[test]
fn a_report_is_never_older_than_it_began() {
    let (early, late) = (
        Timestamp::from_second(1_790_000_000),
        Timestamp::from_second(1_790_000_060),
    );
    let (early, late) = (early.expect("in range"), late.expect("in range"));
    let (report, _) = read(PYTHON_IDLE).expect("slots").report(early, late);
    assert_eq!((report.at, report.started, report.cpu_seconds), (late, early, None));
    let (report, _) = read(PYTHON_IDLE).expect("slots").report(late, early);
    assert_eq!(report.started, early, "a kubelet's clock ahead of ours");
}
