//! Shared observation, with paused time and the fake: nothing here waits for a real second.
use std::sync::Arc;
use std::time::Duration;

use fleet_core::signals::Heartbeat;
use fleet_core::{Class, Seen, TaskType};
use fleet_temporal::fake::Fake;
use fleet_temporal::{Clock, Endpoint, Error, Observatory, QueueLimit, Scope, Secret, Settings};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tonic::Code;

const NAMESPACE: &str = "default";
const HOT: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(15);

fn endpoint(uid: &str) -> Endpoint {
    let scope = Scope {
        kubernetes_namespace: "team".into(),
        connection: "main".into(),
        connection_uid: uid.into(),
        secrets: Vec::new(),
    };
    Endpoint::new(scope, "temporal:7233")
}

/// A clock that moves with tokio's paused time.
fn paused_clock() -> Clock {
    let (start, zero) = (Instant::now(), Timestamp::UNIX_EPOCH);
    Arc::new(move || zero + start.elapsed())
}

fn observatory(fake: &Fake, settings: Settings) -> Observatory {
    Observatory::new(Arc::new(fake.clone()), settings, paused_clock())
}

fn status(code: Code) -> Error {
    Error::Status {
        call: "DescribeTaskQueue",
        code,
        text: String::new(),
        after: None,
    }
}

async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn fleets_that_watch_one_queue_share_one_reader() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let watch = || observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, CALM);
    let (mut one, two) = (watch(), watch());
    one.next().await;
    assert_eq!((observatory.observed(), fake.calls().len()), (1, 1));
    assert!(two.latest().seen().is_known());
    seconds(60).await;
    assert!(
        (5..=6).contains(&fake.calls().len()),
        "one reading per 15 s, not two: {}",
        fake.calls().len()
    );
}

#[tokio::test(start_paused = true)]
async fn endpoints_types_and_temporal_namespaces_are_read_apart() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let with_header = endpoint("a").with_headers([("team".to_owned(), Secret::new("x"))].into());
    let _watches = [
        observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, CALM),
        observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Workflow, CALM),
        observatory.queue(&endpoint("a"), "other", "orders", TaskType::Activity, CALM),
        observatory.queue(&endpoint("b"), NAMESPACE, "orders", TaskType::Activity, CALM),
        observatory.queue(&with_header, NAMESPACE, "orders", TaskType::Activity, CALM),
    ];
    assert_eq!(observatory.observed(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_most_impatient_subscriber_sets_the_pace() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let calm = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, CALM);
    let hot = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, CALM);
    seconds(1).await;
    hot.set_interval(HOT);
    let before = fake.calls().len();
    seconds(60).await;
    assert!(
        (12..=14).contains(&(fake.calls().len() - before)),
        "one reading per 5 s: {}",
        fake.calls().len() - before
    );
    drop(hot);
    seconds(5).await;
    let before = fake.calls().len();
    seconds(60).await;
    assert!(
        (4..=5).contains(&(fake.calls().len() - before)),
        "one per 15 s again: {}",
        fake.calls().len() - before
    );
    drop(calm);
}

#[tokio::test(start_paused = true)]
async fn becoming_hot_does_not_wait_for_the_calm_interval() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let mut watch = observatory.queue(
        &endpoint("a"),
        NAMESPACE,
        "orders",
        TaskType::Activity,
        Duration::from_mins(10),
    );
    watch.next().await;
    seconds(60).await;
    let hot = Instant::now();
    watch.set_interval(HOT);
    watch.next().await;
    assert!(
        hot.elapsed() < Duration::from_secs(1),
        "the last reading was older than the new interval"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_what_nobody_watches() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let one = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, HOT);
    let server = observatory.server(&endpoint("a"), NAMESPACE);
    let two = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, HOT);
    seconds(20).await;
    drop((one, server));
    assert_eq!(observatory.observed(), 1, "the queue has a subscriber left");
    drop(two);
    assert_eq!(observatory.observed(), 0);
    let before = fake.calls().len();
    seconds(600).await;
    assert_eq!(fake.calls().len(), before);
    // And again from the start.
    let mut back = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, HOT);
    assert!(back.latest().is_pending());
    assert!(back.next().await.seen().is_known());
}

#[tokio::test(start_paused = true)]
async fn a_failure_makes_a_reading_unknown_and_keeps_the_last_word_with_its_age() {
    let fake = Fake::default();
    fake.set_backlog(NAMESPACE, "orders", TaskType::Activity, 7, 3.0);
    let observatory = observatory(&fake, Settings::default());
    let mut watch = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, HOT);
    assert_eq!(watch.latest().seen(), Seen::unknown("not observed yet"));
    let first = watch.next().await;
    let Seen::Known((state, at)) = first.seen() else {
        panic!("{first:?}")
    };
    assert_eq!(state.stats.map(|stats| stats.backlog), Some(7));
    fake.fail(Some(status(Code::Internal)));
    watch.next().await;
    let failed = watch.next().await;
    assert!(!failed.seen().is_known());
    let failure = failed.failure.as_ref().expect("it failed");
    assert_eq!((failure.count, failure.error.class()), (2, Class::Unavailable));
    let (value, last_at) = failed.last.as_ref().expect("the last word stays");
    assert_eq!((value.stats.map(|stats| stats.backlog), *last_at), (Some(7), at));
    assert!(failure.since > at);
    fake.fail(None);
    let back = watch.next().await;
    assert!(back.failure.is_none() && back.seen().is_known());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_cost_one_call_per_half_minute_however_many_queues() {
    let fake = Fake::default();
    fake.fail(Some(status(Code::PermissionDenied)));
    let observatory = observatory(&fake, Settings::default());
    let mut watches: Vec<_> = (0..50)
        .map(|n| {
            observatory.queue(
                &endpoint("a"),
                NAMESPACE,
                &format!("queue-{n}"),
                TaskType::Activity,
                HOT,
            )
        })
        .collect();
    let server = observatory.server(&endpoint("a"), NAMESPACE);
    // Those that started at once may all have been under way.
    seconds(5).await;
    for watch in &watches {
        assert!(!watch.latest().seen().is_known(), "each queue shows the failure");
    }
    assert_eq!(
        server.latest().failure.as_ref().map(|failure| failure.error.class()),
        Some(Class::Denied)
    );
    let before = fake.calls().len();
    seconds(300).await;
    assert!(
        (9..=11).contains(&(fake.calls().len() - before)),
        "{} calls in 300 s",
        fake.calls().len() - before
    );
    // Other credentials, other gate.
    let mut other = observatory.queue(&endpoint("b"), NAMESPACE, "queue-0", TaskType::Activity, HOT);
    other.next().await;
    assert_eq!(fake.calls().len() - before, 11);
    // Back: all read again at once, not one by one.
    fake.fail(None);
    seconds(31).await;
    for watch in &mut watches {
        assert!(watch.latest().seen().is_known());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_tried_by_one_for_all_and_back_within_one_poll() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let watches: Vec<_> = (0..20)
        .map(|n| {
            observatory.queue(
                &endpoint("a"),
                NAMESPACE,
                &format!("queue-{n}"),
                TaskType::Workflow,
                HOT,
            )
        })
        .collect();
    seconds(10).await;
    fake.fail(Some(Error::Connect {
        address: "temporal:7233".into(),
    }));
    seconds(60).await;
    assert!(watches.iter().all(|watch| !watch.latest().seen().is_known()));
    let before = fake.calls().len();
    seconds(240).await;
    assert!(
        fake.calls().len() - before <= 26,
        "one try per 10 s: {}",
        fake.calls().len() - before
    );
    fake.fail(None);
    seconds(15).await;
    assert!(watches.iter().all(|watch| watch.latest().seen().is_known()));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_in_the_middle_of_the_try_does_not_lock_the_others_out() {
    let fake = Fake::default();
    fake.fail(Some(status(Code::Unauthenticated)));
    let observatory = observatory(&fake, Settings::default());
    let mut one = observatory.queue(&endpoint("a"), NAMESPACE, "one", TaskType::Activity, HOT);
    one.next().await;
    fake.fail(None);
    fake.hang(true);
    // The try for all begins and hangs; then its subscriber leaves.
    seconds(32).await;
    let two = observatory.queue(&endpoint("a"), NAMESPACE, "two", TaskType::Activity, HOT);
    seconds(1).await;
    fake.hang(false);
    drop(one);
    seconds(5).await;
    assert!(two.latest().seen().is_known(), "{:?}", two.latest());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_cut_off_at_the_deadline() {
    let fake = Fake::default();
    fake.hang(true);
    let observatory = observatory(&fake, Settings::default());
    let mut watch = observatory.queue(&endpoint("a"), NAMESPACE, "orders", TaskType::Activity, HOT);
    let before = Instant::now();
    let reading = watch.next().await;
    assert!(before.elapsed() <= Duration::from_secs(17));
    assert!(matches!(
        &*reading.failure.as_ref().unwrap().error,
        Error::Deadline { .. }
    ));
    // One slow queue does not stop another.
    fake.hang(false);
    let mut other = observatory.queue(&endpoint("a"), NAMESPACE, "other", TaskType::Activity, HOT);
    assert!(other.next().await.seen().is_known());
}

#[tokio::test(start_paused = true)]
async fn a_healthy_server_is_asked_every_half_minute_a_failing_one_every_ten_seconds() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let server = observatory.server(&endpoint("a"), NAMESPACE);
    seconds(300).await;
    assert!((10..=12).contains(&fake.calls().len()), "{}", fake.calls().len());
    assert_eq!(
        server.latest().last.as_ref().map(|(info, _)| info.version.clone()),
        Some("1.31.2".into())
    );
    fake.remove_namespace(NAMESPACE);
    seconds(31).await;
    let failure = server.latest().failure.clone().expect("it is gone");
    assert_eq!(failure.error.to_string(), "Temporal namespace \"default\" not found");
    let before = fake.calls().len();
    seconds(100).await;
    assert!(
        (8..=12).contains(&(fake.calls().len() - before)),
        "{}",
        fake.calls().len() - before
    );
    fake.add_namespace(NAMESPACE);
    seconds(11).await;
    assert!(server.latest().seen().is_known());
}

#[tokio::test(start_paused = true)]
async fn over_budget_readings_come_later_for_all_alike_and_say_so() {
    let fake = Fake::default();
    let observatory = observatory(
        &fake,
        Settings {
            requests_per_second: 2.0,
            ..Settings::default()
        },
    );
    let watches: Vec<_> = (0..100)
        .map(|n| {
            observatory.queue(
                &endpoint("a"),
                NAMESPACE,
                &format!("queue-{n}"),
                TaskType::Activity,
                HOT,
            )
        })
        .collect();
    seconds(120).await;
    let before = fake.calls().len();
    seconds(100).await;
    let calls = fake.calls().split_off(before);
    assert!((195..=205).contains(&calls.len()), "2 per second: {}", calls.len());
    for (n, watch) in watches.iter().enumerate() {
        let mine = calls.iter().filter(|call| {
            call.queue
                .as_ref()
                .is_some_and(|(name, _)| *name == format!("queue-{n}"))
        });
        assert!((1..=3).contains(&mine.count()), "queue-{n} gets its share");
        assert!(
            watch.latest().stretched(),
            "queue-{n} is told: {:?}",
            watch.latest().waited
        );
    }
    // Another Temporal namespace has its own budget.
    let mut other = observatory.queue(&endpoint("a"), "other", "queue", TaskType::Activity, HOT);
    let asked = Instant::now();
    let reading = other.next().await;
    assert!(asked.elapsed() < Duration::from_millis(10) && !reading.stretched());
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_set_and_read_back_and_not_tried_while_everybody_is_kept_away() {
    let fake = Fake::default();
    let observatory = observatory(&fake, Settings::default());
    let limit = QueueLimit {
        queue: "queue".to_owned(),
        task_type: TaskType::Activity,
        per_second: Some(2.5),
        reason: "a test".to_owned(),
    };
    let (main, set) = (endpoint("a"), async |limit: &QueueLimit| {
        observatory.limit_queue(&endpoint("a"), NAMESPACE, limit).await
    });
    set(&limit).await.expect("set");
    let mut watch = observatory.queue(&main, NAMESPACE, "queue", TaskType::Activity, HOT);
    let reading = watch.next().await;
    let seen = reading.last.as_ref().and_then(|(state, _)| state.rate_limit.clone());
    assert_eq!(seen.map(|limit| limit.per_second), Some(2.5));

    fake.fail(Some(status(Code::PermissionDenied)));
    seconds(20).await;
    let calls = fake.calls().len();
    assert_eq!(set(&limit).await, Err(status(Code::PermissionDenied)));
    assert_eq!(
        fake.calls().len(),
        calls,
        "refused credentials are not tried for a limit"
    );
}

/// A server that grants one request per second, with a burst of two, and refuses the rest.
#[derive(Clone)]
struct Strict {
    fake: Fake,
    log: Arc<std::sync::Mutex<(Instant, f64, u64, u64)>>,
}

#[async_trait::async_trait]
impl fleet_temporal::Temporal for Strict {
    async fn describe_namespace(&self, e: &Endpoint, ns: &str) -> Result<fleet_temporal::ServerInfo, Error> {
        self.fake.describe_namespace(e, ns).await
    }

    async fn describe_queue(
        &self,
        e: &Endpoint,
        ns: &str,
        queue: &str,
        task_type: TaskType,
    ) -> Result<fleet_temporal::QueueState, Error> {
        let granted = {
            let mut log = self.log.lock().expect("nobody panicked");
            let (last, tokens, asked, granted) = *log;
            let tokens = (tokens + last.elapsed().as_secs_f64()).min(2.0);
            let grant = tokens >= 1.0;
            *log = (
                Instant::now(),
                tokens - f64::from(u8::from(grant)),
                asked + 1,
                granted + u64::from(grant),
            );
            grant
        };
        if granted {
            self.fake.describe_queue(e, ns, queue, task_type).await
        } else {
            Err(status(Code::ResourceExhausted))
        }
    }

    async fn list_workers(&self, e: &Endpoint, ns: &str, queue: &str) -> Result<Option<Vec<Heartbeat>>, Error> {
        self.fake.list_workers(e, ns, queue).await
    }

    async fn limit_queue(&self, e: &Endpoint, ns: &str, limit: &QueueLimit) -> Result<(), Error> {
        self.fake.limit_queue(e, ns, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttling_server_sets_the_rate_and_nobody_starves() {
    let fake = Fake::default();
    let strict = Strict {
        fake: fake.clone(),
        log: Arc::new(std::sync::Mutex::new((Instant::now(), 2.0, 0, 0))),
    };
    let observatory = Observatory::new(Arc::new(strict.clone()), Settings::default(), paused_clock());
    let watches: Vec<_> = (0..100)
        .map(|n| {
            observatory.queue(
                &endpoint("a"),
                NAMESPACE,
                &format!("queue-{n}"),
                TaskType::Activity,
                HOT,
            )
        })
        .collect();
    // The rate comes down from the configured one.
    seconds(60).await;
    let before = strict.log.lock().unwrap().2;
    seconds(1800).await;
    let asked = strict.log.lock().unwrap().2 - before;
    assert!(
        (900..=2160).contains(&asked),
        "near the limit of 1/s over 1800 s: {asked}"
    );
    // Nobody is older than five minutes.
    for watch in &watches {
        let reading = watch.latest();
        let (_, at) = reading.last.as_ref().expect("it was read");
        let newest = watches
            .iter()
            .filter_map(|watch| watch.latest().last.as_ref().map(|(_, at)| *at))
            .max()
            .unwrap();
        assert!(newest.duration_since(*at).as_secs() <= 300, "{at} of {newest}");
    }
}
