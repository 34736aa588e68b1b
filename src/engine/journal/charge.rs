//! What of a journal record concerns a customer: whose usage a call is, what it is charged, and the turns of his
//! subscription. Each stands at the end of its record, and only where there is one.

use crate::domain::ids::{CustomerId, MerchantId, MeterId, MovementId};
use crate::domain::money::Money;
use crate::domain::request::{AccountRef, Charge, ChargeForecast, ChargePart, Metered, MovementKind, Turn, TurnEntry};

use super::fields::{Reader, Writer};

/// No charge takes more bytes.
pub const LONGEST: u64 = 8 * 4 + 4 + 32 * Charge::PARTS_MOST as u64;
/// More entries in a turn are damage.
const ENTRIES_MOST: u32 = 1 << 16;

pub fn write_metered(metered: &Metered, writer: &mut Writer<'_>) {
    writer.u128(metered.meter_id.bits());
    writer.u128(metered.customer_id.map_or(0, CustomerId::bits));
    writer.text(&metered.caller_id);
    let Some(forecast) = metered.forecast else {
        return writer.u8(0);
    };
    writer.u8(1);
    writer.i64(forecast.base.nanos());
    writer.i64(forecast.output_nanos_per_million);
    writer.u64(forecast.input_quantity);
    writer.u8(forecast.counts_output);
    writer.i64(forecast.period_start_s);
}

pub fn read_metered(reader: &mut Reader<'_>) -> Option<Metered> {
    let meter_id = MeterId::from_bits(reader.u128()?);
    let customer_id = Some(reader.u128()?)
        .filter(|bits| *bits != 0)
        .map(CustomerId::from_bits);
    let caller_id = reader.text()?;
    let forecast = match reader.u8()? {
        0 => None,
        1 => Some(ChargeForecast {
            base: Money::from_nanos(reader.i64()?),
            output_nanos_per_million: reader.i64()?,
            input_quantity: reader.u64()?,
            counts_output: reader.u8()?,
            period_start_s: reader.i64()?,
        }),
        _ => return None,
    };
    Some(Metered {
        meter_id,
        customer_id,
        caller_id,
        forecast,
    })
}

pub fn write_charge(charge: &Charge, writer: &mut Writer<'_>) {
    writer.i64(charge.amount.nanos());
    writer.i64(charge.from_cycle.nanos());
    writer.u64(charge.quantity);
    writer.i64(charge.period_start_s);
    let parts = &charge.parts[..charge.parts.len().min(Charge::PARTS_MOST)];
    writer.u32(parts.len() as u32);
    for part in parts {
        writer.u64(part.start);
        writer.i64(part.rate_nanos);
        writer.u64(part.quantity);
        writer.i64(part.cost.nanos());
    }
}

pub fn read_charge(reader: &mut Reader<'_>) -> Option<Charge> {
    let amount = Money::from_nanos(reader.i64()?);
    let from_cycle = Money::from_nanos(reader.i64()?);
    let (quantity, period_start_s) = (reader.u64()?, reader.i64()?);
    let count = reader.u32()?;
    if count as usize > Charge::PARTS_MOST {
        return None;
    }
    let mut part = || {
        Some(ChargePart {
            start: reader.u64()?,
            rate_nanos: reader.i64()?,
            quantity: reader.u64()?,
            cost: Money::from_nanos(reader.i64()?),
        })
    };
    let parts = (0..count).map(|_| part()).collect::<Option<Vec<_>>>()?;
    Some(Charge {
        amount,
        from_cycle,
        quantity,
        period_start_s,
        parts,
    })
}

pub fn write_turn(turn: &Turn, writer: &mut Writer<'_>) {
    writer.u128(turn.id.bits());
    writer.u128(turn.merchant_id.bits());
    writer.u128(turn.customer_id.bits());
    writer.u64(turn.version);
    writer.i64(turn.at_ms);
    writer.text(&turn.subscription);
    writer.u32(u32::try_from(turn.entries.len()).expect("a turn has few entries"));
    for entry in &turn.entries {
        writer.u8(entry.account.code());
        writer.u128(entry.account.bits());
        writer.u8(entry.kind.code());
        writer.i64(entry.amount.nanos());
    }
}

pub fn read_turn(reader: &mut Reader<'_>) -> Option<Turn> {
    let id = MovementId::from_bits(reader.u128()?);
    let merchant_id = MerchantId::from_bits(reader.u128()?);
    let customer_id = CustomerId::from_bits(reader.u128()?);
    let (version, at_ms) = (reader.u64()?, reader.i64()?);
    let subscription = reader.text()?;
    let count = reader.u32().filter(|count| *count <= ENTRIES_MOST)?;
    let mut entry = || {
        let account = reader
            .u8()
            .zip(reader.u128())
            .and_then(|(code, bits)| AccountRef::from_parts(code, bits))?;
        Some(TurnEntry {
            account,
            kind: MovementKind::from_code(reader.u8()?)?,
            amount: Money::from_nanos(reader.i64()?),
        })
    };
    let entries = (0..count).map(|_| entry()).collect::<Option<Vec<_>>>()?;
    Some(Turn {
        id,
        merchant_id,
        customer_id,
        version,
        at_ms,
        subscription,
        entries,
    })
}
