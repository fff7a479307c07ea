//! The table of `docs/worker/features.md`: what the guide to Python workers describes, how it is written with either SDK, and the
//! tests that show it. `make generate` writes the page; a page that is not fresh, or a row whose test is not in the tree, fails here.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

mod activities;
mod concurrency;
mod connecting;
mod data;
mod lifecycle;
mod workflows;

/// A feature. Without tests it must be a gap, and say so.
struct Row {
    feature: &'static str,
    python: &'static str,
    rust: &'static str,
    /// `file::function`, the file below `worker-runtime/` unless it begins with `/`.
    tests: &'static [&'static str],
}

/// What a row begins with that the Rust runtime does not have.
const GAP: &str = "**Gap.**";

const fn row(feature: &'static str, python: &'static str, rust: &'static str, tests: &'static [&'static str]) -> Row {
    Row {
        feature,
        python,
        rust,
        tests,
    }
}

const SECTIONS: &[(&str, &[Row])] = &[
    ("Connecting", connecting::CONNECTING),
    ("Workflows", workflows::WORKFLOWS),
    ("Activities", activities::ACTIVITIES),
    ("Data", data::DATA),
    ("Registering, running, ending", lifecycle::LIFECYCLE),
    ("Concurrency", concurrency::CONCURRENCY),
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// File from the repository's root, and function.
fn located(test: &str) -> (String, &str) {
    let (file, function) = test.rsplit_once("::").expect("file::function");
    let file = file
        .strip_prefix('/')
        .map_or_else(|| format!("worker-runtime/{file}"), str::to_owned);
    (file, function)
}

/// Whether a text holds a test of that name which is not left out.
fn holds(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}(");
    lines.iter().enumerate().any(|(at, line)| {
        let attributes: Vec<&&str> = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .collect();
        let is = |name: &str| attributes.iter().any(|attribute| attribute.starts_with(name));
        line.contains(&head) && (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
    })
}

fn page() -> String {
    let mut page = "<!-- Generated from worker-runtime/tests/features/ by `make generate`; do not edit. -->\n\
        # What a worker can do\n\n\
        Every feature of a standalone worker that the guide to Python workers describes, and the tests that show it for the Rust\n\
        runtime. Tests below `tests/server` run against a real Temporal server, those in `interop.rs` with the Python SDK on the other\n\
        side: `make test-worker`. Others need no server: `make test-unit`. A row without a test is a gap.\n"
        .to_owned();
    for (title, rows) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n| feature | Python SDK | Rust runtime | tests |\n|---|---|---|---|\n"
        );
        for Row {
            feature,
            python,
            rust,
            tests,
        } in *rows
        {
            let mut files: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for test in *tests {
                let (file, function) = located(test);
                files.entry(file).or_default().push(function);
            }
            let links: Vec<String> = files
                .iter()
                .flat_map(|(file, functions)| functions.iter().map(move |function| (file, function)))
                .map(|(file, function)| format!("[{}](../../{file})", function.replace('_', " ")))
                .collect();
            let _ = writeln!(page, "| {feature} | {python} | {rust} | {} |", links.join("; "));
        }
    }
    page
}

#[test]
fn every_feature_has_a_test_or_is_a_gap() {
    for Row {
        feature, rust, tests, ..
    } in SECTIONS.iter().flat_map(|(_, rows)| *rows)
    {
        assert_eq!(
            tests.is_empty(),
            rust.starts_with(GAP),
            "{feature}: without a test it is a gap, and only then"
        );
        for test in *tests {
            let (file, function) = located(test);
            let text = std::fs::read_to_string(repository().join(&file)).unwrap_or_default();
            assert!(
                holds(&text, function),
                "{feature}: there is no test {function} in {file}"
            );
        }
    }
}

#[test]
fn a_test_that_is_not_there_or_is_left_out_does_not_count() {
    let text =
        "#[test]\nfn a() {}\n\n#[tokio::test]\nasync fn b() {}\n\n#[test]\n#[ignore = \"x\"]\nfn c() {}\n\nfn d() {}\n";
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|name| holds(text, name)),
        [true, true, false, false, false]
    );
}

#[test]
fn the_page_is_fresh() {
    let path = repository().join("docs/worker/features.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/worker/features.md is not fresh; run `make generate` and commit the result"
    );
}
