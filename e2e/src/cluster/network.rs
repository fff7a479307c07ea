//! The network of the cluster on the host: the bridge, its routes, the kernel settings it needs, and the guard.
//!
//! The guard is the first thing that stands and the last that goes. A Service address without rules yet follows the default
//! route out of the machine, and whatever answers there is kept by connection pools; so Service addresses are routed onto
//! the bridge, forwarded traffic that would leave the bridge is rejected, and a second rule drops and counts whatever
//! concerns our addresses on any other link. That counter must stay 0 for ever: `egress.rs` reads it.

use std::fs;
use std::path::Path;

use super::command::{run, succeeds};
use super::error::{Error, Result};
use super::layout::{BRIDGE, Layout, NODE_IP, POD_RANGE, SERVICE_RANGE};

/// Chain of the rules that reject what pods send out of the machine (table `filter`).
pub const REJECT_CHAIN: &str = "TFLEET-REJECT";
/// Chain of the rules that would drop what passed nevertheless (table `mangle`).
pub const LEAK_CHAIN: &str = "TFLEET-LEAK";

/// Kernel settings that we or the kubelet change, with the value we need, if it is ours to set.
const SETTINGS: &[(&str, Option<&str>)] = &[
    ("net/ipv4/ip_forward", Some("1")),
    ("net/bridge/bridge-nf-call-iptables", Some("1")),
    ("fs/inotify/max_user_instances", Some("1024")),
    ("vm/overcommit_memory", None),
    ("vm/panic_on_oom", None),
    ("kernel/panic", None),
    ("kernel/panic_on_oops", None),
    ("kernel/keys/root_maxkeys", None),
    ("kernel/keys/root_maxbytes", None),
];

/// Brings the network up; every step may be run again.
pub fn up(layout: &Layout) -> Result<()> {
    save_settings(layout)?;
    if !Path::new("/proc/sys/net/bridge").exists() {
        run("modprobe", &["br_netfilter"])?;
    }
    // The guard comes before forwarding is switched on.
    guard()?;
    for (key, value) in SETTINGS {
        if let Some(value) = value {
            write_setting(key, value)?;
        }
    }
    if !succeeds("ip", &["link", "show", BRIDGE]) {
        run("ip", &["link", "add", BRIDGE, "type", "bridge"])?;
    }
    run("ip", &["addr", "replace", &format!("{NODE_IP}/24"), "dev", BRIDGE])?;
    run("ip", &["link", "set", BRIDGE, "up"])?;
    run(
        "ip",
        &["route", "replace", SERVICE_RANGE, "dev", BRIDGE, "src", NODE_IP],
    )?;
    Ok(())
}

/// Takes the network down again: links, chains and settings. Rules of others stay.
pub fn down(layout: &Layout) -> Result<()> {
    for link in links_of_bridge() {
        // Pods' links go with their network namespaces; one may vanish between listing and deleting.
        succeeds("ip", &["link", "del", &link]);
    }
    succeeds("ip", &["link", "del", BRIDGE]);
    for program in ["iptables", "ip6tables"] {
        drop_chains(program)?;
    }
    restore_settings(layout)
}

/// Packets and bytes of the first rule of one of our chains.
pub fn counter(table: &str, chain: &str) -> Result<u64> {
    let text = run("iptables", &["-w", "5", "-t", table, "-nvxL", chain])?;
    let packets: Option<u64> = text
        .lines()
        .skip(2)
        .map(|line| line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()))
        .sum();
    packets.ok_or_else(|| {
        Error::Refused(format!(
            "chain {chain} of table {table} has no readable counters: {text}"
        ))
    })
}

fn guard() -> Result<()> {
    chain(
        "filter",
        REJECT_CHAIN,
        &[&["-j", "REJECT", "--reject-with", "icmp-admin-prohibited"]],
    )?;
    hook(
        "filter",
        "FORWARD",
        &["-i", BRIDGE, "!", "-o", BRIDGE, "-j", REJECT_CHAIN],
    )?;
    // After routing and before source addresses are rewritten: nothing of ours may be on its way to another link.
    // kube-proxy puts its rules ahead of others in FORWARD; none of them can accept past this one.
    let ours = [POD_RANGE, SERVICE_RANGE];
    let mut rules: Vec<Vec<&str>> = Vec::new();
    for range in ours {
        rules.push(vec!["-s", range, "-j", "DROP"]);
        rules.push(vec!["-d", range, "-j", "DROP"]);
    }
    let rules: Vec<&[&str]> = rules.iter().map(Vec::as_slice).collect();
    chain("mangle", LEAK_CHAIN, &rules)?;
    // Two jumps, since a match names one link only: what leaves by the bridge or stays on the loopback is at home.
    hook(
        "mangle",
        "POSTROUTING",
        &[
            "!",
            "-o",
            BRIDGE,
            "-m",
            "addrtype",
            "!",
            "--dst-type",
            "LOCAL",
            "-j",
            LEAK_CHAIN,
        ],
    )
}

/// Makes a chain with exactly these rules, unless it stands already.
fn chain(table: &str, name: &str, rules: &[&[&str]]) -> Result<()> {
    if !succeeds("iptables", &["-w", "5", "-t", table, "-nL", name]) {
        run("iptables", &["-w", "5", "-t", table, "-N", name])?;
        for rule in rules {
            run("iptables", &[&["-w", "5", "-t", table, "-A", name], *rule].concat())?;
        }
    }
    Ok(())
}

/// Puts a rule at the head of a chain, unless it stands already.
fn hook(table: &str, into: &str, rule: &[&str]) -> Result<()> {
    if !succeeds("iptables", &[&["-w", "5", "-t", table, "-C", into], rule].concat()) {
        run("iptables", &[&["-w", "5", "-t", table, "-I", into], rule].concat())?;
    }
    Ok(())
}

fn links_of_bridge() -> Vec<String> {
    let Ok(links) = fs::read_dir(format!("/sys/class/net/{BRIDGE}/brif")) else {
        return Vec::new();
    };
    links
        .flatten()
        .map(|link| link.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Whether a line of `iptables-save` belongs to the cluster: our chains, those of kube-proxy and the kubelet, of CNI plugins.
fn is_ours(line: &str) -> bool {
    line.split_whitespace().any(|word| {
        let word = word.strip_prefix(':').unwrap_or(word);
        word.starts_with("KUBE-") || word.starts_with("CNI-") || word.starts_with("TFLEET-")
    })
}

fn drop_chains(program: &str) -> Result<()> {
    let save = run(format!("{program}-save"), &[] as &[&str])?;
    if !save.lines().any(is_ours) {
        return Ok(());
    }
    let kept: String = save
        .lines()
        .filter(|line| !is_ours(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    super::command::run_with_input(format!("{program}-restore"), &["-w", "5"], &kept)?;
    Ok(())
}

fn save_settings(layout: &Layout) -> Result<()> {
    let file = layout.run("settings.saved");
    if file.exists() {
        return Ok(());
    }
    let mut text = String::new();
    for (key, _) in SETTINGS {
        if let Ok(value) = fs::read_to_string(format!("/proc/sys/{key}")) {
            text.push_str(&format!("{key}={}\n", value.trim_end()));
        }
    }
    fs::write(&file, text).map_err(Error::file("write", file))
}

fn restore_settings(layout: &Layout) -> Result<()> {
    let file = layout.run("settings.saved");
    let Ok(text) = fs::read_to_string(&file) else {
        return Ok(());
    };
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        write_setting(key, value)?;
    }
    super::process::remove_file(&file)
}

fn write_setting(key: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{key}");
    match fs::read_to_string(&path) {
        Ok(now) if now.trim_end() == value => Ok(()),
        _ => fs::write(&path, value).map_err(Error::file("write", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_of_the_cluster_are_dropped() {
        assert!(is_ours(":KUBE-SERVICES - [0:0]"));
        assert!(is_ours(
            "-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD"
        ));
        assert!(is_ours("-A FORWARD -i tfleet0 ! -o tfleet0 -j TFLEET-REJECT"));
        assert!(!is_ours("-A FORWARD -i docker0 -j DOCKER"));
        assert!(!is_ours("*nat") && !is_ours("COMMIT"));
    }
}
