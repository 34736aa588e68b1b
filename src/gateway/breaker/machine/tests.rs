//! The machine by tables in words, and by a walk.

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;
/// Noise of the middle: the time is as long as its length.
const MIDDLE: u32 = 1 << 31;

fn terms() -> Terms {
    Terms {
        failures: 5,
        percent: 50,
        window_us: 30 * SECOND,
        open_us: 10 * SECOND,
        longest_open_us: 60 * SECOND,
    }
}

/// One word a step: `+` and `-` are a call that goes well or fails, `xN` waits N seconds, `?` must be admitted, `!` must
/// be refused, `p` must be admitted and be the probe, `g` and `f` say that the probe went well or failed.
fn play(script: &str) -> Machine {
    let mut machine = Machine::new(terms());
    let (mut now_us, mut probe) = (100 * SECOND, 0);
    for (place, word) in script.split_whitespace().enumerate() {
        let said = format!("step {place}, {word}, of {script}: {machine:?}");
        match word.split_at(1) {
            ("+", "") | ("-", "") => {
                let epoch = machine.admit(now_us).expect(&said);
                let verdict = if word == "+" { Verdict::Good } else { Verdict::Failed };
                machine.report(epoch, verdict, now_us, MIDDLE);
            }
            ("x", seconds) => now_us += seconds.parse::<u64>().unwrap() * SECOND,
            ("?", "") => assert!(machine.admit(now_us).is_ok() && machine.is_closed(), "{said}"),
            ("!", "") => assert!(machine.admit(now_us).is_err(), "{said}"),
            ("p", "") => probe = machine.admit(now_us).expect(&said),
            ("g", "") => assert_eq!(
                machine.report(probe, Verdict::Good, now_us, MIDDLE),
                Change::Closed,
                "{said}"
            ),
            ("f", "") => assert_eq!(
                machine.report(probe, Verdict::Failed, now_us, MIDDLE),
                Change::Opened,
                "{said}"
            ),
            _ => panic!("{said}"),
        }
    }
    machine
}

#[test]
fn it_opens_and_closes_as_the_table_says() {
    let table = [
        "- - - - ?",
        "- - - - - !",
        "- - - - + - - - - ?",
        "- - - - x31 - - - - ?",
        "- - x29 - - x29 - !",
        "- - - - - x9 ! x1 p ! !",
        "- - - - - x10 p g ? - - - - ? - !",
        "- - - - - x10 p f ! x19 ! x1 p f x39 ! x1 p f x59 ! x1 p f x59 ! x1 p g ?",
        // A probe that never reports does not hold the circuit open for ever.
        "- - - - - x10 p x9 ! x1 p g ?",
        // Half of the last twenty, which begin with the first failure.
        "- + - + - + - + - + - + - + - + - + - ?",
        "- + - + - + - + - + - + - + - + - + - + ? - !",
        "- + + - + + - + + - + + - + + - + + - + + - + + - + + ?",
        "- - - - + + + + + + + + + + + - - - - ? - !",
        "- + + + + + + + + + + + + + + + + + + + + ?",
    ];
    for script in table {
        play(script);
    }
    assert!(
        play("- + + + + + + + + + + + + + + + + + + + +").is_clean(),
        "all is well again"
    );
    assert!(!play("- +").is_clean());
}

#[test]
fn a_report_from_before_the_last_change_is_not_heard() {
    let mut machine = Machine::new(terms());
    let early = machine.admit(0).unwrap();
    for _ in 0..5 {
        machine.report(early, Verdict::Failed, 1, MIDDLE);
    }
    assert_eq!(machine.report(early, Verdict::Good, 2, MIDDLE), Change::Nothing);
    let probe = machine.admit(11 * SECOND).unwrap();
    let next = machine.admit(22 * SECOND).unwrap();
    assert_eq!(
        machine.report(probe, Verdict::Good, 22 * SECOND, MIDDLE),
        Change::Nothing
    );
    assert_eq!(machine.report(next, Verdict::Good, 22 * SECOND, MIDDLE), Change::Closed);
    for _ in 0..9 {
        assert_eq!(
            machine.report(early, Verdict::Failed, 22 * SECOND, MIDDLE),
            Change::Nothing
        );
    }
    assert!(machine.is_clean());
}

#[test]
fn a_probe_that_was_never_sent_leaves_its_turn_to_the_next() {
    let mut machine = play("- - - - - x10");
    let probe = machine.admit(200 * SECOND).unwrap();
    assert!(machine.admit(200 * SECOND).is_err());
    machine.abandon(probe);
    let next = machine.admit(200 * SECOND).unwrap();
    machine.abandon(probe);
    assert!(
        machine.admit(200 * SECOND).is_err(),
        "the first has nothing more to say"
    );
    assert_eq!(machine.report(next, Verdict::Good, 200 * SECOND, 0), Change::Closed);
}

proptest! {
    #[test]
    fn on_any_walk_it_refuses_for_a_bounded_time_and_lets_one_probe_through_at_once(
        steps in prop::collection::vec((0u8..4, 0u64..15, any::<u32>()), 1..300)
    ) {
        let terms = terms();
        let mut machine = Machine::new(terms);
        let (mut now_us, mut admitted, mut failures) = (0, Vec::new(), 0);
        for (kind, seconds, noise) in steps {
            now_us += seconds * SECOND / 3;
            match kind {
                0 => match machine.admit(now_us) {
                    Ok(epoch) => {
                        if !machine.is_closed() {
                            prop_assert!(machine.admit(now_us).is_err(), "two probes at once");
                        }
                        admitted.push(epoch);
                    }
                    Err(wait_us) => prop_assert!(wait_us > 0 && wait_us <= terms.longest_open_us * 6 / 5),
                },
                1 | 2 => {
                    let Some(epoch) = admitted.pop() else { continue };
                    let verdict = if kind == 1 { Verdict::Good } else { Verdict::Failed };
                    let (before, heard) = (machine.is_closed(), epoch == machine.epoch());
                    let change = machine.report(epoch, verdict, now_us, noise);
                    failures = if verdict == Verdict::Failed && heard { failures + 1 } else { failures };
                    prop_assert!(heard || change == Change::Nothing);
                    if change == Change::Opened {
                        prop_assert_eq!(verdict, Verdict::Failed);
                        prop_assert!(failures >= 5 || !before, "it opened after {} failures", failures);
                        failures = 0;
                    }
                    prop_assert!(change != Change::Closed || (!before && verdict == Verdict::Good));
                }
                _ => {
                    if let Some(epoch) = admitted.pop() {
                        machine.abandon(epoch);
                    }
                }
            }
        }
        now_us += terms.longest_open_us * 6 / 5;
        let last = machine.admit(now_us);
        prop_assert!(last.is_ok(), "it always comes back");
    }
}
