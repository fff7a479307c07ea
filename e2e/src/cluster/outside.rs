//! Folders outside the cluster's own tree in which the kubelet, containerd and CNI plugins leave things, whatever they are
//! told. `up` notes which of them did not exist before; `down` removes exactly those.

use std::fs;
use std::path::Path;

use super::error::{Error, Result};
use super::layout::Layout;

/// Paths that components have built in. A parent comes before its children.
const PATHS: &[&str] = &[
    "/run/containerd",
    "/run/containerd/s",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/var/lib/kubelet",
    "/var/lib/kubelet/device-plugins",
    "/var/log/containers",
    "/var/log/pods",
    "/run/netns",
    "/run/mount",
    "/run/xtables.lock",
];

/// Notes which paths are absent now; the note of the first `up` stands until `down`.
pub(super) fn note(layout: &Layout) -> Result<()> {
    let file = layout.run("outside.saved");
    if file.exists() {
        return Ok(());
    }
    let absent: String = PATHS
        .iter()
        .filter(|path| !Path::new(path).exists())
        .flat_map(|path| [*path, "\n"])
        .collect();
    fs::write(&file, absent).map_err(Error::file("write", file))
}

/// Removes what was absent before `up`, and links into our tree from folders that were there.
pub(super) fn clean(layout: &Layout) -> Result<()> {
    let file = layout.run("outside.saved");
    let Ok(absent) = fs::read_to_string(&file) else {
        return Ok(());
    };
    for path in absent.lines().rev().map(Path::new).filter(|path| path.exists()) {
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.map_err(Error::file("remove", path))?;
    }
    let links = fs::read_dir("/var/log/containers")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for link in links {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(layout.root())) {
            super::process::remove_file(&link)?;
        }
    }
    super::process::remove_file(&file)
}
