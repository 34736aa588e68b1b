//! Several credentials of one provider, as calls and answers change them.

use super::super::tests::catalogue;
use super::*;

fn now(monotonic_us: u64) -> Now {
    Now {
        wall_ms: 1_795_262_400_000,
        monotonic_us,
    }
}

#[test]
fn each_kind_of_answer_has_its_pause() {
    let limited = |retry_after| Reply::Status {
        status: 429,
        retry_after,
    };
    let status = |status| Reply::Status {
        status,
        retry_after: Some("30"),
    };
    let table = [
        (Reply::None, Some(5_000)),
        (limited(None), Some(5_000)),
        (limited(Some("7")), Some(7_000)),
        (limited(Some(" 60 ")), Some(60_000)),
        (limited(Some("3600")), Some(60_000)),
        (limited(Some("99999999999999999999")), Some(5_000)),
        (limited(Some("0")), None),
        (limited(Some("soon")), Some(5_000)),
        (limited(Some("Sat, 21 Nov 2026 12:00:09 GMT")), Some(9_000)),
        (limited(Some("Sat, 21 Nov 2026 11:59:00 GMT")), None),
        (limited(Some("Sun, 22 Nov 2026 12:00:00 GMT")), Some(60_000)),
        (status(401), Some(60_000)),
        (status(403), Some(60_000)),
        (status(500), Some(5_000)),
        (status(529), Some(5_000)),
        (status(200), None),
        (status(301), None),
        (status(400), None),
        (status(404), None),
    ];
    for (reply, wanted_ms) in table {
        let pause = reply.pause(now(0)).map(|pause| pause.as_millis());
        assert_eq!(pause, wanted_ms, "{reply:?}");
    }
}

#[test]
fn a_credential_that_was_turned_away_rests_while_the_others_serve() {
    let catalogue = catalogue(&[("OPENAI_API_KEYS", "sk-one*2, sk-two")]);
    let provider = catalogue.find("openai").unwrap();
    let key = |at_us| {
        let (Some(Credential::Header((_, value))), lease) = provider.lend(CredentialStyle::Bearer, || now(at_us))
        else {
            panic!("openai takes a header");
        };
        (value.to_str().unwrap().to_owned(), lease.unwrap())
    };
    let keys: Vec<String> = (0..6).map(|_| key(0).0).collect();
    assert_eq!(keys.iter().filter(|key| *key == "Bearer sk-one").count(), 4);
    let limited = Reply::Status {
        status: 429,
        retry_after: Some("2"),
    };
    let (first, lease) = key(0);
    lease.take(limited, now(0));
    for at_us in [0, 1_999_999] {
        assert_ne!(key(at_us).0, first);
    }
    let (second, lease) = key(1_000_000);
    lease.take(Reply::None, now(1_000_000));
    assert_eq!(key(1_000_001).0, first, "both cool down, and this one is free first");
    assert_eq!(key(5_999_999).0, first);
    let later: Vec<String> = (0..3).map(|_| key(6_000_000).0).collect();
    assert!(later.contains(&second));
}

#[test]
fn a_second_try_has_another_credential_or_none() {
    let catalogue = catalogue(&[("OPENAI_API_KEYS", "sk-one,sk-two")]);
    let provider = catalogue.find("openai").unwrap();
    let (_, lease) = provider.lend(CredentialStyle::Bearer, || now(0));
    let (second, other) = provider
        .lend_other(CredentialStyle::Bearer, &[lease.unwrap()], now(0))
        .unwrap();
    let Credential::Header((_, value)) = second else {
        panic!("openai takes a header");
    };
    assert_eq!(value.to_str().unwrap(), "Bearer sk-two");
    other.take(Reply::None, now(0));
    assert!(provider.lend_other(CredentialStyle::Bearer, &[], now(1)).is_some());
    assert!(
        provider
            .lend_other(
                CredentialStyle::Bearer,
                &[provider.lend(CredentialStyle::Bearer, || now(1)).1.unwrap()],
                now(1)
            )
            .is_none()
    );
}

#[test]
fn one_credential_is_lent_without_asking_the_time_and_never_rests() {
    let table = [("OPENAI_API_KEY", "sk-one"), ("OPENAI_API_KEYS", "sk-one*7")];
    for variable in table {
        let catalogue = catalogue(&[variable]);
        let (credential, lease) = catalogue
            .find("openai")
            .unwrap()
            .lend(CredentialStyle::Bearer, || panic!("nobody asks"));
        assert!(credential.is_some() && lease.is_none());
    }
    let nothing = catalogue(&[]);
    let (credential, lease) = nothing
        .find("openai")
        .unwrap()
        .lend(CredentialStyle::Bearer, || panic!("nobody asks"));
    assert!(credential.is_none() && lease.is_none());
}
