//! Which files of a Debian system an image gets: those of the packages that a program needs, without what only people or the
//! package manager read. Pure: works on the texts of dpkg's database.

use std::collections::{BTreeMap, BTreeSet};

/// Needed by packages' scripts at installation, and by nothing that runs; the last one serves ciphers nobody should use.
const STOP: &[&str] = &["dpkg", "debconf", "debconf-2.0", "openssl-provider-legacy"];
/// Folders that no program needs.
const UNNEEDED: &[&str] = &[
    "usr/share/applications",
    "usr/share/binfmts",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/pixmaps",
    "usr/share/python3",
    "usr/share/zoneinfo/posix",
    "usr/share/zoneinfo/right",
    // Character sets that Python has its own of.
    "usr/lib/x86_64-linux-gnu/gconv",
];
/// Folders of Debian that are links into `usr`.
const MERGED: &[&str] = &["bin", "lib", "lib64", "sbin"];

/// The stanzas of dpkg's `status` by package.
fn stanzas(status: &str) -> BTreeMap<&str, &str> {
    status
        .split("\n\n")
        .filter_map(|stanza| Some((field(stanza, "Package")?, stanza)))
        .collect()
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The packages that `roots` need, themselves included: every alternative that is installed.
pub(super) fn needed(status: &str, roots: &[&str]) -> BTreeSet<String> {
    let stanzas = stanzas(status);
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = roots.to_vec();
    while let Some(name) = open.pop() {
        let Some(stanza) = stanzas.get(name).filter(|_| !STOP.contains(&name)) else {
            continue;
        };
        if !found.insert(name.to_owned()) {
            continue;
        }
        for list in ["Pre-Depends", "Depends"]
            .into_iter()
            .filter_map(|list| field(stanza, list))
        {
            let words = list.split([',', '|']).filter_map(|each| each.split_whitespace().next());
            open.extend(words.map(|word| word.split(':').next().unwrap_or(word)));
        }
    }
    found
}

/// The part of `status` about these packages: scanners of vulnerabilities read it.
pub(super) fn status_of(status: &str, packages: &BTreeSet<String>) -> String {
    let stanzas = stanzas(status);
    let kept = packages.iter().filter_map(|name| stanzas.get(name.as_str()));
    kept.map(|stanza| format!("{}\n\n", stanza.trim_end())).collect()
}

/// The real path, without a slash in front, of a line of a package's file list; `None` if the image can do without it.
pub(super) fn wanted(line: &str) -> Option<String> {
    let path = line.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if path.is_empty() || path == "." || (rest.is_empty() && MERGED.contains(&first)) {
        return None;
    }
    let path = if MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    };
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    // Licences travel with what they are about.
    let licence = path.starts_with("usr/share/doc/") && path.ends_with("/copyright");
    (licence || !UNNEEDED.iter().any(|folder| below(folder) || *folder == path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: python3\nStatus: install ok installed\nPre-Depends: python3-minimal (= 3)\nDepends: \
                          libz1 (>= 1:1) | libz0, tzdata:any\nDescription: x\n more: y\n\nPackage: python3-minimal\nDepends: \
                          dpkg (>= 1)\n\nPackage: libz1\n\nPackage: tzdata\nDepends: debconf (>= 0.5) | debconf-2.0\n\nPackage: \
                          dpkg\nDepends: tar\n\nPackage: tar\n";

    #[test]
    fn packages_are_followed_to_what_they_need_but_not_into_the_package_manager() {
        let packages = needed(STATUS, &["python3", "absent"]);
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        assert_eq!(names, ["libz1", "python3", "python3-minimal", "tzdata"]);
        let status = status_of(STATUS, &packages);
        assert!(
            status.starts_with("Package: libz1\n\nPackage: python3\nStatus: install ok"),
            "{status}"
        );
        assert!(!status.contains("Package: dpkg"), "{status}");
    }

    #[test]
    fn paths_are_the_real_ones_and_only_the_needed_ones() {
        let keeps = |line| wanted(line).unwrap_or_default();
        assert_eq!(
            keeps("/lib/x86_64-linux-gnu/libc.so.6"),
            "usr/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(keeps("/usr/bin/python3"), "usr/bin/python3");
        assert_eq!(keeps("/usr/share/doc/libc6/copyright"), "usr/share/doc/libc6/copyright");
        assert_eq!(keeps("/usr/share/docs"), "usr/share/docs");
        for line in [
            "/.",
            "/lib",
            "/usr/share/doc",
            "/usr/share/doc/libc6/NEWS.gz",
            "/usr/share/man/man1/python3.1.gz",
            "/lib/x86_64-linux-gnu/gconv/BIG5.so",
        ] {
            assert_eq!(wanted(line), None, "{line}");
        }
    }
}
