//! `caldera doctor`: how the running server fares, as it says itself, and what to do about what is not well. It asks over
//! the operator's listener and changes nothing.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::app::config::Config;

use super::client::Client;
use super::failure::Failure;
use super::finding::{Finding, report};
use super::output::{Output, instant, items, text};

/// How far clocks may be apart; a call's cycle and a token's end go by them.
const SKEW_LIMIT_MS: i64 = 2_000;
const MEGABYTE: u64 = 1 << 20;
/// Files that should be left.
const SPARE_FILES: u64 = 200;

pub async fn run(client: &Client, config: &Config, output: Output) -> Result<ExitCode, Failure> {
    let status = match client.operate("/operator/status", None).await {
        Ok(status) => status,
        Err(Failure::Usage(why)) => return Err(Failure::Usage(why)),
        Err(failure) => return report(&[away(client, &failure).await], output),
    };
    let mut findings = vec![
        server(&status),
        clock(&status["clock"], "clock"),
        lease(&status["database"]),
        clock(&status["database"]["clock"], "database's clock"),
        journal(&status["journal"], config),
        open_files(&status["open_files"]),
        webhooks(&status["webhooks"]),
    ];
    findings.push(prices(&client.operate("/prices", None).await?));
    findings.push(circuits(&client.operate("/providers", None).await?));
    findings.push(proof(client.operate("/operator/proof", None).await));
    report(&findings, output)
}

/// The operator's listener opens last: a server that starts still says so where callers call.
async fn away(client: &Client, failure: &Failure) -> Finding {
    match client.look("/health").await {
        Ok(health) => Finding::fail("server", format!("it is {}", text(&health["phase"])))
            .advise("its log says what it waits for: often the database, or another process that serves it"),
        Err(_) => Finding::fail("server", failure.message()),
    }
}

fn server(status: &Value) -> Finding {
    let (version, own) = (text(&status["version"]), env!("CARGO_PKG_VERSION"));
    let process = text(&status["process_id"]);
    let phase = text(&status["phase"]);
    let calls = text(&status["calls_in_flight"]);
    let says = format!("{phase}, version {version}, process {process}, {calls} calls in flight");
    let finding = if phase != "ready" {
        Finding::warn("server", says)
    } else if version != own {
        Finding::warn("server", says).advise(format!("this program is version {own}: restart the server to run it"))
    } else {
        Finding::ok("server", says)
    };
    finding.with(status.clone())
}

/// A clock against our own.
fn clock(value: &Value, what: &'static str) -> Finding {
    let Some(theirs) = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok()) else {
        return Finding::warn(what, "unknown");
    };
    let apart = (Utc::now() - theirs.to_utc()).num_milliseconds().abs();
    let says = format!("{apart} ms apart from this machine's");
    if apart > SKEW_LIMIT_MS {
        Finding::warn(what, says).advise("let all machines keep time by NTP: days, cycles and expiries go by it")
    } else {
        Finding::ok(what, says)
    }
}

fn lease(database: &Value) -> Finding {
    if database["reachable"] != true {
        return Finding::fail("database", text(&database["error"]))
            .advise("calls are served and journaled meanwhile, management answers 503; bring the database back");
    }
    let lease = &database["lease"];
    let says = format!(
        "{}, epoch {}, since {}",
        text(&lease["holder"]),
        text(&lease["epoch"]),
        instant(&lease["acquired_at"])
    );
    if lease["is_own"] == true {
        Finding::ok("lease", says)
    } else {
        Finding::fail("lease", says).advise("another process serves this database: stop one of the two")
    }
}

fn journal(journal: &Value, config: &Config) -> Finding {
    let (size, records) = (
        journal["size_bytes"].as_u64().unwrap_or(0),
        text(&journal["backlog_records"]),
    );
    let most = config.journal.max_size_mb.saturating_mul(MEGABYTE).max(1);
    let percent = size.saturating_mul(100) / most;
    let last = instant(&journal["last_batch_at"]);
    let says = format!(
        "{records} records to write, {} MB ({percent} % of its size), last batch {last}",
        size / MEGABYTE
    );
    if percent >= config.journal.shed_at_percent {
        Finding::fail("journal", says)
            .advise("calls are refused until Postgres has caught up: see why it is slow or away")
    } else if percent >= config.journal.shed_at_percent / 2 {
        Finding::warn("journal", says).advise("Postgres is slow or away; calls are refused when the journal is full")
    } else {
        Finding::ok("journal", says)
    }
}

fn open_files(files: &Value) -> Finding {
    let says = format!("{} of {}", text(&files["count"]), text(&files["limit"]));
    match (files["count"].as_u64(), files["limit"].as_u64()) {
        (Some(count), Some(limit)) if count.saturating_add(SPARE_FILES) > limit => {
            Finding::warn("open files", says).advise("raise it by `ulimit -n`, or LimitNOFILE of the service")
        }
        _ => Finding::ok("open files", says),
    }
}

fn webhooks(webhooks: &Value) -> Finding {
    let dead = webhooks["dead"].as_u64().unwrap_or(0);
    let says = format!(
        "{} deliveries on their way, {dead} given up",
        text(&webhooks["pending"])
    );
    if dead > 0 {
        Finding::warn("webhooks", says).advise("see /v1/webhooks/{id}/deliveries, mend the endpoint and replay them")
    } else {
        Finding::ok("webhooks", says)
    }
}

fn prices(prices: &Value) -> Finding {
    let says = format!(
        "{} models, version {}",
        text(&prices["models"]),
        text(&prices["price_version"])
    );
    Finding::ok("price book", says).with(prices.clone())
}

fn circuits(providers: &Value) -> Finding {
    let all = items(providers);
    let is_open = |row: &&Value| matches!(row["state"].as_str(), Some("open" | "half_open"));
    let told = |row: &Value| {
        let name = text(&row["name"]);
        format!(
            "{name} ({}, tried again {})",
            text(&row["last_error"]),
            instant(&row["retry_at"])
        )
    };
    let open: Vec<String> = all.iter().filter(is_open).map(told).collect();
    let count = |name: &str| -> u64 { all.iter().filter_map(|row| row["credentials"][name].as_u64()).sum() };
    if open.is_empty() {
        let says = format!(
            "all of {} take calls, {} of {} credentials rest",
            all.len(),
            count("cooling"),
            count("count")
        );
        return Finding::ok("providers", says);
    }
    Finding::warn("providers", format!("left alone: {}", open.join(", ")))
        .advise("see the provider's own status; x-lava-fallbacks goes on elsewhere meanwhile")
}

fn proof(proved: Result<Value, Failure>) -> Finding {
    let proved = match proved {
        Ok(proved) => proved,
        Err(failure) => return Finding::warn("proof", format!("the books could not be read: {}", failure.message())),
    };
    let all = proved["invariants"].as_array().map_or(&[][..], Vec::as_slice);
    let broken: Vec<String> = all
        .iter()
        .filter(|side| side["difference"] != "0")
        .map(|side| format!("{} by {}", text(&side["name"]), text(&side["difference"])))
        .collect();
    if broken.is_empty() {
        return Finding::ok("proof", format!("all {} invariants of the books hold", all.len()));
    }
    Finding::fail("proof", format!("the books differ: {}", broken.join(", ")))
        .advise("keep the journal and the database as they are, make a backup, and report it")
        .with(proved.clone())
}
