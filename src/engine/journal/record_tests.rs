//! Records survive their trip, and damage is seen.

use super::*;
use crate::domain::ids::{CustomerId, MeterId};
use crate::domain::request::{Charge, ChargeForecast, ChargePart, Metered, TurnEntry};
use crate::domain::usage::COUNTS;
use proptest::prelude::*;

fn open_request(seed: u128, text: String) -> OpenRequest {
    OpenRequest {
        id: RequestId::from_bits(seed),
        attempt_of: seed.is_multiple_of(11).then(|| RequestId::from_bits(seed / 11)),
        merchant_id: MerchantId::from_bits(seed / 3),
        wallet_id: WalletId::from_bits(seed / 5),
        spend_key_id: seed.is_multiple_of(2).then(|| SpendKeyId::from_bits(seed | 1)),
        admission: Admission {
            day_start: 1,
            week_start: -2,
            month_start: 3,
        },
        admitted_at_ms: 1_700_000_000_000,
        hold: Money::from_nanos(77),
        price_version: 9,
        provider_key_type: ProviderKeyType::Unmanaged,
        streaming: seed.is_multiple_of(3),
        simulated: seed.is_multiple_of(5),
        input_estimate: Money::from_nanos(5),
        output_nanos_per_million: 600_000_000,
        provider: "openai".into(),
        model: (!seed.is_multiple_of(7)).then(|| text.clone()),
        endpoint: "POST https://api.openai.com/v1/chat/completions".into(),
        metadata: text,
        metered: seed.is_multiple_of(13).then(|| metered(seed)),
    }
}

fn settlement_of(seed: u128, text: &str) -> Settlement {
    Settlement {
        id: RequestId::from_bits(seed),
        outcome: Outcome::Completed,
        usage_source: UsageSource::Partial,
        http_status: 200,
        usage: Usage {
            input_tokens: u64::MAX,
            output_tokens: 7,
            image_input_tokens: if seed.is_multiple_of(2) { 3 } else { 0 },
            queries: u64::from(seed.is_multiple_of(3)),
            ..Usage::default()
        },
        cost: Money::MAX,
        input_cost: Money::from_nanos(1),
        output_cost: Money::from_nanos(2),
        finished_at_ms: -1,
        first_token_ms: seed.is_multiple_of(5).then_some(1_234),
        response_id: bounded(text, Settlement::RESPONSE_ID_BYTES).to_owned(),
        charge: seed.is_multiple_of(4).then(|| charge_of(seed as usize % 9)),
    }
}

fn metered(seed: u128) -> Metered {
    Metered {
        meter_id: MeterId::from_bits(seed),
        customer_id: seed.is_multiple_of(2).then(|| CustomerId::from_bits(seed | 1)),
        caller_id: "their own".into(),
        forecast: seed.is_multiple_of(3).then_some(ChargeForecast {
            base: Money::from_nanos(9),
            output_nanos_per_million: 8,
            input_quantity: 7,
            counts_output: 1,
            period_start_s: -6,
        }),
    }
}

fn charge_of(parts: usize) -> Charge {
    let part = ChargePart {
        start: u64::MAX,
        rate_nanos: 5,
        quantity: 4,
        cost: Money::from_nanos(3),
    };
    Charge {
        amount: Money::MAX,
        from_cycle: Money::from_nanos(-2),
        quantity: u64::MAX,
        period_start_s: i64::MIN,
        parts: vec![part; parts],
    }
}

fn turn(seed: u128, subscription: String) -> Turn {
    let customer_id = CustomerId::from_bits(seed);
    let entry = |account, kind, nanos| TurnEntry {
        account,
        kind,
        amount: Money::from_nanos(nanos),
    };
    Turn {
        id: MovementId::from_bits(seed),
        merchant_id: MerchantId::from_bits(2),
        customer_id,
        version: 3,
        at_ms: 4,
        subscription,
        entries: vec![
            entry(AccountRef::CycleCredit(customer_id), MovementKind::Lapse, -5),
            entry(AccountRef::BundleCredit(customer_id), MovementKind::Renewal, 6),
        ],
    }
}

proptest! {
    #[test]
    fn every_record_survives_its_trip_and_no_changed_byte_passes(seed in any::<u128>(), text in "\\PC{0,200}", place in any::<usize>()) {
        let movement = Movement {
            id: MovementId::from_bits(seed), merchant_id: MerchantId::from_bits(1),
            account: AccountRef::Wallet(WalletId::from_bits(seed)), kind: MovementKind::Funding,
            amount: Money::from_nanos(-5), quantity: 3, at_ms: 4, note: text.clone(),
        };
        let records = [
            Record::Open(open_request(seed, text.clone())),
            Record::Progress { id: RequestId::from_bits(seed), output_tokens: 12 },
            Record::Settle(settlement_of(seed, &text)),
            Record::Movement(movement),
            Record::Turn(turn(seed, text)),
        ];
        for (sequence, record) in records.into_iter().enumerate() {
            let mut bytes = Vec::new();
            encode(sequence as u64, &record, &mut bytes);
            let length = bytes.len();
            prop_assert_eq!(decode(&bytes), Decoded::Record { sequence: sequence as u64, record: Box::new(record), length });
            let place = place % length;
            bytes[place] ^= 0x20;
            let intact = matches!(decode(&bytes), Decoded::Record { .. });
            prop_assert!(!intact);
            bytes[place] ^= 0x20;
            let whole = matches!(decode(&bytes[..length - 1]), Decoded::Record { .. });
            prop_assert!(!whole);
        }
    }
}

#[test]
fn a_settlement_never_outgrows_the_space_set_aside_for_it() {
    let long = "\u{10348}".repeat(100);
    let mut settlement = settlement_of(1, &long);
    settlement.response_id = long;
    settlement.usage = Usage::from_array([u64::MAX; COUNTS]);
    settlement.first_token_ms = Some(u32::MAX);
    settlement.charge = Some(charge_of(Charge::PARTS_MOST + 5));
    let mut bytes = Vec::new();
    encode_settle(u64::MAX, &settlement, &mut bytes);
    assert!(bytes.len() as u64 <= LONGEST_SETTLEMENT, "{} bytes", bytes.len());
    assert!(matches!(decode(&bytes), Decoded::Record { .. }));
}

#[test]
fn zeros_are_the_end_and_junk_is_damage() {
    assert_eq!(decode(&[0; 64]), Decoded::End);
    assert_eq!(decode(&[]), Decoded::End);
    assert_eq!(decode(&[0xff; 64]), Decoded::Damaged);
    assert_eq!(decode(&[9, 0, 0, 0, 1, 2, 3, 4]), Decoded::Damaged);
}

/// A settlement of the first form: nine counts, and nothing after the response's id.
fn first_form(settlement: &Settlement) -> Vec<u8> {
    let mut bytes = Vec::new();
    framed(3, 3, &mut bytes, |writer| {
        writer.u128(settlement.id.bits());
        writer.u8(settlement.outcome.code());
        writer.u8(settlement.usage_source.code());
        writer.u32(u32::from(settlement.http_status));
        for count in &settlement.usage.to_array()[..9] {
            writer.u64(*count);
        }
        for amount in [settlement.cost, settlement.input_cost, settlement.output_cost] {
            writer.i64(amount.nanos());
        }
        writer.i64(settlement.finished_at_ms);
        writer.text(&settlement.response_id);
    });
    bytes
}

#[test]
fn a_settlement_of_nine_counts_is_read_and_one_without_rare_counts_is_no_longer_than_it() {
    let usual = settlement_of(1, "chatcmpl-1");
    let old = first_form(&usual);
    let Decoded::Record { record, .. } = decode(&old) else {
        panic!("an old record is damage")
    };
    assert_eq!(*record, Record::Settle(usual.clone()));
    let mut new = Vec::new();
    encode_settle(3, &usual, &mut new);
    assert_eq!(new, old);
}

#[test]
fn a_settlement_that_announces_counts_which_do_not_exist_is_damage() {
    let mut bytes = Vec::new();
    framed(3, 3, &mut bytes, |writer| {
        writer.u128(1);
        writer.u8(0);
        writer.u8(0);
        writer.u32(200);
        for _ in 0..13 {
            writer.u64(0);
        }
        writer.text("");
        writer.u32(1 << RARE_COUNT);
        writer.u64(5);
    });
    assert_eq!(decode(&bytes), Decoded::Damaged);
}
