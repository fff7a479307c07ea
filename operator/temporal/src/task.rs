//! The loop of one observation: gate, budget, call, publish, sleep.

use std::sync::Arc;
use std::time::Duration;

use fleet_core::Class;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::budget::BudgetKey;
use crate::error::Error;
use crate::gate::{Closed, Gate};
use crate::poller::Context;
use crate::reading::Reading;
use crate::schedule::Asked;

/// Everything that the loop of one source works with.
pub(crate) struct Task<T> {
    pub(crate) context: Arc<Context>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) budget: BudgetKey,
    pub(crate) asked: Arc<Asked>,
    /// Longest interval after a failure.
    pub(crate) retry: Option<Duration>,
    pub(crate) readings: watch::Sender<Arc<Reading<T>>>,
    pub(crate) call: Box<dyn Fn() -> BoxFuture<'static, Result<T, Error>> + Send + Sync>,
}

impl<T: Send + Sync + 'static> Task<T> {
    /// Reads for ever; aborted when nobody listens.
    pub(crate) async fn run(self) {
        for turn in 0.. {
            let (started, good) = self.attempt().await;
            let retry = if good { None } else { self.retry };
            self.asked.due(started, turn, retry).await;
        }
    }

    /// One attempt, however long the gate or the budget hold it up. Returns when it began and whether it brought a value.
    async fn attempt(&self) -> (Instant, bool) {
        loop {
            if let Some(closed) = self.gate.closed(Instant::now()) {
                self.refused(&closed);
                self.gate.wait(&closed).await;
                continue;
            }
            let ticket = self.context.budget.acquire(&self.budget).await;
            // The gate may have closed while this call waited for its turn.
            let pass = match self.gate.enter(Instant::now()) {
                Ok(pass) => pass,
                Err(closed) => {
                    self.refused(&closed);
                    self.gate.wait(&closed).await;
                    continue;
                }
            };
            let started = Instant::now();
            let deadline = self.context.settings.deadline;
            let result = match tokio::time::timeout(deadline, (self.call)()).await {
                Ok(result) => result.map_err(Arc::new),
                Err(_) => Err(Arc::new(Error::Deadline {
                    call: "Temporal",
                    after: deadline,
                })),
            };
            let now = Instant::now();
            match &result {
                Err(error) => match error.class() {
                    Class::Throttled { after } => {
                        let after = after.and_then(|after| Duration::try_from(after).ok());
                        self.context.budget.throttled(&ticket, after, now);
                    }
                    Class::Conflict | Class::Unavailable | Class::Denied | Class::Invalid | Class::Bug => {}
                },
                Ok(_) => self.context.budget.succeeded(&ticket),
            }
            pass.finish(result.as_ref().err(), now);
            let good = result.is_ok();
            self.publish(result, ticket.waited());
            return (started, good);
        }
    }

    fn publish(&self, result: Result<T, Arc<Error>>, waited: Duration) {
        let at = (self.context.clock)();
        let interval = self.asked.interval();
        self.readings.send_modify(|reading| {
            let mut next = reading.successor(interval, waited);
            match result {
                Ok(value) => next.accept(value, at),
                Err(error) => next.fail(error, at),
            }
            *reading = Arc::new(next);
        });
    }

    /// Another caller met this failure for all: it is this source's as well, though it was not asked.
    fn refused(&self, closed: &Closed) {
        let at = (self.context.clock)();
        let interval = self.asked.interval();
        self.readings.send_if_modified(|reading| {
            let known = reading
                .failure
                .as_ref()
                .is_some_and(|failure| Arc::ptr_eq(&failure.error, &closed.error));
            if !known {
                let mut next = reading.successor(interval, reading.waited);
                next.share(Arc::clone(&closed.error), at);
                *reading = Arc::new(next);
            }
            !known
        });
    }
}
