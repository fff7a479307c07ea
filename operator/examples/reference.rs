//! `reference` writes the pages that are generated from the operator; `reference --check` fails if one is not what it would write.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use fleet_core::NoticeReason;
use fleet_operator::metrics::catalog;

fn main() -> anyhow::Result<()> {
    let check = std::env::args().nth(1).as_deref() == Some("--check");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for (name, page) in [("metrics.md", catalog::reference()), ("events.md", events()?)] {
        let path = folder.join(name);
        let fresh = std::fs::read_to_string(&path).is_ok_and(|text| text == page);
        if check {
            ensure!(
                fresh,
                "docs/reference/{name} is not fresh; run `make generate` and commit the result"
            );
        } else if !fresh {
            std::fs::write(&path, page).with_context(|| format!("writing docs/reference/{name}"))?;
        }
    }
    Ok(())
}

/// Every reason of an event.
fn events() -> anyhow::Result<String> {
    let mut page = String::from(
        "# Events\n\n\
         <!-- Generated from operator/core/src/notice.rs by `make generate`; do not edit. -->\n\n\
         Events of a `TemporalWorker` (`kubectl describe tw NAME`, `kubectl get events`). The message of each says more; what lasts is told by\n\
         [conditions](conditions.md), whose reasons some events share.\n\n\
         | reason | meaning |\n|---|---|\n",
    );
    for reason in NoticeReason::ALL {
        writeln!(page, "| `{}` | {} |", reason.as_str(), reason.describe())?;
    }
    Ok(page)
}
