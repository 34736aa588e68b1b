//! A worker's pumps. A pump is driven by the connection of its client, and goes on in the background when that has left:
//! a client that leaves cancels nothing here. Every pump is counted, because a stop waits until the last has ended.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;

use super::conduit::Conduit;

/// One call's way to its provider and back.
pub type Pump = Pin<Box<dyn Future<Output = ()>>>;

/// How often it is looked whether a client has stopped reading.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// All pumps of a worker; clones are the same.
#[derive(Clone)]
pub struct Pumps {
    background: mpsc::UnboundedSender<Pump>,
    streams: Rc<RefCell<Vec<Weak<Conduit>>>>,
}

impl Pumps {
    /// To be called on the worker's own thread. A client that leaves a chunk unread for `patience` loses its stream.
    pub fn start(patience: Duration) -> Self {
        let (background, mut arriving) = mpsc::unbounded_channel::<Pump>();
        // A pump may be left behind where nothing can be spawned, so another task does it.
        actix_rt::spawn(async move {
            while let Some(pump) = arriving.recv().await {
                actix_rt::spawn(pump);
            }
        });
        let pumps = Self {
            background,
            streams: Rc::default(),
        };
        actix_rt::spawn(pumps.clone().watch_clients(patience));
        pumps
    }

    /// Lets a pump go on without its client. Where the worker is at its end the pump is dropped, which settles its call.
    pub fn go_on(&self, pump: Pump) {
        if self.background.send(pump).is_err() {
            tracing::warn!("a call was settled by estimate because its worker had ended");
        }
    }

    /// A future that its holder drives, and that goes on in the background when it is dropped.
    pub fn carry<F: Future + 'static>(&self, future: F) -> Carried<F> {
        Carried {
            future: Some(Box::pin(future)),
            pumps: self.clone(),
        }
    }

    pub(super) fn watch(&self, stream: &Rc<Conduit>) {
        self.streams.borrow_mut().push(Rc::downgrade(stream));
    }

    async fn watch_clients(self, patience: Duration) {
        let mut interval = tokio::time::interval(WATCH_INTERVAL);
        loop {
            interval.tick().await;
            self.streams.borrow_mut().retain(|stream| {
                let Some(stream) = stream.upgrade() else { return false };
                let rescued = stream.rescue(patience);
                rescued.map(|pump| self.go_on(pump)).is_none()
            });
        }
    }
}

/// See [`Pumps::carry`].
pub struct Carried<F: Future + 'static> {
    future: Option<Pin<Box<F>>>,
    pumps: Pumps,
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.future.as_mut().expect("it is not polled after its end");
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<F: Future> Drop for Carried<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.pumps.go_on(Box::pin(async move { drop(future.await) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;

    use super::*;

    #[actix_rt::test]
    async fn what_is_dropped_half_way_goes_on() {
        let pumps = Pumps::start(Duration::from_secs(30));
        let (ended, note) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (done, begun) = (ended.clone(), note.clone());
        let mut carried = pumps.carry(async move {
            begun.set(true);
            tokio::task::yield_now().await;
            done.set(true);
        });
        assert!((&mut carried).now_or_never().is_none());
        assert!(note.get() && !ended.get());
        drop(carried);
        while !ended.get() {
            tokio::task::yield_now().await;
        }
    }
}
