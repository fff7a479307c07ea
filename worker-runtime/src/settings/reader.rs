//! Reads the contract's variables one by one, and remembers what was wrong with each.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    time::Duration,
};

use super::{Deployment, MAX_SLOTS, Pollers, Problem, QueueSettings, Recycling};

/// Bytes of the longest name of a task queue that a server takes.
const LONGEST_NAME: usize = 1_000;

/// Reads variables one by one and remembers what was wrong.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a HashMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(variables: &'a HashMap<String, String>) -> Self {
        Self {
            variables,
            problems: Vec::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn problem(&mut self, variable: &str, problem: impl Into<String>, allowed: impl Into<String>) {
        self.problems.push(Problem::new(variable, problem, allowed));
    }

    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        name: &str,
        min: T,
        max: T,
        default: T,
    ) -> T {
        let Some(text) = self.get(name) else { return default };
        match text.trim().parse::<T>() {
            Ok(number) if number >= min && number <= max => return number,
            Ok(_) | Err(_) => {}
        }
        let problem = format!("{text:?} is not a whole number in that range");
        self.problem(name, problem, format!("{min} to {max} (default {default})"));
        default
    }

    /// Whole seconds, from 1.
    pub(super) fn seconds(&mut self, name: &str, max: u64, default: Duration) -> Duration {
        Duration::from_secs(self.number(name, 1, max, default.as_secs()))
    }

    /// Tasks per second.
    pub(super) fn rate(&mut self, name: &str) -> Option<f64> {
        let text = self.get(name)?;
        match text.trim().parse::<f64>() {
            Ok(rate) if (0.001..=1e6).contains(&rate) => return Some(rate),
            Ok(_) | Err(_) => {}
        }
        let problem = format!("{text:?} is not a number in that range");
        self.problem(name, problem, "0.001 to 1000000 tasks per second (default: no limit)");
        None
    }

    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        let text = self.get(name)?.trim().to_ascii_lowercase();
        match text.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.problem(name, format!("{text:?} is neither true nor false"), "true, false");
                None
            }
        }
    }

    /// 0 = never.
    pub(super) fn recycling(&mut self) -> Recycling {
        let activities = self.number("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", 0, 1_000_000_000, 100_000);
        let seconds = self.number("TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS", 0, 31_536_000, 0);
        Recycling {
            activities: (activities > 0).then_some(activities),
            age: (seconds > 0).then(|| Duration::from_secs(seconds)),
        }
    }

    pub(super) fn pollers(&mut self, name: &str, least: u32) -> Option<Pollers> {
        let text = self.get(name)?.to_owned();
        let allowed = format!(
            "{{\"simpleMaximum\":n}} with n from {least} to {MAX_SLOTS}, or \
             {{\"autoscaling\":{{\"minimum\":1,\"maximum\":100,\"initial\":5}}}} with 1 <= minimum <= initial <= maximum"
        );
        match serde_json::from_str::<Pollers>(&text) {
            Err(error) => self.problem(name, format!("{text:?} cannot be read: {error}"), allowed),
            Ok(pollers) => {
                let fits = match pollers {
                    Pollers::SimpleMaximum(n) => (least..=MAX_SLOTS).contains(&n),
                    Pollers::Autoscaling {
                        minimum,
                        maximum,
                        initial,
                    } => 1 <= minimum && minimum <= initial && initial <= maximum && maximum <= MAX_SLOTS,
                };
                if fits {
                    return Some(pollers);
                }
                self.problem(name, format!("{text} is out of range"), allowed);
            }
        }
        None
    }

    pub(super) fn queues(&mut self) -> Vec<QueueSettings> {
        const NAME: &str = "TEMPORAL_FLEET_TASK_QUEUES";
        let allowed =
            r#"a list such as [{"name":"orders","types":["Workflow","Activity"]}], each name once, 1 to 1000 bytes"#;
        let Some(text) = self.get(NAME).map(str::to_owned) else {
            let single = self.get("TEMPORAL_TASK_QUEUE").map(str::to_owned);
            if let Some(name) = single.as_ref().filter(|name| name.len() > LONGEST_NAME) {
                let problem = format!("has {} bytes", name.len());
                self.problem("TEMPORAL_TASK_QUEUE", problem, format!("1 to {LONGEST_NAME} bytes"));
            }
            return single
                .into_iter()
                .map(|name| QueueSettings {
                    name,
                    types: BTreeSet::new(),
                })
                .collect();
        };
        match serde_json::from_str::<Vec<QueueSettings>>(&text) {
            Err(error) => self.problem(NAME, format!("{text:?} cannot be read: {error}"), allowed),
            Ok(queues) => {
                let names: BTreeSet<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
                let sizes = names.iter().all(|name| (1..=LONGEST_NAME).contains(&name.len()));
                if !queues.is_empty() && names.len() == queues.len() && sizes {
                    return queues;
                }
                self.problem(
                    NAME,
                    format!("{text} is empty, repeats a name or has one of a wrong length"),
                    allowed,
                );
            }
        }
        Vec::new()
    }

    pub(super) fn deployment(&mut self) -> Option<Deployment> {
        const NAMES: [&str; 2] = ["TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"];
        match NAMES.map(|name| self.get(name).map(str::to_owned)) {
            [Some(name), Some(build_id)] => return Some(Deployment { name, build_id }),
            [None, None] => {}
            [Some(_), None] => self.problem(
                NAMES[1],
                "is absent although there is a deployment name",
                "both or none",
            ),
            [None, Some(_)] => self.problem(NAMES[0], "is absent although there is a build ID", "both or none"),
        }
        None
    }

    pub(super) fn identity(&mut self) -> String {
        const PREFIX: &str = "TEMPORAL_FLEET_IDENTITY_PREFIX";
        let prefix = self.get(PREFIX).map_or_else(String::new, |prefix| format!("{prefix}/"));
        if prefix.len() > 64 {
            self.problem(PREFIX, format!("has {} bytes", prefix.len() - 1), "at most 63 bytes");
        }
        let pod = ["POD_NAME", "POD_NAMESPACE", "POD_UID"].map(|name| self.get(name).unwrap_or_default().to_owned());
        if let [name, namespace, uid] = &pod
            && !name.is_empty()
        {
            return format!("{prefix}{name}/{namespace}/{uid}");
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = self.get("HOSTNAME").unwrap_or(host.trim());
        format!("{prefix}{}@{host}", std::process::id())
    }
}
