//! Ten thousand walks of a clock that jumps, over every edge of the calendar: no window begins twice, none is missed,
//! and a charge counts in exactly one window of each cycle.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Utc};

use super::*;

const WALKS: u64 = 10_000;
const STEPS: u64 = 30;
const DAY_S: i64 = 86_400;

/// Instants at which calendars are strange; each walk begins near one of them.
const EDGES: [&str; 14] = [
    // Leap seconds: unix time says the same second twice.
    "2016-12-31T23:59:59Z",
    "2015-06-30T23:59:59Z",
    // Years with an ISO week 53, and years that begin in the week of the last.
    "2026-12-31T12:00:00Z",
    "2020-12-31T12:00:00Z",
    "2027-01-01T00:00:00Z",
    "2024-12-30T00:00:00Z",
    // Leap days, and a year that has none.
    "2028-02-29T12:00:00Z",
    "2100-02-28T23:59:59Z",
    // Clock changes: at night, at midnight, by half an hour.
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2018-11-04T03:00:00Z",
    "2026-04-04T15:00:00Z",
    "2026-03-28T22:00:00Z",
    // A day that Samoa skipped whole.
    "2011-12-30T10:00:00Z",
];

const ZONES: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Pacific__Chatham,
    Tz::Asia__Kathmandu,
    Tz::Asia__Beirut,
    Tz::America__Havana,
    Tz::Atlantic__Azores,
    Tz::Africa__Casablanca,
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn near(&mut self, span: i64) -> i64 {
        self.below(2 * span.unsigned_abs()) as i64 - span
    }

    /// How far the clock moves, in seconds: on, or back, by little or by days.
    fn step(&mut self) -> i64 {
        match self.below(10) {
            0 => 0,
            1 => -1,
            2 => DAY_S,
            3 => -DAY_S,
            4 => self.near(DAY_S),
            5 => self.below(40 * DAY_S as u64) as i64,
            6 => self.below(7_200) as i64,
            _ => self.below(6 * 3_600) as i64,
        }
    }
}

/// Which run of a cycle the calendar of the zone says an instant is in.
fn name_of_run(cycle: Cycle, instant: i64, zone: Tz) -> (i32, u32) {
    let local = DateTime::<Utc>::from_timestamp(instant, 0)
        .unwrap()
        .with_timezone(&zone);
    match cycle {
        Cycle::Daily => (local.year(), local.ordinal()),
        Cycle::Weekly => (local.iso_week().year(), local.iso_week().week()),
        Cycle::Monthly => (local.year(), local.month()),
        Cycle::Total => (0, 0),
    }
}

/// The window is the run that `latest` is in, to the second, and the whole of it.
fn assert_calendar(cycle: Cycle, window: Window, latest: i64, zone: Tz) {
    let Some(end) = window.end else {
        return assert_eq!(cycle, Cycle::Total);
    };
    let name = |instant| name_of_run(cycle, instant, zone);
    assert!(
        window.start <= latest && latest < end,
        "{cycle:?} {zone} {latest}: {window:?}"
    );
    assert_eq!(name(window.start), name(latest), "{cycle:?} {zone} {latest}");
    assert_eq!(name(end - 1), name(latest), "{cycle:?} {zone} {latest}");
    assert_ne!(name(window.start - 1), name(latest), "{cycle:?} {zone} {latest}");
    assert_ne!(name(end), name(latest), "{cycle:?} {zone} {latest}");
}

/// What each run of each cycle should have counted, by the start of its window.
#[derive(Default)]
struct Expected {
    runs: HashMap<(Cycle, i64), (Money, u64)>,
    begun: HashMap<(Cycle, (i32, u32)), i64>,
    charged: Money,
}

impl Expected {
    fn run(&mut self, cycle: Cycle, start: i64) -> &mut (Money, u64) {
        self.runs.entry((cycle, start)).or_default()
    }

    fn admit(&mut self, hold: Hold) {
        for cycle in Cycle::ALL {
            self.run(cycle, hold.admission.start(cycle)).1 += 1;
        }
    }

    fn charge(&mut self, hold: Hold, cost: Money) {
        self.charged = self.charged.checked_add(cost).unwrap();
        for cycle in Cycle::ALL {
            let spent = &mut self.run(cycle, hold.admission.start(cycle)).0;
            *spent = spent.checked_add(cost).unwrap();
        }
    }

    /// Each counter shows what its window counted, and each run of the calendar has begun once.
    fn check(&mut self, state: &SpendState, latest: i64, zone: Tz) {
        for cycle in Cycle::ALL {
            let counter = *state.counter(cycle);
            assert_calendar(cycle, counter.window, latest, zone);
            let counted = *self.run(cycle, counter.window.start);
            assert_eq!((counter.spent, counter.requests), counted, "{cycle:?} {zone} {latest}");
            let name = name_of_run(cycle, latest, zone);
            let begun = *self.begun.entry((cycle, name)).or_insert(counter.window.start);
            assert_eq!(begun, counter.window.start, "{cycle:?} {zone} began twice");
        }
    }

    /// In each cycle all runs together have every charge once.
    fn check_sums(&self) {
        for cycle in Cycle::ALL {
            let own = self.runs.iter().filter(|((kind, _), _)| *kind == cycle);
            assert_eq!(
                own.map(|(_, (spent, _))| spent.nanos()).sum::<i64>(),
                self.charged.nanos(),
                "{cycle:?}"
            );
        }
    }
}

fn walk(seed: u64) -> usize {
    let mut random = Random(seed + 1);
    let edge = EDGES[random.below(EDGES.len() as u64) as usize]
        .parse::<DateTime<Utc>>()
        .unwrap();
    let zone = ZONES[random.below(ZONES.len() as u64) as usize];
    let settings = KeySettings {
        timezone: zone,
        spend_limit: None,
        ..settings()
    };
    let mut now = edge.timestamp() + random.near(3 * DAY_S);
    let mut latest = now;
    let mut state = SpendState::load(&StoredCounters::default(), zone, at(now * 1_000));
    let mut expected = Expected::default();
    let mut holds: Vec<Hold> = Vec::new();
    for _ in 0..STEPS {
        now += random.step();
        latest = latest.max(now);
        if random.below(3) > 0 {
            let hold = state
                .reserve(&settings, &call(Money::from_nanos(50)), at(now * 1_000))
                .unwrap();
            expected.admit(hold);
            holds.push(hold);
        } else {
            state.advance(zone, at(now * 1_000));
        }
        if !holds.is_empty() && random.below(3) == 0 {
            let hold = holds.swap_remove(random.below(holds.len() as u64) as usize);
            let cost = Money::from_nanos(1 + random.below(100) as i64);
            state.settle(hold, cost);
            expected.charge(hold, cost);
        }
        expected.check(&state, latest, zone);
    }
    for hold in holds {
        state.settle(hold, hold.amount);
        expected.charge(hold, hold.amount);
    }
    expected.check(&state, latest, zone);
    expected.check_sums();
    assert!(state.ended.is_empty() && state.open_calls() == 0);
    expected.begun.len()
}

#[test]
fn no_window_is_missed_or_begins_twice_and_no_charge_is_in_two_on_ten_thousand_walks() {
    let began = std::time::Instant::now();
    let windows: usize = (0..WALKS).map(walk).sum();
    assert!(
        windows > 5 * WALKS as usize,
        "the walks came through {windows} windows only"
    );
    eprintln!(
        "{WALKS} walks of {STEPS} steps came through {windows} windows in {} ms",
        began.elapsed().as_millis()
    );
}
