//! What a cluster could leave behind: one snapshot before `up` and one after `down` must be equal. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::command::run;
use super::layout::Layout;

/// Settings that move by themselves and say nothing about us.
const RESTLESS: &[&str] = &[
    "kernel/random/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "net/netfilter/nf_conntrack_count",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/aio-nr",
    "fs/quota",
    "kernel/sched_domain",
    "vm/stat_refresh",
    "vm/compact_memory",
    "net/ipv4/route/flush",
    "net/ipv6/route/flush",
    "kernel/tainted",
    "vm/drop_caches",
    "kernel/hotplug",
    "kernel/cad_pid",
];

/// The parts of the machine that the cluster touches, each as a set of lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot(BTreeMap<String, BTreeSet<String>>);

impl Snapshot {
    /// Reads the machine now.
    pub fn take(layout: &Layout) -> Self {
        let parts = [
            ("processes", processes(layout)),
            ("mounts", mounts()),
            ("links", children("/sys/class/net")),
            (
                "routes",
                lines(&run("ip", &["route", "show", "table", "all"]).unwrap_or_default()),
            ),
            ("iptables", rules("iptables-save")),
            ("ip6tables", rules("ip6tables-save")),
            ("cgroups", cgroups()),
            ("settings", settings()),
            ("folders", folders()),
        ];
        Self(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect())
    }

    /// What this (later) snapshot has and `before` had not, and the other way round; empty if they are equal.
    pub fn difference(&self, before: &Self) -> Vec<String> {
        let empty = BTreeSet::new();
        let mut found = Vec::new();
        for name in self.0.keys().chain(before.0.keys()).collect::<BTreeSet<_>>() {
            let (now, then) = (self.0.get(name).unwrap_or(&empty), before.0.get(name).unwrap_or(&empty));
            found.extend(now.difference(then).map(|line| format!("{name}: left behind: {line}")));
            found.extend(then.difference(now).map(|line| format!("{name}: lost: {line}")));
        }
        found
    }
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn children(dir: &str) -> BTreeSet<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Processes that name our folders, and those in control groups of pods; the rest of the machine is free to come and go.
fn processes(layout: &Layout) -> BTreeSet<String> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let root = layout.root().display().to_string();
    let text = |pid| {
        let line = String::from_utf8_lossy(&super::process::command_line(pid)?.join(&b' ')).into_owned();
        let in_pod = fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains("/kubepods"));
        (in_pod || line.contains(&root)).then_some(line)
    };
    pids.filter_map(text).collect()
}

fn mounts() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(str::to_owned)
        .collect()
}

/// Rules and chains beyond the built-in ones; an empty table that was merely looked at is no residue.
fn rules(program: &str) -> BTreeSet<String> {
    let text = run(program, &[] as &[&str]).unwrap_or_default();
    let kept = text
        .lines()
        .filter(|line| line.starts_with("-A") || (line.starts_with(':') && line.contains(" - ")));
    kept.map(|line| line.split(" [").next().unwrap_or(line).to_owned())
        .collect()
}

fn cgroups() -> BTreeSet<String> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    hierarchies
        .flat_map(|hierarchy| fs::read_dir(hierarchy.path()).into_iter().flatten().flatten())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn settings() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for dir in [
        "net/ipv4",
        "net/ipv6",
        "net/bridge",
        "net/netfilter",
        "net/core",
        "vm",
        "kernel",
        "fs",
    ] {
        walk(Path::new("/proc/sys"), Path::new(dir), &mut found);
    }
    found
}

fn walk(root: &Path, dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(root.join(dir)).into_iter().flatten().flatten() {
        let path = dir.join(entry.file_name());
        let name = path.display().to_string();
        if RESTLESS.iter().any(|restless| name.starts_with(restless)) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(root, &path, found);
        } else if let Ok(value) = fs::read_to_string(root.join(&path)) {
            found.insert(format!("{name}={}", value.trim_end()));
        }
    }
}

fn folders() -> BTreeSet<String> {
    let parents = [
        "/run",
        "/run/containerd",
        "/var/lib",
        "/var/lib/cni",
        "/var/log",
        "/var/log/containers",
        "/opt",
        "/etc",
        "/etc/cni",
    ];
    let list = |parent: &&str| {
        children(parent)
            .into_iter()
            .map(|name| format!("{parent}/{name}"))
            .collect::<Vec<_>>()
    };
    parents.iter().flat_map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_was_left_and_what_was_lost() {
        let of = |lines: &[&str]| {
            Snapshot(BTreeMap::from([(
                "links".to_owned(),
                lines.iter().map(ToString::to_string).collect(),
            )]))
        };
        assert!(of(&["lo"]).difference(&of(&["lo"])).is_empty());
        let found = of(&["lo", "tfleet0"]).difference(&of(&["lo", "eth0"]));
        assert_eq!(found, ["links: left behind: tfleet0", "links: lost: eth0"]);
    }
}
