//! Noise for tests that feed readers with junk: numbers that look random, and bodies with some bytes changed, cut out or
//! doubled, members told twice, and counts that cannot be true. All of it is seeded, so a failure comes again.

/// What stands in the place of a piece of a body.
const VALUES: [&str; 8] = [
    "null",
    "-1",
    "1e999",
    "[]",
    "{}",
    "\"\\ud800\"",
    "{\"type\":{}}",
    "\"~e30\"",
];

/// What stands in the place of a number.
const COUNTS: [&str; 14] = [
    "0",
    "-1",
    "1.5",
    "7.0",
    "1099511627776",
    "1099511627777",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "1e300",
    "null",
    "true",
    "\"12\"",
];

/// A small generator of numbers that look random (xorshift).
pub struct Noise(u64);

impl Noise {
    /// The seed must not be zero.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Some bytes changed, cut out, doubled, or exchanged for another value.
    pub fn mutate(&mut self, body: &[u8]) -> Vec<u8> {
        let mut out = body.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(out.len());
            let end = (at + self.below(24)).min(out.len());
            match self.below(5) {
                0 => out[at] = self.below(256) as u8,
                1 => drop(out.drain(at..end)),
                2 => drop(out.splice(at..at, body[..end.min(body.len())].to_vec())),
                3 => drop(out.splice(at..end, self.pick(&VALUES).bytes())),
                _ => out.truncate(end),
            }
            if out.is_empty() {
                out.push(b'{');
            }
        }
        out
    }

    /// A JSON text that mostly stays one: other numbers, a member told twice or left out, another value; now and then
    /// bytes as [`Noise::mutate`] leaves them.
    pub fn mutate_json(&mut self, body: &str) -> Vec<u8> {
        let mut out = body.to_owned();
        for _ in 0..=self.below(3) {
            match self.below(8) {
                0..=3 => self.change_number(&mut out),
                4 => self.double_member(&mut out),
                5 => self.leave_out_member(&mut out),
                6 => self.change_value(&mut out),
                _ => return self.mutate(out.as_bytes()),
            }
        }
        out.into_bytes()
    }

    /// A list of lengths that sum up to `total`: where a stream is cut.
    pub fn cut(&mut self, total: usize, longest: usize) -> Vec<usize> {
        let (mut left, mut lengths) = (total, Vec::new());
        while left > 0 {
            let length = (1 + self.below(longest)).min(left);
            lengths.push(length);
            left -= length;
        }
        lengths
    }

    fn change_number(&mut self, text: &mut String) {
        let bytes = text.as_bytes();
        let starts: Vec<usize> = (1..bytes.len())
            .filter(|at| bytes[*at].is_ascii_digit() && b":[, ".contains(&bytes[at - 1]))
            .collect();
        if starts.is_empty() {
            return;
        }
        let start = self.pick(&starts);
        let rest = &bytes[start..];
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        text.replace_range(start..start + length, self.pick(&COUNTS));
    }

    fn double_member(&mut self, text: &mut String) {
        let members = members(text);
        if members.is_empty() {
            return;
        }
        let (start, end) = self.pick(&members);
        let member = format!("{},", &text[start..end]);
        text.insert_str(start, &member);
    }

    fn leave_out_member(&mut self, text: &mut String) {
        let members = members(text);
        if members.is_empty() {
            return;
        }
        let (start, end) = self.pick(&members);
        let end = if text[end..].starts_with(',') { end + 1 } else { end };
        text.replace_range(start..end, "");
    }

    fn change_value(&mut self, text: &mut String) {
        let members = members(text);
        if members.is_empty() {
            return;
        }
        let (start, end) = self.pick(&members);
        let colon = text[start..end].find(':').map_or(end, |colon| start + colon + 1);
        text.replace_range(colon..end, self.pick(&VALUES));
    }
}

/// The places of all members of all objects: `"name":value`, without the comma.
fn members(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let starts = (1..bytes.len()).filter(|at| bytes[*at] == b'"' && b"{,".contains(&bytes[at - 1]));
    starts
        .filter_map(|start| Some((start, member_end(text, start)?)))
        .collect()
}

/// Where a member ends that starts here; `None` for a text that is no member.
fn member_end(text: &str, start: usize) -> Option<usize> {
    let mut rest = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
    rest.next()?.ok()?;
    let colon = start + rest.byte_offset();
    if !text[colon..].starts_with(':') {
        return None;
    }
    let mut value = serde_json::Deserializer::from_str(&text[colon + 1..]).into_iter::<serde::de::IgnoredAny>();
    value.next()?.ok()?;
    Some(colon + 1 + value.byte_offset())
}
