//! How many streams may be read on after their clients have left. A slot is claimed at the moment of leaving and freed
//! when it is dropped; without one the stream is cut and billed by estimate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All slots of the process.
#[derive(Clone, Debug)]
pub struct DrainSlots(Arc<AtomicUsize>);

/// One claimed slot.
#[derive(Debug)]
pub struct DrainSlot(Arc<AtomicUsize>);

impl DrainSlots {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    pub fn claim(&self) -> Option<DrainSlot> {
        let claimed = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        claimed.ok().map(|_| DrainSlot(self.0.clone()))
    }
}

impl Drop for DrainSlot {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_out_as_many_slots_as_there_are_and_takes_them_back() {
        let slots = DrainSlots::new(1);
        let first = slots.claim();
        assert!(first.is_some() && slots.claim().is_none());
        drop(first);
        assert!(slots.claim().is_some());
    }
}
