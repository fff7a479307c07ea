//! `down` leaves the machine as it was before `up`. It takes the local cluster down, so it runs before the other tests.

use std::path::Path;

use anyhow::Result;
use fleet_e2e::cluster::{self, Layout, residue::Snapshot};

#[tokio::test]
async fn down_leaves_the_machine_as_it_was() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let layout = Layout::of_user()?;
    cluster::down(&layout, false, |_, _| {})?;
    let before = Snapshot::take(&layout);
    cluster::up(&layout, Path::new(env!("CARGO_BIN_EXE_local-cluster")), |_, _| {}).await?;
    // Pods ran by now: the DNS server, the metrics server and Temporal, each with links, mounts, control groups and chains.
    let during = Snapshot::take(&layout).difference(&before);
    for part in ["processes", "mounts", "links", "iptables", "cgroups"] {
        assert!(
            during.iter().any(|line| line.starts_with(part)),
            "the snapshot does not see our {part}"
        );
    }
    cluster::down(&layout, false, |_, _| {})?;
    let left = Snapshot::take(&layout).difference(&before);
    assert!(left.is_empty(), "{}", left.join("\n"));
    Ok(())
}
