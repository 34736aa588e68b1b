//! SIGTERM and SIGINT, from the first moment on: one that comes while the server starts is obeyed too, also by a process
//! that is the first of its container, for which the system does nothing by itself.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals; one that came before somebody asked is not lost.
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// From here on neither signal ends the process by itself.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Ends at the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    }
}
