//! `get --watch`: stores kept up to date by watches. On a terminal the trees are redrawn in place, otherwise a line is
//! printed for each fleet that changed.

use std::{
    collections::{BTreeMap, HashMap},
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use fleet_crds::TemporalWorker;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher,
    },
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::{
    cluster::Cluster,
    model::{self, Fleet, Snapshot},
    view,
};

/// Shortest time between two pictures: faster ones flicker.
const REDRAW: Duration = Duration::from_millis(200);
/// Ages move without any event.
const TICK: Duration = Duration::from_secs(1);
/// How often the metrics API is asked: it samples no faster.
const CPU: Duration = Duration::from_secs(10);

type Cores = HashMap<(String, String, String), f64>;

struct Stores {
    workers: Store<TemporalWorker>,
    deployments: Store<Deployment>,
    pods: Store<Pod>,
}

impl Stores {
    fn snapshot(&self, cores: &Cores) -> Snapshot {
        Snapshot {
            workers: self.workers.state(),
            deployments: self.deployments.state(),
            pods: self.pods.state(),
            cores: cores.clone(),
        }
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let (workers, deployments, pods) = tokio::join!(
            self.workers.wait_until_ready(),
            self.deployments.wait_until_ready(),
            self.pods.wait_until_ready()
        );
        workers.and(deployments).and(pods).context("the watches ended")
    }
}

/// Something changed, or a watch has trouble (it goes on by itself).
type Change = Result<(), watcher::Error>;

/// A store and the stream that keeps it up to date.
fn store<K>(api: Api<K>, config: watcher::Config) -> (Store<K>, stream::BoxStream<'static, Change>)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    // The server ends a watch after this many seconds, so that a dead connection is noticed soon.
    let changes = watcher(api, config.timeout(60))
        .default_backoff()
        .reflect(writer)
        .map_ok(drop);
    (store, changes.boxed())
}

/// Shows the fleets until Ctrl-C.
pub(crate) async fn run(cluster: &Cluster, name: Option<&str>, pods: usize) -> anyhow::Result<()> {
    let labelled = watcher::Config::default().labels(&Cluster::selector(name));
    let fields = name.map_or_else(watcher::Config::default, |name| {
        watcher::Config::default().fields(&format!("metadata.name={name}"))
    });
    let (workers, workers_changed) = store(cluster.api::<TemporalWorker>(), fields);
    let (deployments, deployments_changed) = store(cluster.api::<Deployment>(), labelled.clone());
    let (pod_store, pods_changed) = store(cluster.api::<Pod>(), labelled);
    let stores = Stores {
        workers,
        deployments,
        pods: pod_store,
    };
    let changes = stream::select_all([workers_changed, deployments_changed, pods_changed]);
    let cpu = stream::unfold(Duration::ZERO, |pause| async move {
        sleep(pause).await;
        Some((cluster.cores(name).await, CPU))
    });
    if std::io::stdout().is_terminal() {
        let _screen = Screen::enter()?;
        show(&stores, changes, cpu, |fleets, trouble| draw(fleets, pods, trouble)).await
    } else {
        let mut printed = BTreeMap::new();
        show(&stores, changes, cpu, move |fleets, _| {
            print_changed(fleets, &mut printed)
        })
        .await
    }
}

async fn show(
    stores: &Stores,
    mut changes: impl Stream<Item = Change> + Unpin,
    cpu: impl Stream<Item = Cores>,
    mut output: impl FnMut(&[Fleet], Option<&str>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    tokio::pin!(cpu);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut cores, mut trouble) = (Cores::new(), None);
    let mut ready = std::pin::pin!(stores.ready());
    let mut complete = false;
    let mut last = Instant::now();
    let mut dirty = false;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            result = &mut ready, if !complete => {
                result?;
                complete = true;
                dirty = true;
            }
            change = changes.next() => match change.context("the watches ended")? {
                Ok(()) => { trouble = None; dirty = true; }
                Err(error) => { trouble = Some(error.to_string()); dirty = true; }
            },
            Some(fresh) = cpu.next() => { cores = fresh; dirty = true; }
            _ = tick.tick() => dirty = true,
            () = sleep_until(last + REDRAW), if dirty && (complete || trouble.is_some()) => {
                let fleets = model::fleets(&stores.snapshot(&cores), now());
                output(&fleets, trouble.as_deref())?;
                last = Instant::now();
                dirty = false;
            }
        }
    }
}

/// The one reading of the wall clock in this verb: ages are shown against it.
#[expect(clippy::disallowed_methods, reason = "ages are shown against the present time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

fn print_changed(fleets: &[Fleet], printed: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for fleet in fleets {
        let ready: i32 = fleet.deployments.iter().map(|deployment| deployment.ready).sum();
        let because = fleet
            .because
            .as_ref()
            .map_or_else(String::new, |because| format!("   {because}"));
        let text = format!("{}   {ready} ready{because}", view::line(fleet));
        let key = format!("{}/{}", fleet.namespace, fleet.name);
        if printed.get(&key) != Some(&text) {
            writeln!(out, "{text}")?;
            printed.insert(key, text);
        }
    }
    let gone: Vec<String> = printed
        .keys()
        .filter(|key| {
            !fleets
                .iter()
                .any(|fleet| **key == format!("{}/{}", fleet.namespace, fleet.name))
        })
        .cloned()
        .collect();
    for key in gone {
        writeln!(out, "{key}  deleted")?;
        printed.remove(&key);
    }
    Ok(())
}

/// The other screen of the terminal, without cursor; left again on drop.
struct Screen;

impl Screen {
    fn enter() -> std::io::Result<Self> {
        let mut out = std::io::stdout().lock();
        out.write_all(b"\x1b[?1049h\x1b[?25l")?;
        out.flush()?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = std::io::stdout().lock();
        // A terminal that is gone needs no restoring.
        let _ = out.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    }
}

fn draw(fleets: &[Fleet], pods: usize, trouble: Option<&str>) -> std::io::Result<()> {
    let (columns, rows): (usize, usize) =
        terminal_size::terminal_size().map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
    let mut text = if fleets.is_empty() {
        "no TemporalWorker yet\n".to_owned()
    } else {
        view::tree(fleets, pods)
    };
    if let Some(trouble) = trouble {
        text = format!("! {trouble}\n{text}");
    }
    let mut out = std::io::stdout().lock();
    // The last column stays free: a full line would swallow its end. One write: home, each line with the rest of it erased, then all below erased.
    out.write_all(
        format!(
            "\x1b[H{}\x1b[K\x1b[J",
            view::fit(&text, columns.saturating_sub(1), rows).join("\x1b[K\r\n")
        )
        .as_bytes(),
    )?;
    out.flush()
}
