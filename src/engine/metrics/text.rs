//! The text format of Prometheus, version 0.0.4: families with their HELP and TYPE, and their samples. Whole numbers in,
//! decimal text out; no float stands between a figure and its line. It checks nothing of names: a test has
//! `promtool` do that.

use std::fmt::{self, Display, Write as _};

use super::histogram::Distribution;

/// What a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A whole number of the smallest unit that is shown as a decimal of the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    amount: i128,
    digits: u32,
}

impl Decimal {
    /// Nano-dollars as dollars.
    pub fn dollars(nanos: impl Into<i128>) -> Self {
        Self {
            amount: nanos.into(),
            digits: 9,
        }
    }

    /// Microseconds as seconds.
    pub fn seconds_of_us(micros: impl Into<i128>) -> Self {
        Self {
            amount: micros.into(),
            digits: 6,
        }
    }

    /// Milliseconds as seconds.
    pub fn seconds_of_ms(millis: impl Into<i128>) -> Self {
        Self {
            amount: millis.into(),
            digits: 3,
        }
    }

    fn whole(amount: u64) -> Self {
        Self {
            amount: amount.into(),
            digits: 0,
        }
    }
}

impl Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount < 0 {
            formatter.write_char('-')?;
        }
        let (amount, scale) = (self.amount.unsigned_abs(), 10_u128.pow(self.digits));
        let (whole, rest) = (amount / scale, amount % scale);
        // Small numbers are written several times faster.
        match u64::try_from(whole) {
            Ok(whole) => write!(formatter, "{whole}")?,
            Err(_) => write!(formatter, "{whole}")?,
        }
        if rest == 0 {
            return Ok(());
        }
        let (mut rest, mut width) = (rest as u64, self.digits as usize);
        while rest % 10 == 0 {
            rest /= 10;
            width -= 1;
        }
        write!(formatter, ".{rest:0width$}")
    }
}

/// The unit in which a distribution was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    One,
    Microseconds,
}

impl Unit {
    fn show(self, value: u64) -> Decimal {
        match self {
            Self::One => Decimal::whole(value),
            Self::Microseconds => Decimal::seconds_of_us(value),
        }
    }
}

/// The labels of a sample, written once for its many lines.
#[derive(Clone, Debug, Default)]
pub struct Labels(String);

impl Labels {
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.push(name, value);
        }
        labels
    }

    /// Adds a label; an empty value is the same as none.
    pub fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }
}

/// The text as it grows.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    /// The family whose samples come.
    name: &'static str,
}

impl Exposition {
    pub fn into_text(self) -> String {
        self.text
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        self.name = name;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {}", kind.word()));
        self
    }

    /// A sample of the family that was begun last.
    pub fn sample(&mut self, labels: &Labels, value: impl Display) -> &mut Self {
        let name = self.name;
        if labels.0.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", labels.0));
        }
        self
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, (help, value): (&str, impl Display)) {
        self.family(name, kind, help).sample(&Labels::default(), value);
    }

    /// A histogram of the family that was begun last.
    pub fn histogram(&mut self, labels: &Labels, distribution: &Distribution, unit: Unit) {
        let name = self.name;
        let (labels, comma) = (&labels.0, if labels.0.is_empty() { "" } else { "," });
        let mut count = 0;
        for (bound, more) in distribution.bounds.iter().zip(&distribution.counts) {
            count += more;
            let bound = unit.show(*bound);
            self.line(format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"));
        }
        count += distribution.counts.last().copied().unwrap_or_default();
        self.line(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}"));
        let sum = unit.show(distribution.sum);
        self.line(format_args!(
            "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}"
        ));
    }

    fn line(&mut self, words: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _written = self.text.write_fmt(words);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::*;

    #[test]
    fn figures_are_exact_decimals_of_their_usual_unit() {
        for (shown, expected) in [
            (Decimal::dollars(0), "0"),
            (Decimal::dollars(1_500_000_000), "1.5"),
            (Decimal::dollars(-7), "-0.000000007"),
            (Decimal::dollars(i64::MAX), "9223372036.854775807"),
            (Decimal::seconds_of_us(10_000), "0.01"),
            (Decimal::seconds_of_ms(12_345), "12.345"),
        ] {
            assert_eq!(shown.to_string(), expected);
        }
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let labels = Labels::new(&[("model", "a\"b\\c\nd"), ("none", "")]);
        let mut exposition = Exposition::default();
        exposition.family("x_total", Kind::Counter, "Of x.").sample(&labels, 1);
        let expected = "# HELP x_total Of x.\n# TYPE x_total counter\nx_total{model=\"a\\\"b\\\\c\\nd\"} 1\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulated() {
        let histogram = Histogram::new(&[10_000, 2_000_000]);
        for value in [5_000, 10_000, 1_000_000, 3_000_000] {
            histogram.observe(value);
        }
        let mut distribution = Distribution::new(&[10_000, 2_000_000]);
        distribution.add(&histogram);
        let mut exposition = Exposition::default();
        exposition.family("d_seconds", Kind::Histogram, "D.");
        exposition.histogram(&Labels::new(&[("a", "b")]), &distribution, Unit::Microseconds);
        let expected = "d_seconds_bucket{a=\"b\",le=\"0.01\"} 2\nd_seconds_bucket{a=\"b\",le=\"2\"} 3\n\
            d_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\nd_seconds_sum{a=\"b\"} 4.015\nd_seconds_count{a=\"b\"} 4\n";
        assert!(exposition.into_text().ends_with(expected));
    }
}
