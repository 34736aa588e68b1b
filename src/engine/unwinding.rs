//! A panic while money is being decided ends the process: the state that it left behind cannot be trusted, and replaying
//! the journal can.

/// Held by a handler while it changes what its actor owns.
pub struct EndsOnPanic;

impl Drop for EndsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("an actor that owns money panicked; ending the process, the next start replays");
            std::process::abort();
        }
    }
}
