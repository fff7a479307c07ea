//! The election at work: reads and writes the lease, keeps the term, and ends when it is lost.

use std::{sync::Arc, time::Duration};

use rustls::crypto::{CryptoProvider, SecureRandom};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    protocol::{Claim, LeaseView, Observed, Timing, next},
    store::{LeaseStore, StoreError},
};
use crate::{
    k8s::chain,
    random::{Jitter, hex},
};

/// The lease was lost. The process must end: what it holds in memory is of an old term.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No renewal succeeded within the renew deadline.
    #[error("the lease could not be renewed in time")]
    NotRenewed,
    /// Another process holds the lease.
    #[error("the lease is held by {0}")]
    TakenBy(String),
}

/// Whether this process leads, and until when at least. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: watch::Receiver<Option<Instant>>,
}

impl Leadership {
    /// Leads for ever: election is switched off.
    pub fn always() -> Self {
        // Thirty years: far beyond any process, and representable on every clock.
        let (_, until) = watch::channel(Instant::now().checked_add(Duration::from_hours(24 * 365 * 30)));
        Self { until }
    }

    /// Waits until this process leads. Never returns if the elector ended before.
    pub async fn acquired(&mut self) {
        if self.until.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Runs for the lease.
pub struct Elector {
    store: Arc<dyn LeaseStore>,
    timing: Timing,
    identity: String,
    until: watch::Sender<Option<Instant>>,
    jitter: Jitter,
}

impl Elector {
    /// A candidate, and the view of its success for everybody else. `identity` must be of this process alone
    /// ([`random_identity`]).
    pub fn new(store: Arc<dyn LeaseStore>, timing: Timing, identity: impl Into<String>) -> (Self, Leadership) {
        let identity = identity.into();
        let (until, receiver) = watch::channel(None);
        let jitter = Jitter::seeded_by(&identity);
        (
            Self {
                store,
                timing,
                identity,
                until,
                jitter,
            },
            Leadership { until: receiver },
        )
    }

    /// Runs until `release` is cancelled, then gives the lease back: cancel it only after the last write is done.
    ///
    /// # Errors
    /// [`Lost`] if this process led and does no longer: end the process, with an exit code other than zero.
    pub async fn run(mut self, release: CancellationToken) -> Result<(), Lost> {
        let epoch = Instant::now();
        let mut observed = Observed::new(self.identity.clone(), self.timing);
        let mut held: Option<LeaseView> = None;
        loop {
            let attempt = self.attempt(epoch, &mut observed, &mut held);
            tokio::select! {
                biased;
                () = release.cancelled() => break,
                lost = attempt => lost?,
            }
            // A candidate waits a little longer each time, by chance, so that candidates do not march in step.
            let led = self.until.borrow().is_some();
            let stretch = if led { 1.0 } else { 1.0 + 0.2 * self.jitter.unit() };
            let pause = self.timing.retry_period.mul_f64(stretch);
            tokio::select! {
                () = release.cancelled() => break,
                () = sleep(pause) => {}
                () = self.end_of_term() => {
                    self.until.send_replace(None);
                    return Err(Lost::NotRenewed);
                }
            }
        }
        self.give_back(&observed, held).await;
        Ok(())
    }

    /// One read and, if the protocol says so, one write. Waiting and failing are no errors while the term lasts.
    async fn attempt(&self, epoch: Instant, observed: &mut Observed, held: &mut Option<LeaseView>) -> Result<(), Lost> {
        let led = self.until.borrow().is_some();
        tokio::select! {
            biased;
            () = self.end_of_term() => {
                self.until.send_replace(None);
                return Err(Lost::NotRenewed);
            }
            outcome = self.call(epoch, observed, held) => match outcome {
                Ok(Some(())) | Err(StoreError::Lost) => {}
                Ok(None) if !led => {}
                Ok(None) => {
                    self.until.send_replace(None);
                    let holder = held.as_ref().map_or_else(String::new, |lease| lease.record.holder.clone());
                    return Err(Lost::TakenBy(holder));
                }
                Err(error) => tracing::warn!(error = chain(&error), leads = led, "the lease could not be read or written"),
            },
        }
        Ok(())
    }

    /// `Some` if the lease is ours, `None` if it is somebody else's. Each call may take half of the renew deadline, so that one that hangs
    /// leaves time for another.
    async fn call(
        &self,
        epoch: Instant,
        observed: &mut Observed,
        held: &mut Option<LeaseView>,
    ) -> Result<Option<()>, StoreError> {
        let limit = self.timing.renew_deadline / 2;
        let lease = timeout(limit, self.store.read()).await.map_err(|_| timed_out())??;
        held.clone_from(&lease);
        let Claim::Take(record) = next(lease.as_ref(), observed, epoch.elapsed()) else {
            return Ok(None);
        };
        let base = lease.as_ref().map(|lease| lease.version.as_str());
        let sent = Instant::now();
        let version = timeout(limit, self.store.write(base, &record))
            .await
            .map_err(|_| timed_out())??;
        observed.won(version.clone(), sent.duration_since(epoch));
        *held = Some(LeaseView { version, record });
        let until = observed.leads_until().and_then(|until| epoch.checked_add(until));
        if self.until.send_replace(until).is_none() {
            tracing::info!(identity = self.identity, "leading");
        }
        Ok(Some(()))
    }

    /// Waits for the end of the current term; for ever if there is none.
    async fn end_of_term(&self) {
        let until = *self.until.borrow();
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Gives the lease back, so that another process leads at once. Best effort: it runs out by itself.
    async fn give_back(&self, observed: &Observed, held: Option<LeaseView>) {
        let led = self.until.send_replace(None).is_some();
        let Some(lease) = held.filter(|lease| led && lease.record.holder == self.identity) else {
            return;
        };
        let record = observed.released(lease.record.transitions);
        match timeout(
            self.timing.retry_period,
            self.store.write(Some(&lease.version), &record),
        )
        .await
        {
            Ok(Ok(_)) => tracing::info!("gave the lease back"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "could not give the lease back"),
            Err(_) => tracing::warn!("could not give the lease back in time"),
        }
    }
}

fn timed_out() -> StoreError {
    let elapsed = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
    StoreError::Call(Box::new(kube::Error::Service(elapsed.into())))
}

/// `base` and eight random bytes: an identity of this process alone.
///
/// # Errors
/// If the system has no randomness to give.
pub fn random_identity(base: &str, provider: &CryptoProvider) -> Result<String, rustls::crypto::GetRandomFailed> {
    let random: &dyn SecureRandom = provider.secure_random;
    let mut bytes = [0u8; 8];
    random.fill(&mut bytes)?;
    Ok(format!("{base}_{}", hex(&bytes)))
}

#[cfg(test)]
#[path = "elector_tests.rs"]
mod tests;
