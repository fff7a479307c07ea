//! Every command of the README and of the quickstart, typed in a fresh clone, does what the page says. Ends with the local cluster
//! down, since the quickstart does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use fleet_e2e::{
    cluster::{self, Layout},
    fences,
    fleet::{Access, operator},
    image::catalog,
};
use tokio::process::Command;

/// The two commands that are long runs of their own: the page is checked for naming targets that exist.
const RUNS_OF_THEIR_OWN: [&str; 2] = ["make demo\n", "make test\n"];

#[tokio::test]
async fn the_commands_of_readme_and_quickstart_work_in_a_fresh_clone() -> Result<()> {
    let access = Access::open(None).await?;
    ensure!(
        access.is_local(),
        "the quickstart is about the local cluster: make cluster-up, without KUBECONFIG"
    );
    let clone = clone().await?;
    let layout = Layout::of_user()?;

    let readme = fs::read_to_string(clone.join("README.md"))?;
    let example = fs::read_to_string(clone.join("examples/simple.yaml"))?;
    let shown = fences::blocks(&readme, "yaml").concat();
    ensure!(
        !shown.is_empty() && example.ends_with(&shown),
        "the README does not show examples/simple.yaml as it is"
    );
    let mut blocks = fences::blocks(&readme, "sh");
    for run in RUNS_OF_THEIR_OWN {
        ensure!(blocks.iter().any(|block| block == run), "the README lost {run}");
        bash(&clone, &run.replace("make", "make -n"), None).await?;
    }
    blocks.retain(|block| !RUNS_OF_THEIR_OWN.contains(&block.as_str()));

    // What the reader does between building an image and installing it: push it where the cluster pulls from.
    for (ours, pulled) in [
        (catalog::OPERATOR, "registry.example.com/temporal-fleet-operator:0.1.0"),
        (catalog::SAMPLE_WORKER, "registry.example.com/acme/hello-worker:1.0.0"),
    ] {
        ensure!(
            readme.contains(pulled.split(':').next().unwrap_or(pulled)),
            "the README does not name {pulled}"
        );
        cluster::tag_image(&layout, ours, pulled)?;
    }
    // A cluster of the reader's has no operator yet.
    uninstall(&access).await?;
    bash(&clone, &fences::script(&blocks), Some(&layout)).await?;
    access
        .kubectl(&["delete", "tw", "hello", "--wait", "--timeout=2m"])
        .await?;
    uninstall(&access).await?;

    let quickstart = fs::read_to_string(clone.join("docs/quickstart.md"))?;
    bash(&clone, &fences::script(&fences::blocks(&quickstart, "sh")), None).await
}

async fn uninstall(access: &Access) -> Result<()> {
    access
        .helm(&[
            "uninstall",
            operator::RELEASE,
            "-n",
            operator::NAMESPACE,
            "--ignore-not-found",
            "--wait",
        ])
        .await?;
    Ok(())
}

/// Runs a script as a newcomer's shell would: in the clone, without our programs in the path or a cluster in the environment,
/// unless `cluster` is where the reader has a cluster and tools already.
async fn bash(clone: &Path, script: &str, cluster: Option<&Layout>) -> Result<()> {
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(clone)
        .env("CARGO_TARGET_DIR", fs::canonicalize(catalog::target_dir())?)
        .env_remove("KUBECONFIG")
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for name in catalog::crate_variables() {
        command.env_remove(name);
    }
    let bin = Layout::of_user()?.cache().join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let foreign: Vec<_> = path.split(':').filter(|dir| Path::new(dir) != bin).collect();
    if let Some(layout) = cluster {
        command
            .env("KUBECONFIG", layout.kubeconfig())
            .env("PATH", format!("{}:{}", bin.display(), foreign.join(":")));
    } else {
        command.env("PATH", foreign.join(":"));
    }
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<_> = text.lines().rev().take(40).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    ensure!(output.status.success(), "a command of the page failed: {tail}");
    Ok(())
}

/// A clone of what is committed. It shares the build output of this tree, so that only what differs is compiled again.
async fn clone() -> Result<PathBuf> {
    let source = fs::canonicalize(operator::source_tree())?;
    let target = fs::canonicalize(catalog::target_dir())?;
    let clone = target.join("pages/clone");
    if clone.exists() {
        fs::remove_dir_all(&clone)?;
    }
    let (from, to) = (source.display().to_string(), clone.display().to_string());
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--no-hardlinks", &from, &to])
        .status()
        .await?;
    ensure!(cloned.success(), "git clone {from} {to}");
    let files = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(&clone)
        .output()
        .await?;
    for file in String::from_utf8(files.stdout)?.split_terminator('\0') {
        keep_age(&source.join(file), &clone.join(file)).with_context(|| format!("comparing {file}"))?;
    }
    Ok(clone)
}

/// Cargo decides by a file's age whether to compile it again: one with the same content is as old as its original.
fn keep_age(original: &Path, copy: &Path) -> Result<()> {
    if original.is_file() && copy.is_file() && fs::read(original)? == fs::read(copy)? {
        let age = fs::metadata(original)?.modified()?;
        fs::File::options().write(true).open(copy)?.set_modified(age)?;
    }
    Ok(())
}
