use super::*;

fn at(seconds: f64) -> At {
    At::seconds(seconds)
}

fn task(number: u32, seconds: f64) -> Waiting {
    Waiting {
        task: number,
        scheduled: at(seconds),
    }
}

fn filled(tasks: u32) -> TaskQueue {
    let mut queue = TaskQueue::new(4, None);
    for number in 0..tasks {
        queue.add(
            task(number, f64::from(number)),
            number as usize,
            true,
            at(f64::from(number)),
        );
    }
    queue
}

#[test]
fn one_partition_is_first_in_first_out() {
    let mut queue = TaskQueue::new(1, None);
    for number in 0..5 {
        queue.add(task(number, 0.0), number as usize, true, at(0.0));
    }
    let order: Vec<Match> = (0..6).map(|_| queue.take(at(1.0))).collect();
    let expected: Vec<Match> = (0..5).map(|number| Match::Task(task(number, 0.0))).collect();
    assert_eq!(order[..5], expected);
    assert_eq!(order[5], Match::Empty);
}

#[test]
fn backlog_is_summed_and_age_is_the_oldest_over_partitions() {
    let mut queue = filled(10);
    let seen = queue.describe(at(20.0), true, 0.0);
    assert_eq!(seen.backlog, 10);
    assert!((seen.age_seconds - 20.0).abs() < 1e-9);
    assert!((seen.add_rate - 0.5).abs() < 0.01, "{}", seen.add_rate);
}

#[test]
fn answers_are_cached_for_five_seconds() {
    let mut queue = filled(3);
    let first = queue.describe(at(10.0), true, 0.0);
    queue.add(task(9, 11.0), 0, true, at(11.0));
    let cached = queue.describe(at(14.9), true, 0.0);
    assert_eq!(cached.backlog, first.backlog);
    assert!((cached.stale_seconds - 4.9).abs() < 1e-9);
    assert_eq!(queue.describe(at(15.0), true, 0.0).backlog, 4);
}

#[test]
fn an_unloaded_queue_reads_empty_until_the_question_has_loaded_it() {
    let mut queue = filled(3);
    assert_eq!(queue.describe(at(290.0), false, 0.0).backlog, 3);
    assert_eq!(
        queue.describe(at(600.0), false, 0.0).backlog,
        0,
        "unloaded after 5 min without a sign of life"
    );
    assert_eq!(
        queue.describe(at(605.0), false, 0.0).backlog,
        3,
        "the question loaded it"
    );
    assert_eq!(queue.describe(at(1205.0), true, 0.0).backlog, 3, "polls keep it loaded");
}

#[test]
fn late_answers_are_those_of_the_past_and_say_so() {
    let mut queue = TaskQueue::new(1, None);
    for second in 0..100_u32 {
        let now = at(f64::from(second));
        queue.add(task(second, f64::from(second)), 0, true, now);
        let seen = queue.describe(now, true, 30.0);
        if second >= 40 {
            assert!(
                seen.stale_seconds >= 30.0 && seen.stale_seconds <= 36.0,
                "{}",
                seen.stale_seconds
            );
            let then = f64::from(second) - seen.stale_seconds;
            assert!(
                (seen.backlog as f64 - (then + 1.0)).abs() <= 1.0,
                "{} at {second}",
                seen.backlog
            );
        }
    }
}

#[test]
fn a_rate_limit_holds_tasks_back_and_shows() {
    let mut queue = TaskQueue::new(1, Some(2.0));
    for number in 0..10 {
        queue.add(task(number, 0.0), 0, true, at(0.0));
    }
    let mut taken = 0;
    let mut now = at(0.0);
    while now < at(3.0) {
        match queue.take(now) {
            Match::Task(_) => taken += 1,
            Match::Limited(later) => {
                assert!(queue.describe(now, true, 0.0).rate_limited || taken < 2);
                now = later;
            }
            Match::Empty => break,
        }
    }
    assert!((7..=8).contains(&taken), "a burst of two and two a second: {taken}");
}
