//! `dev-server`: a Temporal server on this machine alone, at localhost:7233, until it is told to end. Forgets everything then.

use fleet_e2e::{
    cluster::Layout,
    dev_server::{DevServer, Ports},
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let program = Layout::of_user()?.program("temporal-server")?;
    let dir = tempfile::tempdir()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut server = DevServer::start(&program, dir.path(), Ports::USUAL).await?;
    println!(
        "Temporal serves at {}, Temporal namespace default; its log: {}",
        server.address(),
        server.log().display()
    );
    tokio::select! {
        error = server.ended() => return Err(error.into()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}
