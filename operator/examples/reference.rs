//! `reference` writes the pages that are generated from the operator; `reference --check` fails if one is not what it would write.

use std::path::Path;

use anyhow::{Context as _, ensure};
use fleet_operator::metrics::catalog;

fn main() -> anyhow::Result<()> {
    let check = std::env::args().nth(1).as_deref() == Some("--check");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics.md");
    let page = catalog::reference();
    let fresh = std::fs::read_to_string(&path).is_ok_and(|text| text == page);
    if check {
        ensure!(
            fresh,
            "docs/reference/metrics.md is not fresh; run `make generate` and commit the result"
        );
    } else if !fresh {
        std::fs::write(&path, page).context("writing docs/reference/metrics.md")?;
    }
    Ok(())
}
