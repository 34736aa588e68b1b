//! What an idle stream costs in memory: some thousands are opened on a fresh, warmed process, each gets its first frame and then
//! nothing, and the growth of resident memory is divided by their number. They are closed afterwards and are not in the books.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::{JoinSet, LocalSet};

use super::arena::Arena;
use super::lane::Lane;
use super::process;
use super::scenario::{DIRECTIVE, PATH, wait_until_quiet};
use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::load::{self, End, Load, Pace};
use crate::request::{Delivery, Prompt, Target, Template};

const WARM_UP_COUNT: u64 = 3_000;
const WARM_UP_CONNECTIONS: usize = 64;
const OPENERS: usize = 32;
const OPENING_LIMIT: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(1);
/// The client's own buffers stay small: it holds as many connections as the server.
const BUFFER_BYTES: usize = 1024;

/// What idle streams cost one lane.
#[derive(Serialize)]
pub struct IdleStreams {
    pub lane: Lane,
    /// How many were really open.
    pub open_count: u64,
    pub resident_before_kib: u64,
    pub resident_after_kib: u64,
    pub bytes_each: u64,
}

/// Opens the streams on one lane, measures, and closes them.
pub async fn measure(arena: &Arena, lane: Lane, stream_count: usize) -> Result<IdleStreams, Failure> {
    warm_up(arena, lane).await?;
    wait_until_quiet(arena, lane).await;
    let pid = arena.server(lane).pid;
    let resident_before_kib = process::resident_kib(pid);
    let streams = open_streams(arena, lane, stream_count).await?;
    tokio::time::sleep(SETTLE).await;
    let resident_after_kib = process::resident_kib(pid);
    let open_count = streams.len() as u64;
    drop(streams);
    let grown_kib = resident_after_kib.saturating_sub(resident_before_kib);
    Ok(IdleStreams {
        lane,
        open_count,
        resident_before_kib,
        resident_after_kib,
        bytes_each: grown_kib * 1024 / open_count.max(1),
    })
}

async fn warm_up(arena: &Arena, lane: Lane) -> Result<(), Failure> {
    let load = Load {
        address: arena.server(lane).address,
        pace: Pace::Closed,
        end: End::Count(WARM_UP_COUNT),
        connection_count: WARM_UP_CONNECTIONS,
        template: template(arena, lane, DIRECTIVE),
        keys: Rc::clone(&arena.keys),
    };
    load::run(&load).await.map(drop)
}

async fn open_streams(arena: &Arena, lane: Lane, stream_count: usize) -> Result<Vec<Connection>, Failure> {
    let address = arena.server(lane).address;
    let template = template(arena, lane, "output_tokens=16 hang_after=1");
    let streams = Rc::new(RefCell::new(Vec::with_capacity(stream_count)));
    let local = LocalSet::new();
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        let (keys, template, streams) = (Rc::clone(&arena.keys), template.clone(), Rc::clone(&streams));
        let open_share = async move {
            for index in (opener..stream_count).step_by(OPENERS) {
                let request = template.with_key(&keys[index % keys.len()]);
                let mut connection = Connection::open(address, BUFFER_BYTES).await?;
                if connection.open_answer(request.as_slice()).await? == 200 {
                    streams.borrow_mut().push(connection);
                }
            }
            Ok::<(), std::io::Error>(())
        };
        openers.spawn_local_on(open_share, &local);
    }
    let started_at = Instant::now();
    let everything = local.run_until(async {
        while let Some(share) = openers.join_next().await {
            share.doing("opening idle streams")?.doing("opening an idle stream")?;
        }
        Ok::<(), Failure>(())
    });
    match tokio::time::timeout(OPENING_LIMIT, everything).await {
        Ok(result) => result?,
        Err(_) => eprintln!(
            "not all idle streams opened within {} s",
            started_at.elapsed().as_secs()
        ),
    }
    Ok(streams.take())
}

fn template(arena: &Arena, lane: Lane, directive: &str) -> Template {
    let prompt = Prompt {
        model: lane.model().to_owned(),
        prompt_bytes: 500,
        delivery: Delivery::Streamed,
        directive: directive.to_owned(),
    };
    let target = Target {
        address: arena.server(lane).address,
        method: "POST",
        path: PATH,
    };
    Template::new(target, &prompt.body())
}
