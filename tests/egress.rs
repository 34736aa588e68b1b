//! Where calls may go: hostile addresses are refused with nothing sent, legal ones of the catalogue are served.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use base64::Engine as _;
use serde_json::json;

use crate::support::house::{House, chat};
use crate::support::http::Client;
use crate::support::server::secret_key;

/// Addresses of every special range that an IPv4 host may hide behind.
const SPECIAL: [[u8; 4]; 15] = [
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [100, 64, 0, 1],
    [127, 0, 0, 1],
    [127, 0, 0, 2],
    [169, 254, 169, 254],
    [172, 16, 0, 1],
    [192, 0, 0, 192],
    [192, 0, 2, 1],
    [192, 168, 1, 1],
    [198, 18, 0, 1],
    [198, 51, 100, 1],
    [203, 0, 113, 1],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
];

/// All spellings of an address that some parser takes for it.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let bits = u32::from(address);
    let fullwidth = |text: &str| -> String {
        let wide = |digit: char| char::from_u32(digit as u32 - '0' as u32 + 0xff10).unwrap_or(digit);
        text.chars()
            .map(|digit| if digit.is_ascii_digit() { wide(digit) } else { '。' })
            .collect()
    };
    let circled: String = format!("{a}.{b}.{c}.{d}")
        .chars()
        .map(|digit| match digit {
            '1'..='9' => char::from_u32(digit as u32 - '1' as u32 + 0x2460).unwrap_or(digit),
            '0' => '⓪',
            other => other,
        })
        .collect();
    let [high, low] = [bits >> 16, bits & 0xffff];
    vec![
        address.to_string(),
        format!("{address}."),
        bits.to_string(),
        format!("0x{bits:08x}"),
        format!("0{bits:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{}", bits & 0x00ff_ffff),
        format!("{a}.{b}.{low}"),
        fullwidth(&address.to_string()),
        circled,
        format!("[::ffff:{address}]"),
        format!("[::{address}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[{}]", Ipv6Addr::from(u128::from(bits) | 0xfe80 << 112)),
        format!("[fe80::1%25eth0]"),
        format!("user@{address}"),
        format!("api.openai.com@{address}"),
        format!("api.openai.com%40{address}"),
        format!("{address}%2eapi.openai.com"),
        format!("{address}\\.api.openai.com"),
        format!("{address}%09"),
        format!("%31{}", &address.to_string()[1..]),
    ]
}

/// Hosts that are no provider's, however much they look like one, and ports and schemes that are not ours to call.
const ODD: [&str; 40] = [
    "https://localhost/v1/chat/completions",
    "https://localhost./v1/chat/completions",
    "https://localtest.me/v1/chat/completions",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://metadata/latest",
    "https://postgres/v1",
    "https://api.openai.com.evil.example/v1/chat/completions",
    "https://evil.example/api.openai.com/v1/chat/completions",
    "https://evil.example?api.openai.com/v1",
    "https://evil.example#api.openai.com/v1",
    "https://evil.example\\@api.openai.com/v1",
    "https://api.openai.com:8443/v1/chat/completions",
    "https://api.openai.com:80/v1/chat/completions",
    "https://api.openai.com:0443x/v1/chat/completions",
    "https://api.openai.com:/@evil.example/v1",
    "https://api.openai.com./v1/chat/completions",
    "https://api.openai.com@evil.example/v1/chat/completions",
    "https://user:pass@api.openai.com/v1/chat/completions",
    "https://api.openai.com%00.evil.example/v1",
    "https://api.openai.com%0d%0aHost:%20evil.example/v1",
    "https://api.openai.com%2fv1%2fchat%2fcompletions",
    "https://api.openai.com%5c.evil.example/v1",
    "https://api\u{2024}openai.com/v1/chat/completions",
    "https://xn--pi-openai-com.example/v1",
    "https://\u{430}pi.openai.com/v1/chat/completions",
    "https://api..openai.com/v1/chat/completions",
    "https://.api.openai.com/v1/chat/completions",
    "https://-api.openai.com/v1/chat/completions",
    "https:api.openai.com/v1/chat/completions",
    "https:///v1/chat/completions",
    "https://",
    "http://api.openai.com/v1/chat/completions",
    "ftp://api.openai.com/v1/chat/completions",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "ws://api.openai.com/v1/realtime",
    "wss://api.openai.com/v1/realtime",
    "javascript://api.openai.com/%0aalert(1)",
    "//127.0.0.1/v1",
    "/v1/chat/completions",
];

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Listens where a call that slipped through would arrive: on a port of every address of this machine.
fn trap() -> TcpListener {
    let trap = TcpListener::bind("0.0.0.0:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    trap
}

#[test]
fn hostile_addresses_are_refused_with_no_packet_sent() {
    let house = House::new();
    let trap = trap();
    let port = trap.local_addr().unwrap().port();
    let mut urls: Vec<String> = ODD.iter().map(|url| (*url).to_owned()).collect();
    for special in SPECIAL {
        for host in spellings(special.into()) {
            urls.push(format!("https://{host}/v1/chat/completions"));
            urls.push(format!("http://{host}:{port}/v1/chat/completions"));
        }
    }
    assert!(urls.len() >= 400, "{}", urls.len());
    // With a credential of his own a caller reaches more than with the operator's.
    let token = json!({ "secret_key": secret_key(), "provider_key": "mine" }).to_string();
    let token = base64::engine::general_purpose::STANDARD.encode(token);
    for key in [secret_key(), token.as_str()] {
        let client = Client::new(&house.server.url()).with_key(key);
        for url in &urls {
            let answer = client.post(&format!("/v1/forward?u={}", encoded(url)), &chat(""));
            assert_eq!(answer.status, 400, "{url}: {}", answer.text());
            assert!(answer.json()["error"]["code"].is_string(), "{url}");
        }
    }
    assert_eq!(trap.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(house.simulator.ledger()["requests"], 0);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 0);
}

/// Base addresses of the catalogue, with the variables that lead them to the simulated provider.
const PROVIDERS: [(&str, &str); 10] = [
    ("OPENAI", "api.openai.com/v1"),
    ("MISTRAL", "api.mistral.ai/v1"),
    ("DEEPSEEK", "api.deepseek.com/v1"),
    ("XAI", "api.x.ai/v1"),
    ("GROQ", "api.groq.com/openai/v1"),
    ("TOGETHER", "api.together.xyz/v1"),
    ("FIREWORKS", "api.fireworks.ai/inference/v1"),
    ("DEEPINFRA", "api.deepinfra.com/v1/openai"),
    ("NOVITA", "api.novita.ai/v3/openai"),
    ("COHERE", "api.cohere.ai/compatibility/v1"),
];

#[test]
fn legal_addresses_of_the_catalogue_are_served_in_every_spelling() {
    let house = House::with(|mut settings| {
        let url = settings.value("OPENAI_BASE_URL").unwrap();
        for (name, _) in PROVIDERS {
            settings = settings.variable(&format!("{name}_BASE_URL"), &url);
            settings = settings.variable(&format!("{name}_API_KEY"), "sim");
        }
        settings
    });
    let client = house.caller(secret_key());
    let mut served = 0;
    for (_, base) in PROVIDERS {
        let url = format!("https://{base}/chat/completions");
        let paths = [
            format!("/v1/forward?u={}", encoded(&url)),
            format!("/v1/forward?u={url}"),
            format!("/v1/forward?u={base}/chat/completions"),
            format!("/v1/forward/{url}"),
            format!("/v1/forward?u={}", url.replace("https://", "HTTPS:/")),
        ];
        for path in paths {
            let answer = client.post(&path, &chat("output_tokens=1"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            served += 1;
        }
    }
    assert_eq!(house.simulator.ledger()["completed"], served);
}
