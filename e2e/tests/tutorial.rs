//! The tutorial of the Rust runtime, followed word for word: its files are written, its commands typed, in a fresh clone and a
//! fresh crate. Needs port 7233 and the ports of a worker (9464 to 9466) of this machine; one test at a time.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use fleet_e2e::{
    fences,
    image::catalog,
    newcomer::{self, Has},
};

/// The chapters before this one need no cluster.
const CLUSTER: &str = "\n## 5. ";
/// With nothing compiled on two busy cores.
const PATIENCE: Duration = Duration::from_mins(90);

/// From the empty crate to a workflow that a worker on this machine ran, that survived the worker's end, and to the image.
#[tokio::test]
async fn the_laptop_part_works() -> Result<()> {
    follow(Some(CLUSTER)).await
}

/// All of it; ends with the local cluster down, as the page does.
#[tokio::test]
async fn the_whole_page_works() -> Result<()> {
    follow(None).await
}

/// Follows the page until a chapter begins.
async fn follow(until: Option<&str>) -> Result<()> {
    // Outside of the source tree, which would claim the new crate for its workspace.
    let folder = tempfile::tempdir()?;
    let clone = newcomer::clone(&folder.path().join("temporal-fleet")).await?;
    let page = fs::read_to_string(clone.join("docs/worker/tutorial.md"))?;
    let part = match until {
        Some(chapter) => page.split_once(chapter).context("the page lost a chapter")?.0,
        None => &page,
    };
    // What is compiled for other tests is not compiled again, and the programs lie where the page says.
    let build: PathBuf = fs::canonicalize(catalog::target_dir())?;
    let variables = [("CARGO_BUILD_BUILD_DIR", build.as_path())];
    let script = fences::script(&fences::steps(part));
    newcomer::shell(folder.path(), &script, Has::Nothing, &variables, PATIENCE).await
}
