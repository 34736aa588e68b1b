//! The report as plain text.

use super::books::Books;
use super::lane::{Figures, Lane};
use super::report::{Report, percent, thousandths, times};
use super::scenario::{Scenario, ScenarioResult};

/// The whole report as it is printed.
pub fn write(report: &Report) -> String {
    let mut text = heading(report);
    for result in &report.scenarios {
        text += &write_scenario(report, result);
    }
    text += &write_idle_streams(report);
    text += &write_targets(report);
    if let Some(books) = &report.books {
        text += &write_books(books);
    }
    text
}

fn heading(report: &Report) -> String {
    format!(
        "{} on {} ({} cores); {} keys, {} connections, {} rounds of {} ms, medians\n\
         CPU: user and system time of the lane's own process for each request (direct: the simulated provider's)\n\
         Latency in ms; + is what is added over direct; ratio is the processor time over the pass-through's\n",
        report.started_at,
        report.machine.processor,
        report.machine.core_count,
        report.key_count,
        report.connection_count,
        report.rounds,
        report.round_ms,
    )
}

fn write_scenario(report: &Report, result: &ScenarioResult) -> String {
    let pace = match result.scenario {
        Scenario::ConstantRate => format!(", {} requests a second", report.rate_per_second),
        Scenario::ManyKeys | Scenario::OneHotKey | Scenario::Streams | Scenario::LongPrompts => String::new(),
    };
    let mut text = format!("\n{}{pace}\n", result.title);
    text += &format!(
        "  {:<13}{:>8}{:>9}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}\n",
        "", "req/s", "CPU us", "ratio", "Postgres", "p50", "p99", "p99.9", "+p50", "+p99", "+p99.9", "RSS MB", "errors"
    );
    for row in &result.rows {
        text += &write_row(result, row.lane, &row.median);
    }
    if result.scenario == Scenario::Streams {
        text += &write_first_bytes(result);
    }
    text
}

fn write_row(result: &ScenarioResult, lane: Lane, figures: &Figures) -> String {
    let ratio = match (lane, result.median(Lane::PassThrough)) {
        (Lane::PassThrough | Lane::Caldera, Some(yardstick)) => times(percent(figures.cpu_nanos, yardstick.cpu_nanos)),
        (Lane::Direct, _) | (_, None) => "-".to_owned(),
    };
    let postgres = match lane {
        Lane::Direct | Lane::PassThrough => "-".to_owned(),
        Lane::Caldera => tenths_of_micros(figures.postgres_cpu_nanos),
    };
    let own = figures.latency.nanos();
    let direct = result
        .median(Lane::Direct)
        .map_or([0; 3], |direct| direct.latency.nanos());
    let [p50, p99, p999] = own.map(millis);
    let [added_50, added_99, added_999] = added(lane, own, direct);
    format!(
        "  {:<13}{:>8}{:>9}{ratio:>8}{postgres:>10}{p50:>9}{p99:>9}{p999:>9}{added_50:>9}{added_99:>9}{added_999:>9}{:>9}{:>8}\n",
        lane.name(),
        figures.requests_per_second,
        tenths_of_micros(figures.cpu_nanos),
        tenths_of_megabytes(figures.resident_kib),
        figures.error_count,
    )
}

fn added(lane: Lane, own: [u64; 3], direct: [u64; 3]) -> [String; 3] {
    match lane {
        Lane::Direct => ["-"; 3].map(str::to_owned),
        Lane::PassThrough | Lane::Caldera => [0, 1, 2].map(|index| {
            let sign = if own[index] < direct[index] { "-" } else { "" };
            format!("{sign}{}", millis(own[index].abs_diff(direct[index])))
        }),
    }
}

fn write_first_bytes(result: &ScenarioResult) -> String {
    let mut text = "  first byte of the body, ms:".to_owned();
    for row in &result.rows {
        let first = row.median.first_byte;
        text += &format!(
            "  {} p50 {} p99 {}",
            row.lane.name(),
            millis(first.p50_nanos),
            millis(first.p99_nanos)
        );
    }
    text + "\n"
}

fn write_idle_streams(report: &Report) -> String {
    let mut text = "\nidle streams, fresh processes\n".to_owned();
    for idle in &report.idle_streams {
        text += &format!(
            "  {:<13}{} open, RSS {} -> {} MB, {} kB each\n",
            idle.lane.name(),
            idle.open_count,
            tenths_of_megabytes(idle.resident_before_kib),
            tenths_of_megabytes(idle.resident_after_kib),
            thousandths(idle.bytes_each),
        );
    }
    text
}

fn write_targets(report: &Report) -> String {
    if report.targets.is_empty() {
        return String::new();
    }
    let mut text = "\ntargets\n".to_owned();
    for target in &report.targets {
        let verdict = if target.met { "met" } else { "MISSED" };
        text += &format!(
            "  {:<48}{:>12}  {:<16}{verdict}\n",
            target.name, target.measured, target.wanted
        );
    }
    text
}

fn write_books(books: &Books) -> String {
    let mut text = "\nbooks, before the idle streams\n".to_owned();
    for (name, value) in [
        ("rows in Postgres - requests sent", books.rows_minus_sent),
        (
            "charges - the provider's own count, nanodollars",
            books.charged_minus_served_nanos,
        ),
        ("past any key's limit, nanodollars", books.past_limits_nanos),
        ("holds left open, nanodollars", books.held_nanos),
    ] {
        text += &format!("  {name:<48}{value:>12}\n");
    }
    let differ = books.keys_total_nanos - books.charged_nanos;
    if differ != 0 {
        text += &format!("  {:<48}{differ:>12}\n", "keys' own totals - charges, nanodollars");
    }
    text + &format!(
        "  ({} requests, {} nanodollars)\n",
        books.sent_count, books.charged_nanos
    )
}

fn millis(nanos: u64) -> String {
    thousandths(nanos / 1000)
}

fn tenths_of_micros(nanos: u64) -> String {
    format!("{}.{}", nanos / 1000, nanos % 1000 / 100)
}

fn tenths_of_megabytes(kib: u64) -> String {
    let bytes = kib * 1024;
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
