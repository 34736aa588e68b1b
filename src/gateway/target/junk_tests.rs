//! What hostile and broken addresses become: a plain https address of a named host, or a refusal. The pieces are those
//! of which attacks on URL readers are made, put together at random behind every route that takes an address.

use std::net::IpAddr;

use super::*;
use crate::gateway::noise::Noise;

const CASES: usize = 20_000;

const PIECES: [&str; 60] = [
    "https://",
    "HTTPS://",
    "http://",
    "https:/",
    "https%3A%2F%2F",
    "https%3a//",
    "ftp://",
    "file:///",
    "//",
    "\\\\",
    "api.openai.com",
    "api.openai.com.",
    "evil.example",
    "localhost",
    "localhost.",
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f000001",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
    "1.2.3.4.5",
    "1.2.3.0x4",
    "xn--bcher-kva.example",
    "①②⑦.0.0.1",
    "ｌｏｃａｌｈｏｓｔ",
    "。",
    "%2e",
    "%00",
    "%0d%0a",
    "%40",
    "@",
    "user:pass@",
    ":",
    ":443",
    ":80",
    ":0443",
    ":65536",
    "/",
    "/../",
    "/%2e%2e/",
    "/v1/chat/completions",
    "?",
    "#",
    "&",
    "&u=",
    "&key=aks_live_x",
    "?key=k",
    "key=",
    "&metadata={}",
    "%zz",
    "%",
    "+",
    " ",
    "\t",
    "é",
    ".",
];

/// What every address must be that a call may go to.
fn assert_plain(url: &Url, asked: &str) {
    assert_eq!(url.scheme(), "https", "{asked:?}: {url}");
    assert!(url.port().is_none() && url.fragment().is_none(), "{asked:?}: {url}");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{asked:?}: {url}"
    );
    assert!(matches!(url.host(), Some(Host::Domain(_))), "{asked:?}: {url}");
    let host = url.host_str().unwrap();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    assert!(host.contains('.') && host.bytes().all(plain), "{asked:?}: {host}");
    assert!(
        !host.ends_with('.') && host.parse::<IpAddr>().is_err(),
        "{asked:?}: {host}"
    );
    // Readers of old take a name whose last label is a number for an address.
    let last = host.rsplit('.').next().unwrap();
    let hexadecimal = last.strip_prefix("0x").unwrap_or("none");
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    assert!(
        !is_number && !hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{asked:?}: {host}"
    );
    assert!(url.as_str().len() <= TARGET_LIMIT_BYTES, "{asked:?}: {url}");
    assert!(
        url.as_str().bytes().all(|byte| byte.is_ascii_graphic()),
        "{asked:?}: {url}"
    );
    let again = Url::parse(url.as_str()).unwrap();
    assert_eq!(again.host(), url.host(), "{asked:?}");
}

fn has_key(url: &Url) -> bool {
    pieces(url.query().unwrap_or_default()).any(|piece| piece.starts_with("key="))
}

fn address(noise: &mut Noise) -> String {
    const STARTS: [&str; 4] = [
        "https://api.openai.com",
        "api.anthropic.com/v1",
        "https%3A%2F%2Fapi.openai.com",
        "",
    ];
    let count = noise.below(6);
    let mut address: String = (noise.pick(&STARTS)).to_owned();
    address.extend((0..count).map(|_| noise.pick(&PIECES)));
    if noise.below(3) > 0 {
        return address;
    }
    address.push('/');
    String::from_utf8_lossy(&noise.mutate(address.as_bytes())).into_owned()
}

#[test]
fn whatever_becomes_of_a_hostile_address_it_is_a_named_host_over_https() {
    let openai = Url::parse("https://api.openai.com/v1").unwrap();
    let base = |name: &str| (name == "openai").then_some(&openai);
    let mut noise = Noise::new(0x9E37_79B9_7F4A_7C15);
    let (mut forwarded, mut rewritten) = (0, 0);
    for case in 0..CASES {
        let address = address(&mut noise);
        let asked = match case % 5 {
            0 => format!("/v1/forward?u={address}"),
            1 => format!("/v1/forward/{address}"),
            2 => format!("/v1/forward/openai/{address}"),
            3 => format!("/v1/forward/{address}?u=https://api.openai.com"),
            _ => format!(
                "/v1/rewrite/{}/{address}",
                noise.pick(&["openai", "google", "bedrock", "x", ""])
            ),
        };
        let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
        if let Ok(target) = ForwardTarget::parse(path, query, base) {
            forwarded += 1;
            assert_plain(&target.url, &asked);
            assert!(!has_key(&target.url), "{asked:?}: {}", target.url);
            if case % 5 == 3 && query.starts_with("u=") && !query.contains("&u=") {
                assert_eq!(target.url.host_str(), Some("api.openai.com"), "{asked:?}");
            }
        }
        if let Ok(target) = RewriteTarget::parse(path, query) {
            rewritten += 1;
            for url in &target.urls {
                assert_plain(url, &asked);
                assert!(!has_key(url), "{asked:?}: {url}");
            }
            assert!(
                target.addressed.is_none_or(|addressed| !addressed.model.is_empty()),
                "{asked:?}"
            );
        }
        let own = OwnParameters::read(query);
        assert!(own.is_err() || own.is_ok_and(|own| own.key.is_none_or(|key| !key.expose().is_empty())));
    }
    assert!(
        forwarded > CASES / 20 && rewritten > CASES / 50,
        "{forwarded}, {rewritten}"
    );
}
