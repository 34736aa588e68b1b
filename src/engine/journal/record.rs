//! The form of a journal record: `length u32 | crc32c u32 | sequence u64 | type u8 | payload`, little-endian; the
//! length counts what follows the checksum, and the checksum covers the same. A zero length is the preallocated rest
//! of a segment. Unknown types and short payloads are damage, never skipped. What few records have stands at the end
//! and is left out where there is none of it, so that records of earlier versions are read as they are.

use crate::domain::ids::{MerchantId, MovementId, RequestId, SpendKeyId, WalletId};
use crate::domain::money::Money;
use crate::domain::request::{
    AccountRef, Movement, MovementKind, OpenRequest, Outcome, ProviderKeyType, Settlement, Turn, UsageSource,
};
use crate::domain::spend::Admission;
use crate::domain::usage::{RARE_COUNT, USUAL_COUNT, Usage};

use super::charge;
use super::fields::{Reader, Writer};

/// Bytes before the payload.
const HEAD: usize = 4 + 4 + 8 + 1;
/// A longer record is damage: metadata is at most 100 pairs of 255 and 255 characters of up to 4 bytes.
const LONGEST: usize = 1 << 20;
/// Beside the rare counts that there are: that the first token's time stands behind them.
const FIRST_TOKEN: u32 = 1 << 31;
/// No settlement is longer: fixed fields, a bounded response id, every rare count, the first token, and a charge.
pub const LONGEST_SETTLEMENT: u64 = 332 + charge::LONGEST;
/// A progress record, exactly.
pub const PROGRESS_LENGTH: u64 = HEAD as u64 + 24;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A call was admitted and is about to be sent.
    Open(OpenRequest),
    /// So many output tokens have been served so far.
    Progress { id: RequestId, output_tokens: u64 },
    /// A call has ended.
    Settle(Settlement),
    /// A balance moved without a call.
    Movement(Movement),
    /// A customer's subscription changed, and his credit with it.
    Turn(Turn),
}

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    Record {
        sequence: u64,
        record: Box<Record>,
        length: usize,
    },
    /// Nothing has been written here.
    End,
    /// Torn or damaged.
    Damaged,
}

/// Appends an encoded record to `buffer`.
pub fn encode(sequence: u64, record: &Record, buffer: &mut Vec<u8>) {
    match record {
        Record::Open(open) => encode_open(sequence, open, buffer),
        Record::Progress { id, output_tokens } => encode_progress(sequence, *id, *output_tokens, buffer),
        Record::Settle(settlement) => encode_settle(sequence, settlement, buffer),
        Record::Movement(movement) => encode_movement(sequence, movement, buffer),
        Record::Turn(turn) => encode_turn(sequence, turn, buffer),
    }
}

pub fn encode_open(sequence: u64, open: &OpenRequest, buffer: &mut Vec<u8>) {
    framed(sequence, 1, buffer, |writer| {
        writer.u128(open.id.bits());
        writer.u128(open.merchant_id.bits());
        writer.u128(open.wallet_id.bits());
        writer.u128(open.spend_key_id.map_or(0, SpendKeyId::bits));
        writer.i64(open.admission.day_start);
        writer.i64(open.admission.week_start);
        writer.i64(open.admission.month_start);
        writer.i64(open.admitted_at_ms);
        writer.i64(open.hold.nanos());
        writer.u32(open.price_version);
        writer.u8(open.provider_key_type.code());
        writer.u8(flags(open));
        writer.i64(open.input_estimate.nanos());
        writer.i64(open.output_nanos_per_million);
        writer.text(&open.provider);
        writer.text(open.model.as_deref().unwrap_or_default());
        writer.text(&open.endpoint);
        writer.text(&open.metadata);
        if let Some(first) = open.attempt_of {
            writer.u128(first.bits());
        }
        if let Some(metered) = &open.metered {
            charge::write_metered(metered, writer);
        }
    });
}

fn flags(open: &OpenRequest) -> u8 {
    u8::from(open.streaming)
        | u8::from(open.simulated) << 1
        | u8::from(open.model.is_some()) << 2
        | u8::from(open.attempt_of.is_some()) << 3
        | u8::from(open.metered.is_some()) << 4
}

pub fn encode_progress(sequence: u64, id: RequestId, output_tokens: u64, buffer: &mut Vec<u8>) {
    framed(sequence, 2, buffer, |writer| {
        writer.u128(id.bits());
        writer.u64(output_tokens);
    });
}

pub fn encode_settle(sequence: u64, settlement: &Settlement, buffer: &mut Vec<u8>) {
    framed(sequence, 3, buffer, |writer| {
        writer.u128(settlement.id.bits());
        writer.u8(settlement.outcome.code());
        writer.u8(settlement.usage_source.code());
        writer.u32(u32::from(settlement.http_status));
        for count in settlement.usage.usual() {
            writer.u64(count);
        }
        writer.i64(settlement.cost.nanos());
        writer.i64(settlement.input_cost.nanos());
        writer.i64(settlement.output_cost.nanos());
        writer.i64(settlement.finished_at_ms);
        writer.text(bounded(&settlement.response_id, Settlement::RESPONSE_ID_BYTES));
        let charge = settlement.charge.as_ref();
        let rare = settlement.usage.rare();
        if rare != [0; RARE_COUNT] || settlement.first_token_ms.is_some() || charge.is_some() {
            write_rare(rare, settlement.first_token_ms, writer);
        }
        if let Some(charge) = charge {
            charge::write_charge(charge, writer);
        }
    });
}

/// Which of the counts are not zero, and whether there is a first token, then those.
fn write_rare(counts: [u64; RARE_COUNT], first_token_ms: Option<u32>, writer: &mut Writer<'_>) {
    let present = |place: usize| u32::from(counts[place] != 0) << place;
    let mask = (0..counts.len()).map(present).sum::<u32>();
    writer.u32(mask | first_token_ms.map_or(0, |_| FIRST_TOKEN));
    for count in counts.into_iter().filter(|count| *count != 0) {
        writer.u64(count);
    }
    if let Some(first_token_ms) = first_token_ms {
        writer.u32(first_token_ms);
    }
}

pub fn encode_movement(sequence: u64, movement: &Movement, buffer: &mut Vec<u8>) {
    framed(sequence, 4, buffer, |writer| {
        writer.u128(movement.id.bits());
        writer.u128(movement.merchant_id.bits());
        writer.u8(movement.account.code());
        writer.u128(movement.account.bits());
        writer.u8(movement.kind.code());
        writer.i64(movement.amount.nanos());
        writer.i64(movement.quantity);
        writer.i64(movement.at_ms);
        writer.text(&movement.note);
    });
}

pub fn encode_turn(sequence: u64, turn: &Turn, buffer: &mut Vec<u8>) {
    framed(sequence, 5, buffer, |writer| charge::write_turn(turn, writer));
}

/// Reads what stands at the start of `bytes`.
pub fn decode(bytes: &[u8]) -> Decoded {
    let mut reader = Reader::new(bytes);
    let (Some(length), Some(checksum)) = (reader.u32(), reader.u32()) else {
        return Decoded::End;
    };
    if length == 0 {
        return if checksum == 0 { Decoded::End } else { Decoded::Damaged };
    }
    let length = length as usize;
    let Some(body) = bytes[8..].get(..length).filter(|_| (9..=LONGEST).contains(&length)) else {
        return Decoded::Damaged;
    };
    if crc32c::crc32c(body) != checksum {
        return Decoded::Damaged;
    }
    let mut reader = Reader::new(body);
    let parsed = reader
        .u64()
        .zip(reader.u8())
        .and_then(|(sequence, kind)| Some((sequence, payload(kind, &mut reader)?)));
    match parsed {
        Some((sequence, record)) if reader.is_empty() => Decoded::Record {
            sequence,
            record: Box::new(record),
            length: 8 + length,
        },
        Some(_) | None => Decoded::Damaged,
    }
}

fn framed(sequence: u64, kind: u8, buffer: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    let mut writer = Writer::new(buffer);
    writer.u64(sequence);
    writer.u8(kind);
    write(&mut writer);
    let body = &buffer[start + 8..];
    let length = u32::try_from(body.len()).expect("every field of a record is bounded");
    let checksum = crc32c::crc32c(body);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

fn payload(kind: u8, reader: &mut Reader<'_>) -> Option<Record> {
    match kind {
        1 => open(reader).map(Record::Open),
        2 => Some(Record::Progress {
            id: RequestId::from_bits(reader.u128()?),
            output_tokens: reader.u64()?,
        }),
        3 => settlement(reader).map(Record::Settle),
        4 => movement(reader).map(Record::Movement),
        5 => charge::read_turn(reader).map(Record::Turn),
        _ => None,
    }
}

fn open(reader: &mut Reader<'_>) -> Option<OpenRequest> {
    let id = RequestId::from_bits(reader.u128()?);
    let merchant_id = MerchantId::from_bits(reader.u128()?);
    let wallet_id = WalletId::from_bits(reader.u128()?);
    let spend_key_id = Some(reader.u128()?)
        .filter(|bits| *bits != 0)
        .map(SpendKeyId::from_bits);
    let admission = Admission {
        day_start: reader.i64()?,
        week_start: reader.i64()?,
        month_start: reader.i64()?,
    };
    let admitted_at_ms = reader.i64()?;
    let hold = Money::from_nanos(reader.i64()?);
    let price_version = reader.u32()?;
    let provider_key_type = ProviderKeyType::from_code(reader.u8()?)?;
    let flags = reader.u8()?;
    let input_estimate = Money::from_nanos(reader.i64()?);
    let output_nanos_per_million = reader.i64()?;
    let provider = reader.text()?;
    let model = Some(reader.text()?).filter(|_| flags & 4 != 0);
    let (endpoint, metadata) = (reader.text()?, reader.text()?);
    let attempt_of = match flags & 8 {
        0 => None,
        _ => Some(RequestId::from_bits(reader.u128()?)),
    };
    let metered = match flags & 16 {
        0 => None,
        _ => Some(charge::read_metered(reader)?),
    };
    Some(OpenRequest {
        id,
        attempt_of,
        merchant_id,
        wallet_id,
        spend_key_id,
        admission,
        admitted_at_ms,
        hold,
        price_version,
        provider_key_type,
        streaming: flags & 1 != 0,
        simulated: flags & 2 != 0,
        input_estimate,
        output_nanos_per_million,
        provider,
        model,
        endpoint,
        metadata,
        metered,
    })
}

fn settlement(reader: &mut Reader<'_>) -> Option<Settlement> {
    let id = RequestId::from_bits(reader.u128()?);
    let outcome = Outcome::from_code(reader.u8()?)?;
    let usage_source = UsageSource::from_code(reader.u8()?)?;
    let http_status = u16::try_from(reader.u32()?).ok()?;
    let mut counts = Usage::default().to_array();
    for count in &mut counts[..USUAL_COUNT] {
        *count = reader.u64()?;
    }
    let cost = Money::from_nanos(reader.i64()?);
    let input_cost = Money::from_nanos(reader.i64()?);
    let output_cost = Money::from_nanos(reader.i64()?);
    let finished_at_ms = reader.i64()?;
    let response_id = reader.text()?;
    let first_token_ms = read_rare(&mut counts[USUAL_COUNT..], reader)?;
    let charge = match reader.is_empty() {
        true => None,
        false => Some(charge::read_charge(reader)?),
    };
    Some(Settlement {
        id,
        outcome,
        usage_source,
        http_status,
        usage: Usage::from_array(counts),
        cost,
        input_cost,
        output_cost,
        finished_at_ms,
        first_token_ms,
        response_id,
        charge,
    })
}

/// Fills the counts; the inner value is the first token's time, where there is one.
fn read_rare(counts: &mut [u64], reader: &mut Reader<'_>) -> Option<Option<u32>> {
    if reader.is_empty() {
        return Some(None);
    }
    let flags = reader.u32()?;
    let mask = flags & !FIRST_TOKEN;
    if mask >> counts.len() != 0 {
        return None;
    }
    for (place, count) in counts.iter_mut().enumerate() {
        if mask >> place & 1 == 1 {
            *count = reader.u64()?;
        }
    }
    match flags & FIRST_TOKEN {
        0 => Some(None),
        _ => reader.u32().map(Some),
    }
}

fn movement(reader: &mut Reader<'_>) -> Option<Movement> {
    let id = MovementId::from_bits(reader.u128()?);
    let merchant_id = MerchantId::from_bits(reader.u128()?);
    let account = reader
        .u8()
        .zip(reader.u128())
        .and_then(|(code, bits)| AccountRef::from_parts(code, bits))?;
    Some(Movement {
        id,
        merchant_id,
        account,
        kind: MovementKind::from_code(reader.u8()?)?,
        amount: Money::from_nanos(reader.i64()?),
        quantity: reader.i64()?,
        at_ms: reader.i64()?,
        note: reader.text()?,
    })
}

/// The text cut to so many bytes, at a character's boundary.
fn bounded(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
