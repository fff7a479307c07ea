//! Every command of the README and of the quickstart, typed in a fresh clone, does what the page says. Ends with the local cluster
//! down, since the quickstart does.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use fleet_e2e::{
    cluster::{self, Layout},
    fences,
    fleet::{Access, operator},
    image::catalog,
    newcomer::{self, Has},
};

/// The two commands that are long runs of their own: the page is checked for naming targets that exist.
const RUNS_OF_THEIR_OWN: [&str; 2] = ["make demo\n", "make test\n"];
/// For one page, with nothing compiled on two busy cores.
const PATIENCE: Duration = Duration::from_mins(90);

#[tokio::test]
async fn the_commands_of_readme_and_quickstart_work_in_a_fresh_clone() -> Result<()> {
    let access = Access::open(None).await?;
    ensure!(
        access.is_local(),
        "the quickstart is about the local cluster: make cluster-up, without KUBECONFIG"
    );
    let clone = newcomer::clone(&fs::canonicalize(catalog::target_dir())?.join("pages/clone")).await?;
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
        bash(&clone, &run.replace("make", "make -n"), Has::Nothing).await?;
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
    bash(&clone, &fences::script(&blocks), Has::Cluster(&layout)).await?;
    access
        .kubectl(&["delete", "tw", "hello", "--wait", "--timeout=2m"])
        .await?;
    uninstall(&access).await?;

    let quickstart = fs::read_to_string(clone.join("docs/quickstart.md"))?;
    bash(
        &clone,
        &fences::script(&fences::blocks(&quickstart, "sh")),
        Has::Nothing,
    )
    .await
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

/// Types it in the clone. It shares the build output of this tree, so that only what differs is compiled again.
async fn bash(clone: &Path, script: &str, has: Has<'_>) -> Result<()> {
    let target = fs::canonicalize(catalog::target_dir())?;
    newcomer::shell(clone, script, has, &[("CARGO_TARGET_DIR", &target)], PATIENCE).await
}
