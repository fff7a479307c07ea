//! `up`: every step in order, each of which may be run again. What runs already with the right arguments is left alone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::config::{self, Ports};
use super::error::{Error, Result};
use super::images;
use super::kubernetes::{api_ready, client, node_ready, wait};
use super::layout::Layout;
use super::process::ensure;
use super::{addons, command, components, network, outside, pki, ports, temporal};

/// The Temporal namespace that everyone expects.
const TEMPORAL_NAMESPACE: &str = "default";

/// Brings the cluster up and reports each lap to `lap`: seconds since the start, and what has been reached. `local_cluster` is the
/// program of that name: one of the components is a verb of it.
pub async fn up(layout: &Layout, local_cluster: &Path, lap: impl Fn(Duration, &str)) -> Result<Ports> {
    let start = Instant::now();
    let lap = |what: &str| lap(start.elapsed(), what);
    require_root()?;
    require_space(&layout.root())?;
    for dir in [
        layout.config(""),
        layout.pki(""),
        layout.run(""),
        layout.logs(),
        layout.state("volume-plugins"),
        layout.state("targets"),
    ] {
        fs::create_dir_all(&dir).map_err(Error::file("create", dir))?;
    }
    outside::note(layout)?;
    // The guard against packets that leave the machine stands before the first process that could send one.
    network::up(layout)?;
    pki::ensure(layout)?;
    let ports = ports::choose(layout)?;
    config::write(layout, ports)?;
    lap("network, certificates, configuration");

    ensure(layout, &components::etcd(layout)?)?;
    ensure(layout, &components::containerd(layout)?)?;
    ensure(layout, &components::apiserver(layout)?)?;
    // Images are imported while the API server starts: the two slowest steps, side by side.
    let archives = images::write_addons(layout)?;
    wait(
        layout,
        "containerd",
        Duration::from_secs(30),
        &["containerd"],
        || async {
            images::ctr(layout, &["version"])
                .map(drop)
                .map_err(|error| error.to_string())
        },
    )
    .await?;
    let importing = tokio::task::spawn_blocking({
        let layout = layout.clone();
        move || images::import(&layout, &archives)
    });
    let client = client(layout).await?;
    api_ready(layout, &client).await?;
    lap("API server");
    ensure(layout, &components::controller_manager(layout)?)?;
    ensure(layout, &components::scheduler(layout)?)?;
    let imported = importing
        .await
        .map_err(|error| Error::Refused(format!("the import of images ended: {error}")))??;
    lap(&format!("images ({} imported)", imported.len()));
    ensure(layout, &components::kubelet(layout)?)?;
    ensure(layout, &components::kube_proxy(layout)?)?;
    addons::install(layout, ports)?;
    node_ready(layout, &client).await?;
    lap("node ready");

    ensure(layout, &components::pod_discovery(local_cluster))?;
    ensure(layout, &components::prometheus(layout, ports)?)?;
    ensure(layout, &components::temporal_ui(layout)?)?;
    addons::dns_ready(layout, &client).await?;
    lap("DNS");
    addons::temporal_ready(layout, &client).await?;
    temporal::register(layout, TEMPORAL_NAMESPACE).await?;
    lap("Temporal serving");
    addons::metrics_ready(layout, &client).await?;
    lap("metrics API");
    super::process::all_alive(layout, components::ALL)?;
    Ok(ports)
}

/// Below this much free disk the cluster is not begun: the kubelet of a full one evicts Temporal and throws images away, and
/// what is then said is that a connection was reset.
const FREE_DISK: u64 = 4 << 30;

fn require_space(of: &Path) -> Result<()> {
    let path = of.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let space = rustix::fs::statvfs(path).map_err(|error| Error::file("read the free space of", path)(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < FREE_DISK {
        return Err(Error::Refused(format!(
            "{} has {:.1} GiB of free disk and the local cluster needs {} GiB: free some, for instance by `make clean`",
            path.display(),
            free as f64 / f64::from(1 << 30),
            FREE_DISK >> 30,
        )));
    }
    Ok(())
}

fn require_root() -> Result<()> {
    let id = command::run("id", &["-u"])?;
    if id.trim() != "0" || !Path::new("/proc/sys").exists() {
        return Err(Error::Refused(
            "the local cluster needs root: it makes links, mounts and control groups".to_owned(),
        ));
    }
    Ok(())
}
