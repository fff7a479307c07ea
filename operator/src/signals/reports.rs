//! Reports of pods, asked for at most once a second each, over one line per pod that is kept as long as the pod is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleet_autoscale::Seen;
use fleet_core::WorkerReport;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use tokio::time::Instant;

use crate::control_secret::{self, ControlCredentials};

use super::control::{Error, Line};

/// A report of this age is as good as a new one: passes come in bursts.
const FRESH: Duration = Duration::from_millis(800);
/// A pod that nobody asked about for this long is gone.
const FORGET: Duration = Duration::from_mins(2);

/// The latest report of each pod, by UID.
#[derive(Default)]
pub struct Reports(Mutex<HashMap<String, Entry>>);

struct Entry {
    line: Line,
    credentials: ControlCredentials,
    ip: IpAddr,
    asked: Instant,
    latest: Seen<WorkerReport>,
    /// It answered once: silence now is a gap, not another kind of image.
    answered: bool,
}

impl Reports {
    /// What the pod reports, and whether it looks like an image that never will.
    pub async fn of(
        &self,
        pod: &Pod,
        fleet: &str,
        control: Option<&Arc<Secret>>,
        now: Timestamp,
    ) -> (Seen<WorkerReport>, bool) {
        let Some(credentials) = control.and_then(|secret| control_secret::credentials(fleet, secret)) else {
            return (Seen::unknown("the fleet's WorkerControl Secret is not there"), false);
        };
        let ip = pod
            .status
            .as_ref()
            .and_then(|status| status.pod_ip.as_ref())
            .and_then(|ip| ip.parse::<IpAddr>().ok());
        let Some(ip) = ip else {
            return (Seen::unknown("the pod has no address yet"), false);
        };
        let uid = pod.uid().unwrap_or_default();
        let (line, answered) = match self.line(&uid, ip, &credentials) {
            Ok(Known::Fresh(latest)) => return (latest, false),
            Ok(Known::Ask(line, answered)) => (line, answered),
            Err(error) => return (Seen::unknown(error.to_string()), false),
        };
        let result = line.report(now).await;
        let silent = matches!(result, Err(Error::Connect)) && !answered;
        let answered = answered || result.is_ok();
        let latest = Seen::from(result);
        let entry = Entry {
            line,
            credentials,
            ip,
            asked: Instant::now(),
            latest: latest.clone(),
            answered,
        };
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.asked.elapsed() < FORGET);
        entries.insert(uid, entry);
        let ready = pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        (latest, silent && ready)
    }

    /// Tells a pod that has reported to take no new task. What it reported before counts no more: its next report tells of the drain.
    pub async fn drain(&self, uid: &str) -> Result<(), Error> {
        let line = self.lock().get(uid).map(|entry| entry.line.clone());
        let drained = line.ok_or(Error::Connect)?.drain().await;
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.latest = Seen::unknown("it was told to drain and has not reported since");
        }
        drained
    }

    fn line(&self, uid: &str, ip: IpAddr, credentials: &ControlCredentials) -> Result<Known, Error> {
        let entries = self.lock();
        if let Some(entry) = entries
            .get(uid)
            .filter(|entry| entry.ip == ip && &entry.credentials == credentials)
        {
            if entry.asked.elapsed() < FRESH && entry.latest.is_known() {
                return Ok(Known::Fresh(entry.latest.clone()));
            }
            return Ok(Known::Ask(entry.line.clone(), entry.answered));
        }
        drop(entries);
        Ok(Known::Ask(Line::new(ip, credentials)?, false))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Known {
    Fresh(Seen<WorkerReport>),
    Ask(Line, bool),
}
