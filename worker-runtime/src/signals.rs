//! SIGTERM and SIGINT begin the ending. A second SIGINT, from someone at a terminal, ends the process at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::deadline::FORCED;

/// Listens from now on; the future waits for signals for ever.
pub(crate) fn forward(stop: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut interrupts = 0;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => {
                    interrupts += 1;
                    "SIGINT"
                }
            };
            tracing::info!(signal = name, "signal received");
            if interrupts > 1 {
                std::process::exit(i32::from(FORCED));
            }
            stop.cancel();
        }
    })
}
