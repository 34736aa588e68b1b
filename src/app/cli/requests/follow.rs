//! `caldera requests --follow`: new requests as they come, until it is interrupted. A call has its row when it has ended,
//! and rows stand in the order in which calls began: so each call that was seen to run is looked for by its id once it
//! runs no more, however many others began meanwhile. A server that is away for a moment is waited for.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::{RequestFilter, show_line};
use crate::app::cli::client::{Client, query};
use crate::app::cli::failure::{Failure, Outcome};
use crate::app::cli::output::{Output, items, text};

const INTERVAL: Duration = Duration::from_millis(500);
const PAGE: u32 = 100;
/// How many pages are read at most for one look.
const PAGES: usize = 10;
/// How many calls that have ended are asked for in one look, and how often each: its row may be on its way.
const ASKED: usize = 20;
const LOOKS: u32 = 120;
/// How many ids of shown requests are kept.
const REMEMBERED: usize = 20_000;

pub async fn run((filter, shown): (&RequestFilter, u32), client: &Client, output: Output) -> Outcome {
    let mut follower = Follower {
        filter,
        client,
        seen: Seen::default(),
        awaited: BTreeMap::new(),
        found: Vec::new(),
    };
    for row in follower.begin(shown).await? {
        output.line(&row, show_line)?;
    }
    let mut is_away = false;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(Failure::failed),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        match follower.look().await {
            Ok(rows) => {
                is_away = false;
                for row in rows {
                    output.line(&row, show_line)?;
                }
            }
            Err(failure) if failure.is_passing() => {
                if !is_away {
                    eprintln!("caldera: {}; trying again", failure.message());
                }
                is_away = true;
            }
            Err(failure) => return Err(failure),
        }
    }
}

struct Follower<'a> {
    filter: &'a RequestFilter,
    client: &'a Client,
    seen: Seen,
    /// Calls that were seen to run, and how often their rows were looked for since they ended.
    awaited: BTreeMap<String, u32>,
    /// Seen, and not yet handed out.
    found: Vec<Value>,
}

impl Follower<'_> {
    /// The latest of the rows that are there, the oldest first; all of them count as seen.
    async fn begin(&mut self, shown: u32) -> Result<Vec<Value>, Failure> {
        self.awaited.extend(self.running().await?.into_iter().map(|id| (id, 0)));
        let first = self.client.get(&self.filter.page(PAGE, None)?).await?;
        let rows = items(&first);
        for row in rows {
            self.seen.add(row);
        }
        let shown = usize::try_from(shown).unwrap_or(usize::MAX);
        Ok(rows.iter().take(shown).rev().cloned().collect())
    }

    /// The rows that were not seen yet, the oldest first. Where it fails in the middle, what it found comes next time.
    async fn look(&mut self) -> Result<Vec<Value>, Failure> {
        // Before the rows: a call that ends in between is in one of the two.
        let running = self.running().await?;
        self.find_ended(&running).await?;
        self.find_news().await?;
        self.awaited.extend(running.into_iter().map(|id| (id, 0)));
        Ok(std::mem::take(&mut self.found))
    }

    /// The ids of the calls in flight.
    async fn running(&self) -> Result<HashSet<String>, Failure> {
        let (mut ids, mut cursor) = (HashSet::new(), None);
        for _ in 0..PAGES {
            let asked = query([
                ("limit", Some(PAGE.to_string())),
                ("spend_key_id", self.filter.key.clone()),
                ("cursor", cursor),
            ]);
            let page = self.client.get(&format!("/calls{asked}")).await?;
            ids.extend(items(&page).iter().map(|call| text(&call["request_id"])));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(ids)
    }

    /// The rows of calls that were running and do so no more.
    async fn find_ended(&mut self, running: &HashSet<String>) -> Outcome {
        let seen = &mut self.seen;
        self.awaited
            .retain(|id, looks| *looks < LOOKS && !seen.ids.contains(id));
        let ended = self.awaited.iter_mut().filter(|(id, _)| !running.contains(*id));
        for (id, looks) in ended.take(ASKED) {
            *looks += 1;
            let page = self.client.get(&self.filter.one(id)?).await?;
            self.found
                .extend(items(&page).iter().filter(|row| seen.add(row)).cloned());
        }
        Ok(())
    }

    /// The rows of calls that began after all that were seen.
    async fn find_news(&mut self) -> Outcome {
        let (mut rows, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = self.client.get(&self.filter.page(PAGE, cursor.as_deref())?).await?;
            let before = rows.len();
            rows.extend(items(&page).iter().filter(|row| !self.seen.has(row)).cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || rows.len() - before < items(&page).len() {
                break;
            }
        }
        rows.reverse();
        self.found.extend(rows.into_iter().filter(|row| self.seen.add(row)));
        Ok(())
    }
}

/// The ids of requests that were shown.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    fn has(&self, row: &Value) -> bool {
        self.ids.contains(&text(&row["request_id"]))
    }

    /// False where it was there already.
    fn add(&mut self, row: &Value) -> bool {
        let id = text(&row["request_id"]);
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
