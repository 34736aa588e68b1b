//! What a spend key may do: its settings, as the management API sets them and as the keyring and the shards read them.
//! Everything here is static between edits; what a key has spent is in `spend`.

use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use ipnet::IpNet;

use super::cycle::Cycle;
use super::ids::{MerchantId, SpendKeyId, WalletId};
use super::money::Money;
use super::rate::RateLimit;
use super::words::words;

words! {
    /// Whether a key takes calls. A revoked key leaves the lists for good.
    KeyStatus { Active = "active", Paused = "paused", Revoked = "revoked" }
    /// The wire format that a key may be called with on the unified endpoints.
    RequestShape { OpenAi = "openai", Anthropic = "anthropic" }
    /// How a spend limit is held: see `decisions.md`, section 3.
    Enforcement { Adaptive = "adaptive", Strict = "strict", Soft = "soft", Observe = "observe" }
    /// What becomes of the provider's stream when the client goes away: read to its end for exact usage, or cut and
    /// billed by estimate for what was served.
    OnDisconnect { Drain = "drain", Cancel = "cancel" }
}

/// At most this much in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendLimit {
    pub amount: Money,
    pub cycle: Cycle,
}

/// At most this many admitted requests in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    pub count: u64,
    pub cycle: Cycle,
}

/// All settings of one spend key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySettings {
    pub id: SpendKeyId,
    pub merchant_id: MerchantId,
    pub wallet_id: WalletId,
    /// Counts the key's secrets: a call that was recognised by an older secret is refused.
    pub secret_version: u32,
    pub name: Arc<str>,
    pub status: KeyStatus,
    pub request_shape: RequestShape,
    pub allowed_models: Option<Vec<String>>,
    pub allowed_providers: Option<Vec<String>>,
    pub allowed_ips: Option<Vec<IpNet>>,
    pub spend_limit: Option<SpendLimit>,
    pub request_limit: Option<RequestLimit>,
    pub rate_limit: Option<RateLimit>,
    pub max_parallel: Option<u32>,
    pub enforcement: Enforcement,
    pub on_disconnect: OnDisconnect,
    pub timezone: Tz,
    /// Unix milliseconds.
    pub expires_at_ms: Option<i64>,
}

impl KeySettings {
    pub fn allows_model(&self, model: &str) -> bool {
        self.allowed_models
            .as_ref()
            .is_none_or(|list| list.iter().any(|pattern| matches_wildcard(pattern, model)))
    }

    pub fn allows_provider(&self, provider: &str) -> bool {
        self.allowed_providers
            .as_ref()
            .is_none_or(|list| list.iter().any(|pattern| matches_wildcard(pattern, provider)))
    }

    /// An address that is not known does not pass a list.
    pub fn allows_ip(&self, address: Option<IpAddr>) -> bool {
        self.allowed_ips.as_ref().is_none_or(|list| {
            address.is_some_and(|address| list.iter().any(|net| net.contains(&address.to_canonical())))
        })
    }

    /// Whether a call must be covered before it runs, so that its model needs a price.
    pub fn must_cover(&self) -> bool {
        self.spend_limit.is_some()
            && match self.enforcement {
                Enforcement::Adaptive | Enforcement::Strict | Enforcement::Soft => true,
                Enforcement::Observe => false,
            }
    }
}

/// Whether `text` fits a pattern in which `*` stands for any run of characters; ASCII case is ignored.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, place));
            at += 1;
        } else if pattern
            .get(at)
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&text[place]))
        {
            at += 1;
            place += 1;
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            at = star_at + 1;
            place = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_runs() {
        let table = [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*", "anything", true),
            ("*mini", "gpt-4o-mini", true),
            ("*mini", "gpt-4o-mini-2024", false),
            ("claude-*-4*", "claude-sonnet-4-5", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("GPT-4O", "gpt-4o", true),
            ("", "", true),
            ("", "x", false),
            ("**", "", true),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(matches_wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
