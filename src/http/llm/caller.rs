//! Who makes a gateway call: the first of the five places that holds one of our credentials wins. What is none of ours
//! is passed over, for a client may hold another's credential in an earlier place. A forward token is a secret key with
//! the customer, the meter or the provider's key beside it. It fails closed: a call without a credential is refused,
//! and counted by its address; so is one for a customer or on a meter that the merchant does not have.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::engine::customers::Customers;
use crate::engine::keyring::{Credential, Keyring};
use crate::engine::tariffs::Tariffs;
use crate::gateway::token::{ForwardToken, TokenError};
use crate::gateway::{Billing, Caller, MeterPayer};
use crate::http::address::client_address;
use crate::http::auth::presented_tokens;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;

/// Where the clients of some providers put their credential; only the gateway looks there.
const PROVIDER_HEADERS: [&str; 2] = ["x-goog-api-key", "xi-api-key"];

/// The caller of a gateway route. `query_key` is what stood in `?key=`.
pub fn find(
    request: &HttpRequest,
    state: &web::Data<AppState>,
    query_key: Option<&Secret<String>>,
) -> Result<Caller, ApiError> {
    let tokens = presented(request.headers()).chain(query_key.map(|key| key.expose().as_str()));
    let known = Known {
        keyring: &state.keyring,
        customers: &state.customers,
        tariffs: &state.tariffs,
    };
    choose(tokens, &known).unwrap_or_else(|fault| {
        state
            .edge()
            .failure_limit
            .count(client_address(request, &state.edge().trusted_proxies))?;
        let refusal = ApiError::new(ErrorCode::InvalidApiKey);
        Err(match fault {
            Some(fault) => refusal.say(fault.to_string()),
            None => refusal,
        })
    })
}

/// The texts that the headers of a gateway call offer as a credential, in the order in which they count.
pub fn presented(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let others = PROVIDER_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .filter_map(|value| value.to_str().ok());
    presented_tokens(headers).chain(others.map(str::trim))
}

/// What credentials and tokens can name.
struct Known<'a> {
    keyring: &'a Keyring,
    customers: &'a Customers,
    tariffs: &'a Tariffs,
}

/// What the first credential of ours comes to. Where there is none, what is wrong with the first text that looked like
/// a forward token, if one did.
fn choose<'a>(
    tokens: impl Iterator<Item = &'a str>,
    known: &Known<'_>,
) -> Result<Result<Caller, ApiError>, Option<TokenError>> {
    let mut fault = None;
    for token in tokens {
        if let Some(credential) = known.keyring.find(token) {
            return Ok(with_key(credential, None));
        }
        match ForwardToken::decode(token) {
            Ok(token) => {
                if let Some(credential) = known.keyring.find(token.secret_key.expose()) {
                    return Ok(with_token(known, credential, &token));
                }
            }
            Err(error @ TokenError::CustomerWithoutMeter) => {
                let refusal = ApiError::new(ErrorCode::InvalidRequest).say(error.to_string());
                return Ok(Err(refusal.param("meter_slug")));
            }
            Err(TokenError::NotAToken) => {}
            Err(error @ (TokenError::TooLong | TokenError::Members(_))) => {
                fault.get_or_insert(error);
            }
        }
    }
    Err(fault)
}

fn with_token(known: &Known<'_>, credential: Credential, token: &ForwardToken) -> Result<Caller, ApiError> {
    let caller = with_key(credential, token.provider_key.clone())?;
    let billing = billing(known, caller.merchant.id, token)?;
    Ok(Caller {
        billing: billing.map(Arc::new),
        ..caller
    })
}

/// The meter and the customer that the token names, and whether he pays.
fn billing(known: &Known<'_>, merchant: MerchantId, token: &ForwardToken) -> Result<Option<Billing>, ApiError> {
    let customer = token.customer.as_deref().map(|named| {
        let found = known.customers.find(merchant, named);
        found.ok_or_else(|| {
            let refusal = ApiError::new(ErrorCode::CustomerNotFound);
            refusal.field("customer_id", named).param("customer_id")
        })
    });
    let customer = customer.transpose()?;
    let Some(named) = token.meter.as_deref() else {
        return Ok(None);
    };
    let meter = known.tariffs.meter_by_slug(merchant, named);
    let meter = meter.ok_or_else(|| ApiError::missing("meter_slug", "meter").field("meter_slug", named))?;
    let payer = match customer {
        None => MeterPayer::Nobody,
        Some(customer) if token.disable_billing => MeterPayer::NobodyFor(customer.id),
        Some(customer) => MeterPayer::Customer(customer.id),
    };
    Ok(Some(Billing { meter, payer }))
}

fn with_key(credential: Credential, provider_key: Option<Secret<String>>) -> Result<Caller, ApiError> {
    match credential {
        Credential::Secret(key) => {
            let merchant = key.merchant.clone();
            Ok(Caller {
                wallet_id: merchant.default_wallet_id,
                merchant,
                spend_key: None,
                provider_key,
                billing: None,
            })
        }
        Credential::Spend { merchant, settings } => Ok(Caller {
            wallet_id: settings.wallet_id,
            merchant,
            spend_key: Some(settings),
            provider_key,
            billing: None,
        }),
        Credential::Wallet(_) => {
            let message = "A wallet key manages spend keys; calls need a spend key (lava_sk_...), a secret key or a forward token.";
            Err(ApiError::new(ErrorCode::WrongKeyKind).say(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use base64::Engine as _;

    use super::*;
    use crate::domain::credential::{KeyKind, Pepper, mint};
    use crate::domain::ids::{MerchantId, Mode, SecretKeyId, WalletId};
    use crate::engine::keyring::{Merchant, SecretKey};

    /// A keyring of one secret key, that key, and another of the same form that is not known.
    fn keyring() -> (Keyring, String, String) {
        let keyring = Keyring::new(Pepper::new(&[7; 32]));
        let key = |seed: u8| mint(KeyKind::Secret(Mode::Live), &[seed; 64]).expose().clone();
        let merchant = Merchant {
            id: MerchantId::compose(Mode::Live, 0, 1),
            default_wallet_id: WalletId::compose(Mode::Live, 0, 2),
        };
        let credential = Credential::Secret(Arc::new(SecretKey {
            id: SecretKeyId::compose(Mode::Live, 0, 3),
            merchant: Arc::new(merchant),
        }));
        keyring.insert(keyring.hash(&key(1)), credential);
        (keyring, key(1), key(2))
    }

    fn known<'a>(keyring: &'a Keyring, customers: &'a Customers, tariffs: &'a Tariffs) -> Known<'a> {
        Known {
            keyring,
            customers,
            tariffs,
        }
    }

    fn token(json: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(json)
    }

    #[test]
    fn all_four_headers_are_looked_at_in_their_order() {
        let lines = [
            ("xi-api-key", "five"),
            ("x-goog-api-key", " four "),
            ("x-api-key", "three"),
            ("authorization", "Bearer one"),
            ("authorization", "Bearer two"),
            ("x-other-key", "none"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let found: Vec<_> = presented(&headers).collect();
        assert_eq!(found, ["one", "two", "three", "four", "five"]);
    }

    #[test]
    fn what_is_none_of_ours_does_not_stop_the_search() {
        let (keyring, known, unknown) = keyring();
        let (customers, tariffs) = (Customers::default(), Tariffs::default());
        let books = self::known(&keyring, &customers, &tariffs);
        let foreign = [
            String::new(),
            "sk-proj-abc".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9.e30.x".to_owned(),
            token(r#"{"user":"u","password":"p"}"#),
            token(r#"["x"]"#),
            token(r#"{"secret_key":"aks_live_of_another_house"}"#),
            token(&format!(r#"{{"secret_key":"{unknown}"}}"#)),
            "A".repeat(5_000),
            unknown,
        ];
        let with_provider_key = token(&format!(r#"{{"secret_key":"{known}","provider_key":"p"}}"#));
        for first in &foreign {
            for (ours, provider_key) in [(&known, None), (&with_provider_key, Some("p"))] {
                let caller = choose([first.as_str(), ours].into_iter(), &books);
                let caller = caller.expect("one of ours").expect("a caller");
                let given = caller.provider_key.as_ref().map(|key| key.expose().as_str());
                assert_eq!(given, provider_key, "{first}");
            }
            assert!(choose([first.as_str()].into_iter(), &books).is_err(), "{first}");
        }
        let all = foreign.iter().map(String::as_str);
        assert!(matches!(choose(all, &books), Err(Some(TokenError::Members(_)))));
    }

    #[test]
    fn a_token_of_ours_that_cannot_be_served_stops_the_search_with_its_reason() {
        let (keyring, known, _) = keyring();
        let (customers, tariffs) = (Customers::default(), Tariffs::default());
        let books = self::known(&keyring, &customers, &tariffs);
        let table = [
            (r#""customer_id":"c""#, ErrorCode::InvalidRequest),
            (
                r#""customer_profile_secret":"c","plan_id":"sc_1""#,
                ErrorCode::InvalidRequest,
            ),
            (r#""customer_id":"c","meter_slug":"m""#, ErrorCode::CustomerNotFound),
            (r#""meter_slug":"m""#, ErrorCode::NotFound),
        ];
        for (members, code) in table {
            let first = token(&format!(r#"{{"secret_key":"{known}",{members}}}"#));
            let found = choose([first.as_str(), &known].into_iter(), &books);
            let refusal = found.expect("one of ours").err().map(|refusal| refusal.code());
            assert_eq!(refusal, Some(code), "{members}");
        }
    }
}
