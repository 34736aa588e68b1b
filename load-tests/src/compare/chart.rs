//! The report as an SVG chart: five small panels of horizontal bars, one colour a lane. Whole numbers of pixels only.

use super::lane::{Figures, Lane};
use super::report::{Report, thousandths};
use super::scenario::Scenario;

const WIDTH: u64 = 1080;
const MARGIN: u64 = 28;
const LABEL_WIDTH: u64 = 190;
const VALUE_WIDTH: u64 = 130;
const BAR_HEIGHT: u64 = 15;
const BAR_STEP: u64 = 19;
const GROUP_GAP: u64 = 12;
const TITLE_HEIGHT: u64 = 34;
const HEADING_HEIGHT: u64 = 92;

/// A bar's meaning, hence its colour.
#[derive(Clone, Copy)]
enum Paint {
    Lane(Lane),
    Postgres,
}

struct Bar {
    paint: Paint,
    value: u64,
    text: String,
}

struct Group {
    label: String,
    bars: Vec<Bar>,
}

struct Panel {
    title: String,
    groups: Vec<Group>,
}

/// Draws the report.
pub fn draw(report: &Report) -> String {
    let panels = [
        throughput(report),
        processor(report),
        added_latency(report),
        memory(report),
        idle_streams(report),
    ];
    let mut top = HEADING_HEIGHT;
    let mut inner = heading(report);
    for panel in panels.iter().filter(|panel| !panel.groups.is_empty()) {
        inner += &draw_panel(panel, &mut top);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{top}\" fill=\"#fff\"/>\n{inner}</svg>\n"
    )
}

fn throughput(report: &Report) -> Panel {
    let closed = [
        Scenario::ManyKeys,
        Scenario::OneHotKey,
        Scenario::Streams,
        Scenario::LongPrompts,
    ];
    let bar = |lane, figures: &Figures| Bar {
        paint: Paint::Lane(lane),
        value: figures.requests_per_second,
        text: figures.requests_per_second.to_string(),
    };
    Panel {
        title: format!(
            "Requests a second, {} connections (more is better)",
            report.connection_count
        ),
        groups: closed
            .into_iter()
            .filter_map(|scenario| group(report, scenario, bar))
            .collect(),
    }
}

fn processor(report: &Report) -> Panel {
    let mut groups: Vec<Group> = Vec::new();
    for scenario in Scenario::GROUPS.concat() {
        let mut bars = Vec::new();
        for lane in [Lane::PassThrough, Lane::Caldera] {
            if let Some(figures) = report.median(scenario, lane) {
                bars.push(micros_bar(Paint::Lane(lane), figures.cpu_nanos));
            }
        }
        if let Some(figures) = report.median(scenario, Lane::Caldera) {
            bars.push(micros_bar(Paint::Postgres, figures.postgres_cpu_nanos));
        }
        groups.push(Group {
            label: scenario.title().to_owned(),
            bars,
        });
    }
    Panel {
        title: "Processor time a request, microseconds (less is better)".to_owned(),
        groups,
    }
}

fn micros_bar(paint: Paint, nanos: u64) -> Bar {
    Bar {
        paint,
        value: nanos,
        text: format!("{}.{} us", nanos / 1000, nanos % 1000 / 100),
    }
}

fn added_latency(report: &Report) -> Panel {
    let Some(direct) = report.median(Scenario::ConstantRate, Lane::Direct) else {
        return Panel {
            title: String::new(),
            groups: Vec::new(),
        };
    };
    let groups = ["p50", "p99", "p99.9"].into_iter().enumerate().map(|(index, label)| {
        let lanes = [Lane::PassThrough, Lane::Caldera].into_iter();
        let measured = lanes.filter_map(|lane| Some((lane, report.median(Scenario::ConstantRate, lane)?)));
        let bars = measured.map(|(lane, figures)| {
            let added = figures.latency.nanos()[index].saturating_sub(direct.latency.nanos()[index]);
            Bar {
                paint: Paint::Lane(lane),
                value: added,
                text: format!("{} ms", thousandths(added / 1000)),
            }
        });
        Group {
            label: label.to_owned(),
            bars: bars.collect(),
        }
    });
    Panel {
        title: format!(
            "Latency added over direct, {} requests a second (less is better)",
            report.rate_per_second
        ),
        groups: groups.collect(),
    }
}

fn memory(report: &Report) -> Panel {
    let bar = |lane, figures: &Figures| Bar {
        paint: Paint::Lane(lane),
        value: figures.resident_kib,
        text: format!("{} MB", figures.resident_kib * 1024 / 1_000_000),
    };
    let loaded = [Scenario::ManyKeys, Scenario::LongPrompts];
    Panel {
        title: format!("Resident memory after the load, {} keys", report.key_count),
        groups: loaded
            .into_iter()
            .filter_map(|scenario| group(report, scenario, bar))
            .collect(),
    }
}

fn idle_streams(report: &Report) -> Panel {
    let bars = report.idle_streams.iter().map(|idle| Bar {
        paint: Paint::Lane(idle.lane),
        value: idle.bytes_each,
        text: format!("{}.{} kB", idle.bytes_each / 1000, idle.bytes_each % 1000 / 100),
    });
    let open_count = report
        .idle_streams
        .iter()
        .map(|idle| idle.open_count)
        .min()
        .unwrap_or(0);
    Panel {
        title: "Memory of an idle stream".to_owned(),
        groups: vec![Group {
            label: format!("{open_count} open"),
            bars: bars.collect(),
        }],
    }
}

fn group(report: &Report, scenario: Scenario, bar: impl Fn(Lane, &Figures) -> Bar) -> Option<Group> {
    let result = report.scenarios.iter().find(|result| result.scenario == scenario)?;
    Some(Group {
        label: scenario.title().to_owned(),
        bars: result.rows.iter().map(|row| bar(row.lane, &row.median)).collect(),
    })
}

fn heading(report: &Report) -> String {
    let subtitle = format!(
        "{}, {} cores; medians of {} rounds; {}",
        report.machine.processor, report.machine.core_count, report.rounds, report.started_at
    );
    let mut text = format!(
        "<text x=\"{MARGIN}\" y=\"34\" font-size=\"20\" font-weight=\"bold\">Caldera beside a bare pass-through</text>\n\
         <text x=\"{MARGIN}\" y=\"55\" fill=\"#666\">{}</text>\n",
        escaped(&subtitle)
    );
    let mut left = MARGIN;
    for paint in [
        Paint::Lane(Lane::Direct),
        Paint::Lane(Lane::PassThrough),
        Paint::Lane(Lane::Caldera),
        Paint::Postgres,
    ] {
        let (colour, name) = (paint.colour(), paint.name());
        text += &format!(
            "<rect x=\"{left}\" y=\"68\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"79\">{name}</text>\n",
            left + 18
        );
        left += 30 + 9 * name.len() as u64;
    }
    text
}

fn draw_panel(panel: &Panel, top: &mut u64) -> String {
    let most = panel
        .groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.value)
        .max()
        .unwrap_or(0)
        .max(1);
    let mut text = format!(
        "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
        *top + 22,
        escaped(&panel.title)
    );
    *top += TITLE_HEIGHT;
    for group in &panel.groups {
        text += &draw_group(group, most, *top);
        *top += group.bars.len() as u64 * BAR_STEP + GROUP_GAP;
    }
    *top += GROUP_GAP;
    text
}

fn draw_group(group: &Group, most: u64, top: u64) -> String {
    let left = MARGIN + LABEL_WIDTH;
    let full_width = WIDTH - left - VALUE_WIDTH - MARGIN;
    let mut text = format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
        left - 10,
        top + 12,
        escaped(&group.label)
    );
    for (index, bar) in group.bars.iter().enumerate() {
        let y = top + index as u64 * BAR_STEP;
        let width = (bar.value * full_width / most).max(1);
        text += &format!(
            "<rect x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>\n",
            bar.paint.colour(),
            left + width + 6,
            y + 12,
            escaped(&bar.text)
        );
    }
    text
}

impl Paint {
    fn colour(self) -> &'static str {
        match self {
            Self::Lane(Lane::Direct) => "#a8adb4",
            Self::Lane(Lane::PassThrough) => "#4c78a8",
            Self::Lane(Lane::Caldera) => "#e4572e",
            Self::Postgres => "#f2b59f",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lane(lane) => lane.name(),
            Self::Postgres => "caldera's Postgres",
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b & c>d"), "a&lt;b &amp; c&gt;d");
    }

    #[test]
    fn the_longest_bar_leaves_room_for_its_value() {
        let bar = |value| Bar {
            paint: Paint::Postgres,
            value,
            text: "x".into(),
        };
        let group = Group {
            label: "label".into(),
            bars: vec![bar(0), bar(u64::from(u32::MAX))],
        };
        let drawn = draw_group(&group, u64::from(u32::MAX), 0);
        let full_width = WIDTH - MARGIN - LABEL_WIDTH - VALUE_WIDTH - MARGIN;
        assert!(drawn.contains(&format!("width=\"{full_width}\"")));
        assert!(drawn.contains("width=\"1\""));
    }
}
