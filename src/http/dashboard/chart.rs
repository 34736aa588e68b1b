//! Charts as SVG, drawn here: bars over time. They carry classes instead of colours, so that the style sheet has them in
//! light and in dark; a page shows each twice, wide and narrow, of which the style sheet shows one, and the figures as a
//! table beside. Nothing that a caller named stands in a chart.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::coord::ranged1d::{IntoSegmentedCoord as _, SegmentValue};
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::Rectangle;
use plotters::style::{Color as _, IntoFont as _, RGBColor, TextStyle};

use crate::http::error::ApiError;

/// Bars of one height each, of which the lower part may be marked.
pub struct Bars<'a> {
    /// What a reader who sees no picture is told.
    pub summary: &'a str,
    pub heights: &'a [u64],
    /// The parts that are marked as bad; as many as heights, or none.
    pub marked: &'a [u64],
    /// What stands below each.
    pub labels: &'a [String],
    /// How a height is written at the axis.
    pub scale: fn(u64) -> String,
}

/// A size in pixels, and the class of the one that has it.
struct Format {
    width: u32,
    height: u32,
    class: &'static str,
    label_count: usize,
}

const WIDE: Format = Format {
    width: 1040,
    height: 220,
    class: "chart broad",
    label_count: 12,
};
const NARROW: Format = Format {
    width: 340,
    height: 190,
    class: "chart slim",
    label_count: 4,
};

/// Higher bars are cut, so that no arithmetic of the library passes its bounds.
const HIGHEST: u64 = 1 << 60;

/// Colours that stand for classes, until they are written.
const BAR: RGBColor = RGBColor(1, 1, 1);
const MARK: RGBColor = RGBColor(1, 1, 2);
const GRID: RGBColor = RGBColor(1, 1, 3);
const TEXT: RGBColor = RGBColor(1, 1, 4);
const CLASSES: [(&str, &str); 4] = [
    ("#010101", "bar"),
    ("#010102", "bar marked"),
    ("#010103", "grid"),
    ("#010104", "label"),
];

/// The chart in both sizes.
pub fn draw(bars: &Bars<'_>) -> Result<String, ApiError> {
    let mut both = String::new();
    for format in [WIDE, NARROW] {
        let drawn = draw_one(bars, &format).map_err(|error| ApiError::internal("drawing a chart", &error))?;
        both.push_str(&in_classes(&drawn, bars, &format));
    }
    Ok(both)
}

fn draw_one(bars: &Bars<'_>, format: &Format) -> Result<String, String> {
    let mut text = String::new();
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    {
        let area = SVGBackend::with_string(&mut text, (format.width, format.height)).into_drawing_area();
        let count = u32::try_from(bars.heights.len()).unwrap_or(u32::MAX).max(2);
        let top = bars.heights.iter().copied().max().unwrap_or(0).clamp(4, HIGHEST);
        let top = top.saturating_add(top / 16);
        let font = ("sans-serif", 13).into_font().color(&TEXT);
        let mut chart = ChartBuilder::on(&area)
            .margin_top(8)
            .set_label_area_size(LabelAreaPosition::Left, 64)
            .set_label_area_size(LabelAreaPosition::Bottom, 28)
            .build_cartesian_2d((0..count - 1).into_segmented(), 0..top)
            .map_err(|error| failed(&error))?;
        let label = |place: &SegmentValue<u32>| match place {
            SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
                bars.labels.get(*place as usize).cloned().unwrap_or_default()
            }
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(plotters::style::TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .y_labels(5)
            .x_labels(format.label_count.min(bars.labels.len()).max(1))
            .x_label_formatter(&label)
            .y_label_formatter(&|height| (bars.scale)(*height))
            .label_style::<TextStyle<'_>>(font)
            .draw()
            .map_err(|error| failed(&error))?;
        for (heights, color) in [(bars.heights, BAR), (bars.marked, MARK)] {
            let bar = |(place, height): (u32, &u64)| {
                let corners = [
                    (SegmentValue::Exact(place), 0),
                    (SegmentValue::Exact(place + 1), (*height).min(HIGHEST)),
                ];
                let mut bar = Rectangle::new(corners, color.filled());
                let gap = if count > 48 { 1 } else { 2 };
                bar.set_margin(0, 0, gap, gap);
                bar
            };
            let shown = (0..count).zip(heights).filter(|(_, height)| **height > 0);
            chart.draw_series(shown.map(bar)).map_err(|error| failed(&error))?;
        }
        area.present().map_err(|error| failed(&error))?;
    }
    Ok(text)
}

/// The picture with classes for its colours, of any size, and with words for who does not see it.
fn in_classes(drawn: &str, bars: &Bars<'_>, format: &Format) -> String {
    let size = format!("<svg width=\"{}\" height=\"{}\"", format.width, format.height);
    let head = format!(
        "<svg class=\"{}\" role=\"img\" aria-label=\"{}\"",
        format.class, bars.summary
    );
    let mut text = drawn
        .replacen(&size, &head, 1)
        .replace(" font-family=\"sans-serif\"", "");
    for (color, class) in CLASSES {
        text = text.replace(&format!("fill=\"{color}\""), &format!("class=\"{class}\""));
        text = text.replace(&format!("stroke=\"{color}\""), &format!("class=\"{class}\""));
    }
    [" opacity=\"1\"", " stroke=\"none\"", " stroke-width=\"1\""]
        .iter()
        .fold(text, |text, usual| text.replace(usual, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(heights: &[u64], marked: &[u64]) -> String {
        let labels: Vec<String> = (1..=heights.len()).map(|day| format!("{day} Nov")).collect();
        let bars = Bars {
            summary: "Requests by day",
            heights,
            marked,
            labels: &labels,
            scale: |height| height.to_string(),
        };
        draw(&bars).unwrap()
    }

    #[test]
    fn a_chart_has_a_bar_for_each_height_and_classes_for_colours() {
        let svg = drawn(&[3, 0, 5], &[1, 0, 0]);
        assert_eq!(svg.matches("<svg class=\"chart").count(), 2, "{svg}");
        assert_eq!(svg.matches("class=\"bar\"").count(), 4, "{svg}");
        assert_eq!(svg.matches("class=\"bar marked\"").count(), 2, "{svg}");
        assert!(
            svg.contains("aria-label=\"Requests by day\"") && svg.contains("2 Nov"),
            "{svg}"
        );
        assert!(!svg.contains("#01") && !svg.contains("style="), "{svg}");
    }

    #[test]
    fn nothing_and_too_much_are_drawn_too() {
        for heights in [&[][..], &[0, 0], &[u64::MAX, 1]] {
            assert!(drawn(heights, &[]).contains("</svg>"));
        }
    }
}
