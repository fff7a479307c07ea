//! The dependency arrows between the crates of this workspace, and the allow-list of what the pure crates pull in.
//! Purity of the deciding crates (no clock, no I/O, no runtime) is thereby a check and not a promise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Every crate of the workspace with the members it may depend on, dev-dependencies included. No other edge exists.
const ARROWS: &[(&str, &[&str])] = &[
    ("fleet-autoscale", &[]),
    ("fleet-core", &["fleet-autoscale"]),
    ("fleet-temporal", &["fleet-core"]),
    ("fleet-crds", &[]),
    ("fleet-proto", &[]),
    (
        "fleet-operator",
        &[
            "fleet-autoscale",
            "fleet-core",
            "fleet-crds",
            "fleet-proto",
            "fleet-temporal",
        ],
    ),
    ("fleet-worker", &["fleet-proto"]),
    ("fleet-sim", &["fleet-autoscale", "fleet-core"]),
    (
        "kubectl-temporal_worker",
        &["fleet-autoscale", "fleet-core", "fleet-crds", "fleet-sim"],
    ),
    // Black box: it sees what users see.
    ("fleet-e2e", &["fleet-crds"]),
    ("fleet-pause", &[]),
];

/// The crates that decide: the same input gives the same output, to the bit, on every machine.
const PURE: &[&str] = &["fleet-autoscale", "fleet-core"];

/// All that a pure crate may link or run while it is built.
const PURE_MAY_USE: &[&str] = &[
    // Types of time. Its `now` is refused by clippy.
    "jiff",
    "jiff-core",
    "jiff-static",
    "portable-atomic",
    "portable-atomic-util",
    // A facade without output; jiff's optional dependency, turned on by other members.
    "log",
    // Arithmetic that does not depend on the platform's libc.
    "libm",
    // Memory is serialised into the status.
    "serde",
    "serde_core",
    "serde_derive",
    // Behind serde's derive, at build time.
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// The part of `cargo metadata --format-version 1` that is read here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    /// `None` is a normal dependency; else `dev` or `build`.
    kind: Option<String>,
}

impl Dependency {
    fn ships(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

/// Names each edge between members that is not in the table, each member that the table does not know, and each crate
/// that a pure crate pulls in beyond the allow-list.
pub fn findings(metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package.name.as_str()))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let name = |id: &str| names.get(id).map_or_else(|| id.to_owned(), |name| (*name).to_owned());
    let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();

    let mut found = Vec::new();
    for member in &members {
        let from = name(member);
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == from) else {
            found.push(format!("{from} is not in the table of arrows (e2e/src/lint/arrows.rs)"));
            continue;
        };
        let edges = nodes.get(member).map(|node| node.deps.as_slice()).unwrap_or_default();
        for to in edges
            .iter()
            .filter(|dependency| members.contains(dependency.pkg.as_str()))
        {
            let to = name(&to.pkg);
            // A crate may ask itself for a feature in its tests.
            if to != from && !allowed.contains(&to.as_str()) {
                found.push(format!("{from} must not depend on {to}; it may depend on {allowed:?}"));
            }
        }
        if PURE.contains(&from.as_str()) {
            for (crate_id, through) in closure(&nodes, member) {
                let used = name(crate_id);
                if !PURE.contains(&used.as_str()) && !PURE_MAY_USE.contains(&used.as_str()) {
                    found.push(format!("{from} is pure and pulls in {used}, through {}", name(through)));
                }
            }
        }
    }
    found
}

/// All that `root` ships with, each with the crate that asked for it.
fn closure<'a>(nodes: &BTreeMap<&'a str, &'a Node>, root: &'a str) -> BTreeMap<&'a str, &'a str> {
    let mut reached = BTreeMap::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in node.deps.iter().filter(|dependency| dependency.ships()) {
            if dependency.pkg != root && !reached.contains_key(dependency.pkg.as_str()) {
                reached.insert(dependency.pkg.as_str(), id);
                open.push(&dependency.pkg);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::{Metadata, findings};

    /// A metadata of members and foreign crates from edges `(from, to, kind)`.
    fn metadata(members: &[&str], edges: &[(&str, &str, Option<&str>)]) -> Metadata {
        let mut ids: Vec<&str> = members.to_vec();
        for (from, to, _) in edges {
            ids.extend([from, to]);
        }
        ids.sort_unstable();
        ids.dedup();
        let nodes: Vec<_> = ids
            .iter()
            .map(|id| {
                let deps: Vec<_> = edges
                    .iter()
                    .filter(|(from, ..)| from == id)
                    .map(|(_, to, kind)| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                serde_json::json!({"id": id, "deps": deps})
            })
            .collect();
        let packages: Vec<_> = ids.iter().map(|id| serde_json::json!({"id": id, "name": id})).collect();
        serde_json::from_value(serde_json::json!({
            "packages": packages, "workspace_members": members, "resolve": {"nodes": nodes},
        }))
        .unwrap()
    }

    #[test]
    fn the_allowed_edges_pass() {
        let metadata = metadata(
            &["fleet-core", "fleet-autoscale", "fleet-operator", "fleet-temporal"],
            &[
                ("fleet-core", "fleet-autoscale", None),
                ("fleet-autoscale", "jiff", None),
                ("fleet-operator", "fleet-core", None),
                ("fleet-operator", "tokio", None),
                ("fleet-operator", "fleet-temporal", Some("dev")),
                ("fleet-temporal", "fleet-temporal", Some("dev")),
            ],
        );
        assert_eq!(findings(&metadata), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_arrows_is_found_even_in_tests() {
        for kind in [None, Some("dev"), Some("build")] {
            let metadata = metadata(
                &["fleet-e2e", "fleet-operator"],
                &[("fleet-e2e", "fleet-operator", kind)],
            );
            let found = findings(&metadata);
            assert_eq!(found.len(), 1, "{kind:?}: {found:?}");
            assert!(
                found[0].starts_with("fleet-e2e must not depend on fleet-operator"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_pure_crate_is_charged_with_what_its_dependencies_pull_in() {
        let metadata = metadata(
            &["fleet-core", "fleet-autoscale"],
            &[
                ("fleet-core", "fleet-autoscale", None),
                ("fleet-autoscale", "jiff", None),
                ("jiff", "tokio", None),
            ],
        );
        let found = findings(&metadata);
        assert_eq!(
            found,
            [
                "fleet-autoscale is pure and pulls in tokio, through jiff",
                "fleet-core is pure and pulls in tokio, through jiff",
            ]
        );
    }

    #[test]
    fn test_dependencies_of_a_pure_crate_are_free() {
        let metadata = metadata(
            &["fleet-core"],
            &[("fleet-core", "proptest", Some("dev")), ("proptest", "rand", None)],
        );
        assert_eq!(findings(&metadata), Vec::<String>::new());
    }

    #[test]
    fn a_new_member_has_to_be_placed() {
        let found = findings(&metadata(&["fleet-new"], &[]));
        assert!(found[0].contains("fleet-new is not in the table"), "{found:?}");
    }
}
