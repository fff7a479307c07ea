//! The elector against a store in memory, under paused time.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::*;
use crate::leader::protocol::Record;

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

impl Leadership {
    fn is_leader(&self) -> bool {
        self.is_leader_for(Duration::ZERO)
    }

    /// It leads for more than `at_least`, even if no further renewal succeeds.
    fn is_leader_for(&self, at_least: Duration) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| Instant::now().checked_add(at_least).is_some_and(|end| end < until))
    }
}

/// A lease in memory. `cut` names identities whose calls never end.
#[derive(Default)]
struct Memory {
    lease: Mutex<(u64, Option<Record>)>,
    cut: Mutex<bool>,
}

/// One candidate's way to the lease: it can be cut off alone.
struct Line {
    memory: Arc<Memory>,
    cut: Arc<Mutex<bool>>,
}

impl Line {
    async fn pass(&self) {
        if *self.cut.lock().unwrap() || *self.memory.cut.lock().unwrap() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl LeaseStore for Line {
    async fn read(&self) -> Result<Option<LeaseView>, StoreError> {
        self.pass().await;
        let (version, record) = self.memory.lease.lock().unwrap().clone();
        Ok(record.map(|record| LeaseView {
            version: version.to_string(),
            record,
        }))
    }

    async fn write(&self, base: Option<&str>, record: &Record) -> Result<String, StoreError> {
        self.pass().await;
        let mut lease = self.memory.lease.lock().unwrap();
        let current = lease.1.is_some().then(|| lease.0.to_string());
        if current.as_deref() != base {
            return Err(StoreError::Lost);
        }
        lease.0 += 1;
        lease.1 = Some(record.clone());
        Ok(lease.0.to_string())
    }
}

struct Candidate {
    leadership: Leadership,
    cut: Arc<Mutex<bool>>,
    release: CancellationToken,
    task: JoinHandle<Result<(), Lost>>,
}

fn candidate(memory: &Arc<Memory>, identity: &str) -> Candidate {
    let cut = Arc::new(Mutex::new(false));
    let line = Line {
        memory: Arc::clone(memory),
        cut: Arc::clone(&cut),
    };
    let (elector, leadership) = Elector::new(Arc::new(line), TIMING, identity);
    let release = CancellationToken::new();
    let task = tokio::spawn(elector.run(release.clone()));
    Candidate {
        leadership,
        cut,
        release,
        task,
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_ends_before_another_leads() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    let mut b = candidate(&memory, "b");
    assert!(!b.leadership.is_leader());
    *a.cut.lock().unwrap() = true;
    let cut_at = Instant::now();
    assert_eq!(a.task.await.unwrap(), Err(Lost::NotRenewed));
    assert!(!a.leadership.is_leader());
    assert!(cut_at.elapsed() <= TIMING.renew_deadline, "{:?}", cut_at.elapsed());
    assert!(!b.leadership.is_leader());
    b.leadership.acquired().await;
    assert!(cut_at.elapsed() <= Duration::from_secs(20), "{:?}", cut_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_term_is_measured_against_the_length_of_a_call() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    assert!(a.leadership.is_leader_for(Duration::from_secs(9)));
    assert!(
        !a.leadership.is_leader_for(Duration::from_secs(10)),
        "it may end before"
    );
    *a.cut.lock().unwrap() = true;
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(a.leadership.is_leader());
    assert!(!a.leadership.is_leader_for(Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    for _ in 0..5 {
        *a.cut.lock().unwrap() = true;
        sleep(Duration::from_secs(4)).await;
        *a.cut.lock().unwrap() = false;
        sleep(Duration::from_secs(6)).await;
        assert!(a.leadership.is_leader());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_back_is_taken_within_one_retry() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    let mut b = candidate(&memory, "b");
    sleep(Duration::from_secs(3)).await;
    a.release.cancel();
    assert_eq!(a.task.await.unwrap(), Ok(()));
    assert!(!a.leadership.is_leader());
    assert_eq!(memory.lease.lock().unwrap().1.as_ref().unwrap().holder, "");
    let released = Instant::now();
    b.leadership.acquired().await;
    assert!(released.elapsed() <= Duration::from_secs(3), "{:?}", released.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_ends_the_process() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    {
        let mut lease = memory.lease.lock().unwrap();
        lease.0 += 1;
        lease.1 = Some(Record {
            holder: "thief".into(),
            lease_duration: TIMING.lease_duration,
            transitions: 1,
        });
    }
    assert_eq!(a.task.await.unwrap(), Err(Lost::TakenBy("thief".into())));
    assert!(!a.leadership.is_leader());
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_all_leaves_no_leader_and_ends_with_one() {
    let memory = Arc::new(Memory::default());
    let mut a = candidate(&memory, "a");
    a.leadership.acquired().await;
    let mut b = candidate(&memory, "b");
    *memory.cut.lock().unwrap() = true;
    assert_eq!(a.task.await.unwrap(), Err(Lost::NotRenewed));
    sleep(Duration::from_mins(2)).await;
    assert!(!b.leadership.is_leader(), "nobody leads without the lease");
    *memory.cut.lock().unwrap() = false;
    b.leadership.acquired().await;
}

#[test]
fn two_processes_of_one_pod_have_two_identities() {
    let provider = rustls::crypto::ring::default_provider();
    let (one, two) = (
        random_identity("pod", &provider).unwrap(),
        random_identity("pod", &provider).unwrap(),
    );
    assert!(one.starts_with("pod_") && one.len() == 20, "{one}");
    assert_ne!(one, two);
}

#[tokio::test(start_paused = true)]
async fn without_an_election_this_process_leads() {
    let mut leadership = Leadership::always();
    leadership.acquired().await;
    assert!(leadership.is_leader_for(Duration::from_hours(24)));
}
