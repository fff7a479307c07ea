//! The metrics page of a pod's SDK: fetched at most once a second per pod, for pods without `WorkerControl`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleet_autoscale::Seen;
use fleet_core::signals::scrape;
use fleet_core::{Source, WorkerReport};
use fleet_crds::names;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::Instant;

/// Longest time for one page, connecting included.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// Longest page that is read [bytes]: a worker with a hundred types of activities has a tenth of it.
const LONGEST_PAGE: usize = 4 * 1024 * 1024;
/// A page of this age is as good as a new one: passes come in bursts.
const FRESH: Duration = Duration::from_millis(800);
/// A pod that nobody asked about for this long is gone.
const FORGET: Duration = Duration::from_mins(2);

/// Why there is no page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody at the port, or no HTTP.
    #[error("its metrics port {port} does not answer")]
    Connect {
        /// The port.
        port: u16,
    },
    /// It took too long.
    #[error("no metrics page within {} s", DEADLINE.as_secs())]
    Deadline,
    /// It answered with an error.
    #[error("its metrics page answers {0}")]
    Status(StatusCode),
    /// The page is too long or broke off.
    #[error("its metrics page cannot be read")]
    Body,
    /// A page of something else, or of a worker that has not begun.
    #[error("its metrics page shows no slots of a Temporal worker")]
    NoSlots,
}

/// The latest page of each pod, by UID.
pub struct Scrapes {
    client: Client<HttpConnector, String>,
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    asked: Instant,
    latest: Seen<WorkerReport>,
    /// It gave a page once: silence now is a gap, not another kind of image.
    answered: bool,
}

impl Default for Scrapes {
    fn default() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            entries: Mutex::default(),
        }
    }
}

impl Scrapes {
    /// What the pod's page on `port` says, stamped with the time `now`.
    pub async fn of(&self, pod: &Pod, port: u16, now: Timestamp) -> Seen<WorkerReport> {
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref());
        let Some(ip) = ip.and_then(|ip| ip.parse::<IpAddr>().ok()) else {
            return Seen::unknown("the pod has no address yet");
        };
        let uid = pod.uid().unwrap_or_default();
        if let Some(entry) = self.lock().get(&uid)
            && entry.asked.elapsed() < FRESH
            && entry.latest.is_known()
        {
            return entry.latest.clone();
        }
        let result = self
            .fetch(SocketAddr::new(ip, port))
            .await
            .and_then(|page| read(&page, started(pod, now), now));
        let answered = result.is_ok() || self.answered(&uid);
        let latest = Seen::from(result);
        let entry = Entry {
            asked: Instant::now(),
            latest: latest.clone(),
            answered,
        };
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.asked.elapsed() < FORGET);
        entries.insert(uid, entry);
        latest
    }

    /// Whether the pod of this UID has given a page before.
    pub fn answered(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|entry| entry.answered)
    }

    async fn fetch(&self, address: SocketAddr) -> Result<String, Error> {
        let port = address.port();
        let get = async {
            let request = http::Request::get(format!("http://{address}/metrics"))
                .body(String::new())
                .map_err(|_| Error::Connect { port })?;
            let response = self
                .client
                .request(request)
                .await
                .map_err(|_| Error::Connect { port })?;
            if response.status() != StatusCode::OK {
                return Err(Error::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), LONGEST_PAGE);
            let body = body.collect().await.map_err(|_| Error::Body)?.to_bytes();
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        tokio::time::timeout(DEADLINE, get).await.map_err(|_| Error::Deadline)?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(page: &str, started: Timestamp, now: Timestamp) -> Result<WorkerReport, Error> {
    let (pod, polled) = scrape::read(page).ok_or(Error::NoSlots)?.report(started, now);
    Ok(WorkerReport {
        source: Source::Scrape,
        pod,
        oldest_task: None,
        draining: false,
        drained: false,
        reloads_credentials: false,
        polled,
    })
}

/// When the worker's container began to run: its counters begin anew with it.
fn started(pod: &Pod, now: Timestamp) -> Timestamp {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let worker = statuses
        .into_iter()
        .find(|status| status.name == names::WORKER_CONTAINER);
    let running = worker.and_then(|status| status.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    running
        .map(|time| time.0)
        .or_else(|| pod.creation_timestamp().map(|time| time.0))
        .unwrap_or(now)
}

#[cfg(test)]
#[path = "scrape_tests.rs"]
mod tests;
