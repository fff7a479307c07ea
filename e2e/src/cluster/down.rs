//! `down`: stops what `up` started and leaves the machine as it was. Each step stands alone, so that a half-started cluster,
//! or one whose processes were killed, is cleared away just as well.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use super::error::{Error, Result};
use super::layout::Layout;
use super::process::{command_line, running, signal, stop};
use super::{components, images, network, outside};

/// Control groups that the kubelet and containerd make at the top of each hierarchy.
const CGROUPS: &[&str] = &["kubepods", "k8s.io"];

/// Takes the cluster down. Certificates, imported images and logs stay, unless `purge`.
pub fn down(layout: &Layout, purge: bool, lap: impl Fn(Duration, &str)) -> Result<()> {
    let start = Instant::now();
    let lap = |what: &str| lap(start.elapsed(), what);
    for name in ["temporal-ui", "prometheus", "pod-discovery", "kubelet", "kube-proxy"] {
        stop(layout, name, Duration::from_secs(10))?;
    }
    lap("kubelet and proxy stopped");
    remove_containers(layout);
    stop(layout, "containerd", Duration::from_secs(10))?;
    end_shims(layout);
    lap("containers removed");
    // Their state goes anyway: nothing is gained by waiting for a long graceful stop.
    for name in components::ALL.iter().rev() {
        stop(layout, name, Duration::from_secs(2))?;
    }
    lap("control plane stopped");
    unmount_below(&layout.root())?;
    remove_cgroups();
    outside::clean(layout)?;
    for state in [
        "etcd",
        "kubelet",
        "cni",
        "pod-logs",
        "temporal",
        "prometheus",
        "targets",
    ] {
        remove_dir(&layout.state(state))?;
    }
    remove_dir(&layout.run("containerd"))?;
    super::process::remove_file(&layout.run("ports"))?;
    // The guard goes last of all.
    network::down(layout)?;
    if purge {
        remove_dir(&layout.root())?;
    }
    lap("down");
    Ok(())
}

/// Kills and removes every container that our containerd knows. Errors do not stop the others: the shims, mounts and
/// control groups are cleared afterwards in any case.
fn remove_containers(layout: &Layout) {
    if running(layout, "containerd").is_none() {
        return;
    }
    let list = |what: &[&str]| images::ctr(layout, what).unwrap_or_default();
    let tasks = list(&["tasks", "ls", "-q"]);
    for id in tasks.lines() {
        list(&["tasks", "kill", "-a", "-s", "SIGKILL", id]);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while list(&["tasks", "ls"]).contains("RUNNING") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    for id in list(&["tasks", "ls", "-q"]).lines() {
        list(&["tasks", "rm", "-f", id]);
    }
    let containers = list(&["containers", "ls", "-q"]);
    for id in containers.lines() {
        list(&["containers", "rm", id]);
    }
}

/// Ends shims of our containerd that outlived it; their command line names our socket.
fn end_shims(layout: &Layout) {
    let socket = layout.containerd_socket().display().to_string().into_bytes();
    for pid in pids() {
        let Some(line) = command_line(pid) else { continue };
        let is_shim = line
            .first()
            .is_some_and(|program| program.ends_with(b"containerd-shim-runc-v2"));
        if is_shim && line.contains(&socket) {
            signal(pid, Signal::KILL);
        }
    }
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Unmounts everything below our tree, the deepest first: network namespaces, root filesystems, projected tokens.
fn unmount_below(root: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(Error::file("read", "/proc/self/mountinfo"))?;
    let mut points: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    points.retain(|point| Path::new(point).starts_with(root));
    points.sort_unstable();
    for point in points.into_iter().rev() {
        if unmount(point, UnmountFlags::empty()).is_err() {
            unmount(point, UnmountFlags::DETACH).map_err(|error| Error::file("unmount", point)(error.into()))?;
        }
    }
    Ok(())
}

fn remove_cgroups() {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for group in hierarchies.flat_map(|hierarchy| CGROUPS.iter().map(move |name| hierarchy.join(name))) {
        // Groups of killed processes are busy for a moment.
        for _ in 0..50 {
            remove_groups(&group);
            if !group.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    fs::remove_dir(group).ok();
}

fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}
