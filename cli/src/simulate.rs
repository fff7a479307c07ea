//! `simulate`: a fleet's own policy, carried out by the production law in the simulated world, on a recorded load; other scalers
//! meet the same tasks beside it. Reads and writes files; what a manifest means to the simulator says [`fleet`].

mod fleet;
mod policy;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use fleet_crds::TemporalWorker;
use fleet_sim::compare::{compare, courses};
use fleet_sim::load::Trace;
use fleet_sim::scenario::{self, Scenario};
use fleet_sim::{plot, report};
use serde::Deserialize as _;
use serde_json::Value;

use crate::args::{Beyond, Simulate};

/// The fleet's own scaler, as the simulator calls it.
const OURS: &str = "ours";
/// The shortest run [s].
const SHORTEST: f64 = 60.0;
/// Length of a run on a trace that has one line: a steady rate [s].
const STEADY: f64 = 3600.0;

/// What is simulated.
#[derive(Debug)]
struct Subject {
    scenario: Scenario,
    /// What the file does not say, and what stands in for it; each in words.
    assumed: Vec<String>,
}

/// Runs what the command line asks for, and returns what to print.
pub(crate) fn run(options: &Simulate) -> anyhow::Result<String> {
    let Subject { mut scenario, assumed } = subject(options).with_context(|| options.filename.display().to_string())?;
    if let Some(seeds) = options.seeds {
        scenario = scenario.with_seeds(seeds.get());
    }
    let scalers = scalers(&options.compare);
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let runs = compare(std::slice::from_ref(&scenario), &scalers, threads, |_, _| {}).context("--compare")?;
    if let Some(path) = &options.svg {
        let courses = courses(&scenario, &scalers, plot::POINTS).context("--compare")?;
        let picture = plot::course(&scenario, &courses);
        fs::write(path, picture).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(told(&scenario, &assumed, &report::summary(&runs)))
}

fn told(scenario: &Scenario, assumed: &[String], table: &str) -> String {
    let runs = scenario.seeds.len();
    let runs = if runs == 1 {
        "one run".to_owned()
    } else {
        format!("{runs} runs")
    };
    let mut text = format!(
        "{}, simulated: {runs} of {:.0} s each\n",
        scenario.name, scenario.duration_seconds
    );
    for assumption in assumed {
        text.push_str(&format!("assumed: {assumption}\n"));
    }
    let scenario::Objective { seconds, percentile } = scenario.objective;
    let allowed = ((100.0 - percentile) * 100.0).round() / 100.0;
    text.push_str(&format!(
        "{table}A minute is violated if more than {allowed} % of its tasks waited for more than {seconds} s.\n"
    ));
    text
}

/// The fleet's own scaler first, then the others, each once.
fn scalers(compared: &[String]) -> Vec<String> {
    let mut names = vec![OURS.to_owned()];
    for name in compared.iter().map(|name| name.trim()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn subject(options: &Simulate) -> anyhow::Result<Subject> {
    let file = options.filename.as_path();
    let text = read(file)?;
    let documents = documents(&text)?;
    let mut subject = if documents.iter().any(|document| document.get("kind").is_some()) {
        let worker = worker(documents)?;
        if options.trace.is_none() {
            bail!(
                "a TemporalWorker says nothing of its load: add --trace FILE, a CSV file with the header \
                 `seconds,tasks_per_second` or `arrival_seconds`"
            );
        }
        fleet::subject(&worker, options.beyond)?
    } else {
        refuse(options.beyond)?;
        let scenario = if is_stdin(file) {
            scenario::parse(&text)?
        } else {
            scenario::open(file)?
        };
        Subject {
            scenario,
            assumed: Vec::new(),
        }
    };
    if let Some(path) = &options.trace {
        subject.scenario = on_trace(subject.scenario, path).with_context(|| format!("--trace {}", path.display()))?;
    }
    // The manifest's values come from types with other bounds than the simulator's.
    subject.scenario = subject.scenario.checked()?;
    Ok(subject)
}

/// A scenario says all of its tasks and pods itself.
fn refuse(beyond: Beyond) -> anyhow::Result<()> {
    let Beyond {
        task_seconds,
        task_cpu,
        pod_start_seconds,
    } = beyond;
    for (given, option, field) in [
        (task_seconds, "--task-seconds", "kinds[].service.meanSeconds"),
        (task_cpu, "--task-cpu", "kinds[].cores"),
        (pod_start_seconds, "--pod-start-seconds", "pods.startSeconds"),
    ] {
        if given.is_some() {
            bail!("{option} is for manifests, and this is a scenario: set {field} in it");
        }
    }
    Ok(())
}

/// The same scenario on the load of a trace, as long as the trace.
fn on_trace(scenario: Scenario, path: &Path) -> anyhow::Result<Scenario> {
    let trace = Trace::open(path)?;
    let end = trace.end();
    if end > 0.0 && end < SHORTEST {
        bail!("it ends after {end} s and must last at least {SHORTEST} s: a line such as `{SHORTEST},0` ends a load");
    }
    Ok(Scenario {
        trace: Some(trace),
        duration_seconds: if end > 0.0 { end } else { STEADY },
        ..scenario
    })
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if is_stdin(file) {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("failed to read standard input")?;
    } else {
        text = fs::read_to_string(file).context("failed to read it")?;
    }
    Ok(text)
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).context("it is not YAML"))
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

/// The one `TemporalWorker` of a file; other objects beside it do not matter here.
fn worker(documents: Vec<Value>) -> anyhow::Result<TemporalWorker> {
    let is_worker = |document: &Value| document.get("kind").and_then(Value::as_str) == Some("TemporalWorker");
    let mut workers: Vec<Value> = documents.into_iter().filter(is_worker).collect();
    if workers.len() > 1 {
        bail!(
            "it holds {} TemporalWorkers: leave one of them in the file",
            workers.len()
        );
    }
    let Some(mut worker) = workers.pop() else {
        bail!("it holds no TemporalWorker: give a manifest that does, or a scenario, which has no `kind`");
    };
    if let Some(fields) = worker.as_object_mut() {
        // As printed by a cluster whose operator may be another version; what is simulated is the spec.
        fields.remove("status");
    }
    quote(&mut worker);
    serde_path_to_error::deserialize(worker).map_err(|error| anyhow!("{}: {}", error.path(), error.inner()))
}

/// Writes quantities as text: an API server reads `cpu: 2` and `cpu: "2"` alike, our types only the latter.
fn quote(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "limits" | "requests")
                    && let Value::Object(list) = value
                {
                    for amount in list.values_mut().filter(|amount| amount.is_number()) {
                        *amount = Value::String(amount.to_string());
                    }
                }
                quote(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quote),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
