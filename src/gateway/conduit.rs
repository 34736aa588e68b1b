//! The way of a stream from its pump to its client. The client's connection drives the pump whenever it can take more,
//! so a chunk costs no task of its own and no hop; when the client has left, or takes nothing for too long, the pump
//! goes on in the background and learns of it. It carries one chunk at a time: a slow client slows the provider down.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::Instant;

use super::live_call::LiveCall;
use super::pumps::{Pump, Pumps};
use super::worker::Place;

/// The provider's stream broke: the client must not take what it got for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer ended before its end")]
pub struct Cut;

/// The client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has left")]
pub struct ClientLeft;

/// Both ends of one stream.
pub struct Conduit {
    state: RefCell<State>,
    call: Option<Rc<LiveCall>>,
}

#[derive(Default)]
struct State {
    /// With the client as long as it drives.
    pump: Option<Pump>,
    chunk: Option<Bytes>,
    /// Since when the client has had a chunk without asking for the next.
    busy_since: Option<Instant>,
    gone: bool,
    /// The call's place among those in flight, kept as long as the client takes its answer.
    place: Option<Place>,
    ending: Ending,
}

/// How the stream ends once its pump and its chunks are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    Whole,
    /// In an error, before which the connection is given one chance to write out what it has: it drops that on an error.
    Cut,
    CutNow,
}

/// What the client's connection reads from.
pub struct ClientSide {
    conduit: Rc<Conduit>,
    pumps: Pumps,
}

/// What the pump writes to.
pub struct PumpSide(Rc<Conduit>);

/// A stream without its pump, which [`ClientSide::drive`] brings.
pub fn open(pumps: &Pumps, call: Option<Rc<LiveCall>>) -> (ClientSide, PumpSide) {
    let conduit = Rc::new(Conduit {
        state: RefCell::default(),
        call,
    });
    pumps.watch(&conduit);
    let client = ClientSide {
        conduit: conduit.clone(),
        pumps: pumps.clone(),
    };
    (client, PumpSide(conduit))
}

impl ClientSide {
    /// Takes on the pump of this stream.
    pub fn drive(self, pump: Pump) -> Self {
        self.conduit.state.borrow_mut().pump = Some(pump);
        self
    }

    /// Keeps the call's place until the client has the whole answer, or is given up.
    pub fn keep(self, place: Place) -> Self {
        self.conduit.state.borrow_mut().place = Some(place);
        self
    }
}

impl Stream for ClientSide {
    type Item = Result<Bytes, Cut>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let conduit = &self.conduit;
        if let Some(chunk) = conduit.take_chunk() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(mut pump) = conduit.begin_drive() else {
            return conduit.poll_ending(context);
        };
        // The pump reaches into the conduit while it runs.
        let over = pump.as_mut().poll(context).is_ready();
        if !over {
            conduit.state.borrow_mut().pump = Some(pump);
        }
        match conduit.take_chunk() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None if over => conduit.poll_ending(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for ClientSide {
    fn drop(&mut self) {
        if let Some(pump) = self.conduit.leave() {
            self.pumps.go_on(pump);
        }
    }
}

impl Conduit {
    /// Takes the pump from a client that has taken nothing for so long, or whose call is to end meanwhile.
    pub(super) fn rescue(&self, patience: Duration) -> Option<Pump> {
        let busy_since = self.state.borrow().busy_since?;
        let is_to_end = self.call.as_ref().is_some_and(|call| call.is_to_end());
        if !is_to_end && busy_since.elapsed() < patience {
            return None;
        }
        self.state.borrow_mut().ending = Ending::Cut;
        self.leave()
    }

    fn leave(&self) -> Option<Pump> {
        let mut state = self.state.borrow_mut();
        state.gone = true;
        state.place = None;
        state.pump.take()
    }

    fn take_chunk(&self) -> Option<Bytes> {
        let mut state = self.state.borrow_mut();
        let chunk = state.chunk.take()?;
        state.busy_since = Some(Instant::now());
        Some(chunk)
    }

    fn begin_drive(&self) -> Option<Pump> {
        let mut state = self.state.borrow_mut();
        state.busy_since = None;
        state.pump.take()
    }

    fn poll_ending(&self, context: &Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut state = self.state.borrow_mut();
        match state.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Cut => {
                state.ending = Ending::CutNow;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::CutNow => {
                state.ending = Ending::Whole;
                Poll::Ready(Some(Err(Cut)))
            }
        }
    }
}

impl PumpSide {
    /// Ends when the chunk has its place; the client takes it before the pump is driven again.
    pub async fn send(&self, chunk: Bytes) -> Result<(), ClientLeft> {
        let mut chunk = Some(chunk);
        poll_fn(|_| {
            let mut state = self.0.state.borrow_mut();
            if state.gone {
                return Poll::Ready(Err(ClientLeft));
            }
            if state.chunk.is_some() {
                return Poll::Pending;
            }
            state.chunk = chunk.take();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Whether the client has left; the pump is driven at once when it has.
    pub fn is_gone(&self) -> bool {
        self.0.state.borrow().gone
    }

    /// The connection ends without a proper end.
    pub fn cut(&self) {
        self.0.state.borrow_mut().ending = Ending::Cut;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::StreamExt;

    use super::*;

    /// A stream of three chunks whose pump notes how it ended.
    fn three_chunks(pumps: &Pumps) -> (ClientSide, Rc<Cell<&'static str>>) {
        let ended = Rc::new(Cell::new("no"));
        let (client, pump) = open(pumps, None);
        let note = ended.clone();
        let run = async move {
            for chunk in [&b"one"[..], b"two", b"three"] {
                if pump.send(Bytes::from_static(chunk)).await.is_err() {
                    return note.set("client left");
                }
            }
            note.set("whole");
        };
        (client.drive(Box::pin(run)), ended)
    }

    #[actix_rt::test]
    async fn the_client_drives_the_pump_to_its_end() {
        let pumps = Pumps::start(Duration::from_secs(30));
        let (client, ended) = three_chunks(&pumps);
        let chunks: Vec<_> = client.collect().await;
        assert_eq!(chunks, ["one", "two", "three"].map(|chunk| Ok(Bytes::from(chunk))));
        assert_eq!(ended.get(), "whole");
    }

    #[actix_rt::test]
    async fn a_pump_whose_client_leaves_goes_on_and_knows() {
        let pumps = Pumps::start(Duration::from_secs(30));
        let (mut client, ended) = three_chunks(&pumps);
        assert!(client.next().await.is_some());
        drop(client);
        while ended.get() == "no" {
            tokio::task::yield_now().await;
        }
        assert_eq!(ended.get(), "client left");
    }

    #[actix_rt::test]
    async fn a_client_that_takes_nothing_loses_its_pump_and_is_cut() {
        let pumps = Pumps::start(Duration::from_secs(30));
        let (mut client, _) = three_chunks(&pumps);
        assert!(
            client.conduit.rescue(Duration::ZERO).is_none(),
            "it has had nothing yet"
        );
        assert!(client.next().await.is_some());
        assert!(client.conduit.rescue(Duration::from_secs(30)).is_none());
        assert!(client.conduit.rescue(Duration::ZERO).is_some());
        let rest: Vec<_> = client.by_ref().collect().await;
        assert_eq!(rest.last(), Some(&Err(Cut)));
    }

    #[actix_rt::test]
    async fn a_stream_that_broke_ends_in_an_error_after_its_chunks() {
        let pumps = Pumps::start(Duration::from_secs(30));
        let (client, pump) = open(&pumps, None);
        let run = async move {
            assert!(pump.send(Bytes::from_static(b"one")).await.is_ok());
            pump.cut();
        };
        let chunks: Vec<_> = client.drive(Box::pin(run)).collect().await;
        assert_eq!(chunks, [Ok(Bytes::from_static(b"one")), Err(Cut)]);
    }
}
