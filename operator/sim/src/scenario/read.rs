//! Reads a scenario: a profile first, what the file says over it, then every value against its bounds. Errors name the field
//! and what it must be.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::{Bounds, Faults, Kind, Load, Objective, PROFILES, Pods, Scenario};
use crate::load::{Trace, TraceError};

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML.
    #[error("the scenario is not YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// A field is unknown, missing or of another type.
    #[error("{field}: {why}")]
    Field {
        /// Path of the field.
        field: String,
        /// What is wrong and what it may be.
        why: String,
    },
    /// The trace cannot be used.
    #[error("load.trace {}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TraceError,
    },
}

fn wrong(field: impl Into<String>, must: impl std::fmt::Display) -> ScenarioError {
    ScenarioError::Field {
        field: field.into(),
        why: format!("must be {must}"),
    }
}

/// Reads a scenario from a file; it is named after the file unless it has a name.
pub fn open(path: &Path) -> Result<Scenario, ScenarioError> {
    let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut scenario = parse_in(&text, path.parent().unwrap_or(Path::new(".")))?;
    if scenario.name.is_empty() {
        scenario.name = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    }
    Ok(scenario)
}

/// Reads a scenario from text. A trace is looked for in the working directory.
pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    parse_in(text, Path::new("."))
}

fn parse_in(text: &str, folder: &Path) -> Result<Scenario, ScenarioError> {
    let mut value: Value = serde_yaml::from_str(text)?;
    if let Value::Mapping(fields) = &mut value
        && let Some(profile) = fields.remove("profile")
    {
        value = merged(profile_named(&profile)?, value);
    }
    let mut scenario: Scenario = serde_path_to_error::deserialize(value).map_err(|error| ScenarioError::Field {
        field: match error.path().to_string() {
            path if path == "." => "scenario".to_owned(),
            path => path,
        },
        why: error.inner().to_string(),
    })?;
    if let Some(file) = &scenario.load.trace {
        let path = folder.join(file);
        scenario.trace = Some(Trace::open(&path).map_err(|source| ScenarioError::Trace { path, source })?);
    }
    for (number, kind) in scenario.kinds.iter_mut().enumerate() {
        if kind.name.is_empty() {
            kind.name = format!("kind-{}", number + 1);
        }
    }
    check(&scenario)?;
    Ok(scenario)
}

fn profile_named(name: &Value) -> Result<Value, ScenarioError> {
    let names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
    let found = PROFILES.iter().find(|(profile, _)| name.as_str() == Some(profile));
    let (_, text) = found.ok_or_else(|| wrong("profile", format!("one of {}", names.join(", "))))?;
    Ok(serde_yaml::from_str(text)?)
}

/// `over` on top of `under`: mappings field by field, all else as a whole.
fn merged(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Mapping(under), Value::Mapping(over)) => {
            let mut both: Mapping = under;
            for (key, value) in over {
                let value = match both.remove(&key) {
                    Some(below) => merged(below, value),
                    None => value,
                };
                both.insert(key, value);
            }
            Value::Mapping(both)
        }
        (_, over) => over,
    }
}

fn within(field: impl Into<String>, value: f64, low: f64, high: f64) -> Result<(), ScenarioError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(wrong(field, format_args!("{low} to {high}, it is {value}")))
    }
}

pub(super) fn check(scenario: &Scenario) -> Result<(), ScenarioError> {
    let Scenario {
        name: _,
        kinds,
        load,
        trace: _,
        policy: _,
        seeds,
        duration_seconds,
        pods,
        bounds,
        objective,
        faults,
    } = scenario;
    within("durationSeconds", *duration_seconds, 60.0, 2_592_000.0)?;
    if seeds.is_empty() {
        return Err(wrong("seeds", "a list of at least one number"));
    }
    if !(1..=3).contains(&kinds.len()) {
        return Err(wrong("kinds", "a list of 1 to 3 kinds, one per task type"));
    }
    for (number, kind) in kinds.iter().enumerate() {
        check_kind(number, kind)?;
        if kinds[..number].iter().any(|other| other.task_type == kind.task_type) {
            return Err(wrong(format!("kinds[{number}].type"), "a type that no other kind has"));
        }
    }
    check_load(load)?;
    check_pods(pods)?;
    let Bounds { min, max, start } = *bounds;
    if !(1..=10_000).contains(&max) {
        return Err(wrong("bounds.max", "1 to 10000"));
    }
    if min > max {
        return Err(wrong("bounds.min", "at most bounds.max"));
    }
    if start > max {
        return Err(wrong("bounds.start", "at most bounds.max"));
    }
    let Objective { seconds, percentile } = *objective;
    within("objective.seconds", seconds, 0.001, 86_400.0)?;
    within("objective.percentile", percentile, 50.0, 99.99)?;
    let Faults {
        stale_seconds,
        lost_queues,
        lost_reports,
        blind,
        crash_loop,
        quota,
    } = faults;
    within("faults.staleSeconds", *stale_seconds, 0.0, 3600.0)?;
    within("faults.lostQueues", *lost_queues, 0.0, 1.0)?;
    within("faults.lostReports", *lost_reports, 0.0, 1.0)?;
    for (field, spans) in [("faults.blind", blind), ("faults.crashLoop", crash_loop)] {
        if let Some(number) = spans.iter().position(|span| span.until.total_cmp(&span.from).is_le()) {
            return Err(wrong(format!("{field}[{number}].until"), "more than `from`"));
        }
    }
    if *quota == Some(0) {
        return Err(wrong("faults.quota", "at least 1"));
    }
    Ok(())
}

fn check_kind(number: usize, kind: &Kind) -> Result<(), ScenarioError> {
    let field = |name: &str| format!("kinds[{number}].{name}");
    let Kind {
        name: _,
        task_type: _,
        slots,
        service,
        cores,
        share,
        eager,
        partitions,
        rate_limit,
        downstream_limit,
        heartbeat_timeout_seconds,
    } = kind;
    if let Some((inner, must)) = service.wrong() {
        return Err(wrong(field(&format!("service.{inner}")), must));
    }
    within(field("slots"), f64::from(*slots), 1.0, 100_000.0)?;
    within(field("cores"), *cores, 0.0, 64.0)?;
    within(field("share"), *share, 1e-6, 1e6)?;
    within(field("eager"), *eager, 0.0, 1.0)?;
    within(field("partitions"), f64::from(*partitions), 1.0, 64.0)?;
    within(field("rateLimit"), rate_limit.unwrap_or(1.0), 1e-3, 1e6)?;
    within(field("downstreamLimit"), downstream_limit.unwrap_or(1.0), 1e-3, 1e6)?;
    within(
        field("heartbeatTimeoutSeconds"),
        *heartbeat_timeout_seconds,
        0.0,
        86_400.0,
    )
}

fn check_load(load: &Load) -> Result<(), ScenarioError> {
    let Load {
        shape: _,
        trace: _,
        rate,
        peak,
        at_seconds,
        lasting_seconds,
        every_seconds,
        ramp_seconds,
        noise,
    } = load;
    within("load.rate", *rate, 0.0, 1e5)?;
    within("load.peak", *peak, 0.0, 1e3)?;
    within("load.noise", *noise, 0.0, 1.0)?;
    within("load.atSeconds", at_seconds.unwrap_or(0.0), 0.0, 2_592_000.0)?;
    within("load.lastingSeconds", lasting_seconds.unwrap_or(1.0), 1.0, 2_592_000.0)?;
    within("load.everySeconds", every_seconds.unwrap_or(1.0), 1.0, 2_592_000.0)?;
    within("load.rampSeconds", ramp_seconds.unwrap_or(1.0), 0.001, 2_592_000.0)
}

fn check_pods(pods: &Pods) -> Result<(), ScenarioError> {
    let Pods {
        cores,
        cpu_request,
        idle_cores,
        start_seconds,
        start_spread,
        node_probability,
        node_seconds,
        nodes,
        grace_seconds,
    } = pods;
    within("pods.cores", *cores, 0.05, 256.0)?;
    within("pods.cpuRequest", cpu_request.unwrap_or(*cores), 0.001, *cores)?;
    within("pods.idleCores", *idle_cores, 0.0, *cores)?;
    within("pods.startSeconds", *start_seconds, 0.0, 3600.0)?;
    within("pods.startSpread", *start_spread, 0.0, 2.0)?;
    within("pods.nodeProbability", *node_probability, 0.0, 1.0)?;
    within("pods.nodeSeconds", *node_seconds, 0.0, 3600.0)?;
    within("pods.nodes", f64::from(*nodes), 1.0, 1000.0)?;
    within("pods.graceSeconds", *grace_seconds, 0.0, 86_400.0)
}
