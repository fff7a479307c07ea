//! Plays the runs, one scaler after another, and keeps what was seen of each.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::{join_all, try_join_all};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    args::{Args, Scaler},
    files::Files,
    health::HealthWatch,
    record::Record,
    report,
    scenario::{Name, Scenario, check_room},
    stand::{self, Stand},
    watch::SampleWatch,
};
use crate::{
    bench::machine::Machine,
    clock,
    fleet::{Access, sizes::SizeWatch, watch::PodWatch},
    load::{Generator, collect, collect::terminate_open, generator::OnQueue},
};

/// How long the start of a workflow is tried.
const START: Duration = Duration::from_mins(1);
/// How long workflows have to close after a run that was cut short: nobody looks at them.
const SETTLE_CUT: Duration = Duration::from_secs(5);

/// Runs what is asked for, keeps each run, and writes tables and pictures of all that are kept.
pub async fn run(args: Args) -> Result<()> {
    let files = Files::new(&args.output);
    if !args.report_only {
        play_all(&args, &files).await?;
    }
    print!("{}", report::write_all(&files)?);
    println!("\n{}", files.json().display());
    Ok(())
}

async fn play_all(args: &Args, files: &Files) -> Result<()> {
    for scaler in &args.scalers {
        stand::check(*scaler)?;
    }
    let scenarios: Vec<Scenario> = args.scenarios.iter().map(|name| Scenario::named(*name)).collect();
    let at_once = if args.side_by_side { scenarios.len() } else { 1 };
    let rounds: Vec<&[Scenario]> = scenarios.chunks(at_once.max(1)).collect();
    let cores = u32::try_from(std::thread::available_parallelism()?.get())?;
    for round in &rounds {
        check_room(round, cores)?;
    }
    let interrupt = interruption();
    let access = Access::open(None).await?;
    ensure!(
        access.is_local(),
        "the comparison installs and removes scalers, and measures the machine it runs on: only on the local cluster (`make cluster-up`)"
    );
    // Of a comparison that ended without taking down what it had set up.
    for scaler in Scaler::ALL {
        stand::clear(&access, scaler).await?;
    }
    let machine = Machine::read()?.to_string();
    let minutes: u64 = rounds.iter().map(|round| longest(args, round)).sum();
    eprintln!(
        "{} runs, about {} min and some minutes for each change of scaler",
        scenarios.len() * args.scalers.len(),
        minutes * args.scalers.len() as u64
    );
    for round in rounds {
        for scaler in &args.scalers {
            let runs = together(&access, args, *scaler, round, interrupt.clone()).await?;
            let mut failure = Ok(());
            for run in runs {
                match run {
                    Ok(mut record) => {
                        machine.clone_into(&mut record.machine);
                        files.keep(&record)?;
                    }
                    Err(error) => failure = Err(error),
                }
            }
            // After each round: a comparison that is stopped leaves what it has.
            report::write_all(files)?;
            failure?;
        }
    }
    Ok(())
}

/// Becomes true at the first Ctrl-C: the run under way then ends early and is taken down.
fn interruption() -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            tell.send_replace(true);
        }
    });
    told
}

/// Minutes of a run.
fn length(args: &Args, scenario: &Scenario) -> u64 {
    args.minutes.unwrap_or(scenario.minutes)
}

fn longest(args: &Args, scenarios: &[Scenario]) -> u64 {
    scenarios
        .iter()
        .map(|scenario| length(args, scenario))
        .max()
        .unwrap_or(0)
}

/// A scaler under scenarios that begin together; one that fails leaves the others their results.
async fn together(
    access: &Access,
    args: &Args,
    scaler: Scaler,
    scenarios: &[Scenario],
    interrupt: watch::Receiver<bool>,
) -> Result<Vec<Result<Record>>> {
    let name = |scenario: &Scenario| format!("{}, {scaler}", scenario.name);
    eprintln!("{scaler}: setting up");
    let set_up = async {
        stand::install(access, scaler).await?;
        let stands = scenarios.iter().map(async |scenario| {
            let stand = Stand::up(access, scaler, scenario).await;
            stand.with_context(|| format!("{}: failed to set up", name(scenario)))
        });
        try_join_all(stands).await
    };
    let stands = match set_up.await {
        Ok(stands) => stands,
        Err(error) => {
            if let Err(left) = stand::clear(access, scaler).await {
                tracing::warn!(
                    error = format!("{left:#}"),
                    "something of the stand is left in the cluster"
                );
            }
            return Err(error);
        }
    };
    let names: Vec<Name> = scenarios.iter().map(|scenario| scenario.name).collect();
    let plays = scenarios.iter().zip(&stands).map(async |(scenario, stand)| {
        let played = play(stand, args, scaler, scenario, &name(scenario), interrupt.clone()).await;
        let mut record = played.with_context(|| format!("{}: the run is not kept", name(scenario)))?;
        record.beside = names.iter().copied().filter(|other| *other != scenario.name).collect();
        Ok(record)
    });
    let records = join_all(plays).await;
    eprintln!("{scaler}: taking down");
    try_join_all(stands.into_iter().map(Stand::down))
        .await
        .with_context(|| format!("{scaler}: failed to take down"))?;
    stand::uninstall(access, scaler).await?;
    Ok(records)
}

/// One run: the load, and what was seen meanwhile.
async fn play(
    stand: &Stand,
    args: &Args,
    scaler: Scaler,
    scenario: &Scenario,
    name: &str,
    interrupt: watch::Receiver<bool>,
) -> Result<Record> {
    let seconds = (length(args, scenario) * 60) as f64;
    let due = scenario.arrivals(args.seed, seconds);
    let pods = PodWatch::start(&stand.fleet);
    let sizes = SizeWatch::start(&stand.fleet);
    let samples = SampleWatch::start(&stand.fleet);
    let health = HealthWatch::start(name.to_owned(), stand.temporal.clone());
    let on_queue = OnQueue {
        client: stand.temporal.clone(),
        task_queue: stand.queue.clone(),
    };
    let load = Generator::new(on_queue, &stand.queue, args.seed, START);
    eprintln!("{name}: {} workflows in {:.0} min", due.len(), seconds / 60.0);

    let began = clock::now();
    let fed = feed(&load, scenario, &due, seconds, interrupt).await;
    let (samples, health) = (samples.samples(), health.lines());
    let started = load.finish().await;
    eprintln!("{name}: reading {} histories", started.len());
    let patience = match fed {
        Ok(()) => Duration::from_secs(args.settle_seconds),
        Err(_) => SETTLE_CUT,
    };
    let workflows = collect(&stand.temporal, &started, Instant::now() + patience).await;
    // Before anything is taken down: ends after this are not the scaler's.
    let (pods, sizes) = (pods.lives(), sizes.sizes());
    terminate_open(&stand.temporal, &started, &workflows).await;
    fed?;
    Ok(Record {
        scaler,
        scenario: scenario.name,
        beside: Vec::new(),
        seed: args.seed,
        machine: String::new(),
        began,
        seconds,
        due,
        workflows,
        pods,
        sizes,
        samples,
        health,
    })
}

/// Starts each workflow when it is due, until the run is over; an error if it ended before.
async fn feed(
    load: &Generator,
    scenario: &Scenario,
    due: &[f64],
    seconds: f64,
    mut interrupt: watch::Receiver<bool>,
) -> Result<()> {
    let begun = Instant::now();
    let moment = |at: f64| begun + Duration::from_secs_f64(at.max(0.0));
    let mut arrivals = due.iter();
    loop {
        let next = arrivals.next();
        tokio::select! {
            () = sleep_until(moment(next.copied().unwrap_or(seconds).min(seconds))) => {}
            Ok(_) = interrupt.wait_for(|told| *told) => bail!("interrupted"),
        }
        if next.is_none() {
            return Ok(());
        }
        load.burst(scenario.name.as_str(), scenario.stream.clone(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        live::scenario::Name,
        load::{Error, Order, Starter},
    };

    /// Confirms every start at once.
    #[derive(Clone)]
    struct Willing;

    impl Starter for Willing {
        async fn start(&self, order: Order, _deadline: Instant) -> Result<String, Error> {
            Ok(format!("run-of-{}", order.workflow_id))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_workflow_is_started_when_it_is_due_and_the_run_lasts_to_its_end() {
        let scenario = Scenario::named(Name::Burst);
        let due = scenario.arrivals(1, 900.0);
        let begun = Instant::now();
        let load = Generator::new(Willing, "t", 1, START);
        let (_tell, told) = watch::channel(false);
        feed(&load, &scenario, &due, 900.0, told).await.expect("the whole run");
        let lasted = begun.elapsed().as_secs_f64();
        assert!((900.0..901.0).contains(&lasted), "{lasted}");
        let started = load.finish().await;
        assert_eq!(started.len(), due.len());
        assert!(
            started
                .iter()
                .all(|each| each.phase == "burst" && each.run_id.is_some())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_ends_the_run_and_says_so() {
        let scenario = Scenario::named(Name::Steady);
        let due = scenario.arrivals(1, 900.0);
        let load = Generator::new(Willing, "t", 1, START);
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_mins(1)).await;
            tell.send_replace(true);
        });
        let why = feed(&load, &scenario, &due, 900.0, told).await.expect_err("cut short");
        assert!(why.to_string().contains("interrupted"), "{why}");
        assert!(load.finish().await.len() < due.len());
    }
}
