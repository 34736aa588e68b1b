//! Calls that wait for room which other calls hold: first come, first served, bounded in number and in time. Whoever
//! owns the room asks for the head of the queue whenever some of it came free.

use std::collections::VecDeque;
use std::time::Instant;

/// One queue; `T` is a call with the way to answer it.
#[derive(Debug)]
pub struct WaitingLine<T> {
    line: VecDeque<(Instant, T)>,
}

impl<T> Default for WaitingLine<T> {
    fn default() -> Self {
        Self { line: VecDeque::new() }
    }
}

impl<T> WaitingLine<T> {
    /// Puts a call at the end, to be given up at `deadline`; gives it back where `slots` calls wait already.
    pub fn join(&mut self, waiter: T, deadline: Instant, slots: usize) -> Result<(), T> {
        if self.line.len() >= slots {
            return Err(waiter);
        }
        self.line.push_back((deadline, waiter));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Offers each call in turn; the first that is given back keeps its place and ends the round.
    pub fn offer(&mut self, mut take: impl FnMut(T) -> Result<(), T>) {
        while let Some((deadline, waiter)) = self.line.pop_front() {
            if let Err(waiter) = take(waiter) {
                self.line.push_front((deadline, waiter));
                return;
            }
        }
    }

    /// Takes out those whose time is up; deadlines are in order because every call waits equally long.
    pub fn expire(&mut self, now: Instant) -> Vec<T> {
        let due = self.line.iter().take_while(|(deadline, _)| *deadline <= now).count();
        self.line.drain(..due).map(|(_, waiter)| waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn serves_in_order_keeps_the_head_that_does_not_fit_and_bounds_its_length() {
        let now = Instant::now();
        let mut line = WaitingLine::default();
        for name in 1..=3 {
            assert_eq!(line.join(name, now + Duration::from_secs(name), 3), Ok(()));
        }
        assert_eq!(line.join(4, now, 3), Err(4));
        let mut served = Vec::new();
        line.offer(|name| {
            if name == 2 {
                Err(name)
            } else {
                served.push(name);
                Ok(())
            }
        });
        assert_eq!(served, [1]);
        assert_eq!(line.expire(now + Duration::from_secs(2)), [2]);
        assert!(!line.is_empty());
        assert_eq!(line.expire(now + Duration::from_secs(9)), [3]);
    }
}
