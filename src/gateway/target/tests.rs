//! The wire forms that official and other clients were seen to send, and what must be refused.

use super::*;

fn parse(path_and_query: &str) -> Result<ForwardTarget, TargetError> {
    let openai = Url::parse("https://api.openai.com/v1").unwrap();
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    ForwardTarget::parse(path, query, |name| (name == "openai").then_some(&openai))
}

#[test]
fn reads_every_wire_form() {
    let chat = "https://api.openai.com/v1/chat/completions";
    let table = [
        (
            "/v1/forward?u=https%3A%2F%2Fapi.openai.com%2Fv1%2Fmodels%3Flimit%3D2%26x%3D1",
            "https://api.openai.com/v1/models?limit=2&x=1",
        ),
        ("/v1/forward?u=https://api.openai.com/v1/chat/completions", chat),
        ("/v1/forward/?u=https://api.openai.com/v1/chat/completions", chat),
        ("/v1/forward?u=HTTPS://API.OpenAI.com/v1/chat/completions", chat),
        ("/v1/forward?u=api.openai.com/v1/chat/completions", chat),
        ("/v1/forward?u=api.openai.com%2Fv1%2Fchat%2Fcompletions", chat),
        (
            "/v1/forward?u=https%3a%2f%2fapi.openai.com%2fv1%2fchat%2fcompletions",
            chat,
        ),
        ("/v1/forward?u=https%3A//api.openai.com/v1/chat/completions", chat),
        (
            "/v1/forward?u=https:%2F%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions",
            chat,
        ),
        ("/v1/forward?u=https:/api.openai.com/v1/chat/completions", chat),
        (
            "/v1/forward?u=https%3A%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions",
            chat,
        ),
        ("/v1/forward?u=HTTPS://API.OpenAI.com:443/v1/chat/completions", chat),
        ("/v1/forward?u=api.openai.com:443/v1/chat/completions", chat),
        ("/v1/forward?u=api.openai.com%3A443%2Fv1%2Fchat%2Fcompletions", chat),
        ("/v1/forward/https://api.openai.com:443/v1/chat/completions", chat),
        ("/v1/forward/api.openai.com:443/v1/chat/completions", chat),
        ("/v1/forward/openai?u=https://api.openai.com/v1/chat/completions", chat),
        ("/v1/forward/chat/completions?u=https://api.openai.com/v1", chat),
        ("/v1/forward/chat/completions?u=https%3A%2F%2Fapi.openai.com%2Fv1", chat),
        ("/v1/forward/openai/chat/completions?u=https://api.openai.com/v1", chat),
        ("/v1/forward?u=https://api.openai.com/v1/v1/chat/completions", chat),
        (
            "/v1/forward?u=api.openai.com/v1/files/a%2Fb",
            "https://api.openai.com/v1/files/a%2Fb",
        ),
        ("/v1/forward/openai/v1/chat/completions", chat),
        ("/v1/forward/openai/chat/completions", chat),
        ("/v1/forward/https://api.openai.com/v1/chat/completions", chat),
        ("/v1/forward/https:/api.openai.com/v1/chat/completions", chat),
        (
            "/v1/forward/https%3A%2F%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions",
            chat,
        ),
        ("/v1/forward/api.openai.com/v1/chat/completions", chat),
        (
            "/v1/forward?u=https://g.test/v1beta/models/g:streamGenerateContent?alt=sse&foo=1",
            "https://g.test/v1beta/models/g:streamGenerateContent?alt=sse&foo=1",
        ),
        (
            "/v1/forward?u=https://api.openai.com/v1/models&limit=2&after=x",
            "https://api.openai.com/v1/models?limit=2&after=x",
        ),
        (
            "/v1/forward?limit=2&u=https://api.openai.com/v1/models",
            "https://api.openai.com/v1/models?limit=2",
        ),
        (
            "/v1/forward/openai/v1/models?limit=2",
            "https://api.openai.com/v1/models?limit=2",
        ),
        (
            "/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fq%3Da%2520b",
            "https://a.test/x?q=a%20b",
        ),
        ("/v1/forward?u=https://a.test/x?q=a%20b", "https://a.test/x?q=a%20b"),
        (
            "/v1/forward?u=a.test/v1/files/a%2Fb?c=%26d%20e",
            "https://a.test/v1/files/a%2Fb?c=%26d%20e",
        ),
        ("/v1/forward?u=a.test?q=a%2Fb", "https://a.test/?q=a%2Fb"),
        ("/v1/forward?u=https://a.test/a%2Fb", "https://a.test/a%2Fb"),
        (
            "/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fr%3Dhttps://b.test/",
            "https://a.test/x?r=https://b.test/",
        ),
        (
            "/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fq%3D1%252B1",
            "https://a.test/x?q=1%2B1",
        ),
        (
            "/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fq%3D1+1",
            "https://a.test/x?q=1+1",
        ),
        ("/v1/forward?u=https://a.test/x?q=1+1", "https://a.test/x?q=1+1"),
        ("/v1/forward?u=https://a.test/a/../b/%2e%2e/c", "https://a.test/c"),
    ];
    for (request, url) in table {
        assert_eq!(parse(request).unwrap().url.as_str(), url, "{request}");
    }
}

#[test]
fn takes_our_own_parameters_out_wherever_they_stand() {
    let table = [
        "/v1/forward?metadata=%7B%22a%22%3A%22b%22%7D&key=aks_1&u=https://a.test/x?y=1",
        "/v1/forward?u=https://a.test/x?y=1&key=aks_1&metadata=%7B%22a%22%3A%22b%22%7D",
        "/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fy%3D1&metadata={\"a\":\"b\"}&key=aks_1",
        "/v1/forward?u=https://a.test/x?key=aks_1&y=1&metadata=%7B%22a%22:%22b%22%7D",
    ];
    for request in table {
        let target = parse(request).unwrap();
        assert_eq!(target.url.as_str(), "https://a.test/x?y=1", "{request}");
        assert_eq!(target.own.metadata.as_deref(), Some(r#"{"a":"b"}"#), "{request}");
        assert_eq!(
            target.own.key.as_ref().map(|key| key.expose().as_str()),
            Some("aks_1"),
            "{request}"
        );
        assert!(!format!("{target:?}").contains("aks_1"));
    }
}

#[test]
fn a_plus_is_a_blank_in_metadata_and_itself_in_a_key() {
    let target =
        parse("/v1/forward?u=https://a.test/x&metadata=%7B%22a%22:%22b+c%2Bd%22%7D&key=ey+a%2Bb/%3D%3D").unwrap();
    assert_eq!(target.url.as_str(), "https://a.test/x");
    assert_eq!(target.own.metadata.as_deref(), Some(r#"{"a":"b c+d"}"#));
    assert_eq!(target.own.key.unwrap().expose(), "ey+a+b/==");
    let inner = parse("/v1/forward?u=https%3A%2F%2Fa.test%2Fx%3Fkey%3Dey+a%253D").unwrap();
    assert_eq!(inner.own.key.unwrap().expose(), "ey+a=");
}

#[test]
fn a_key_never_stays_in_the_target_and_the_first_counts() {
    let table = [
        "/v1/forward?u=https://a.test/m?key=aks_1&y=1",
        "/v1/forward?key=aks_1&u=https://a.test/m?y=1",
        "/v1/forward?u=https%3A%2F%2Fa.test%2Fm%3Fkey%3Dother%26y%3D1%26key%3Dthird&key=aks_1",
        "/v1/forward/https://a.test/m?y=1&key=aks_1",
        "/v1/forward/a.test/m?key=aks_1&y=1&key=second",
        "/v1/forward/a.test/m?key=&y=1&key=aks_1",
    ];
    for request in table {
        let target = parse(request).unwrap();
        assert_eq!(target.url.as_str(), "https://a.test/m?y=1", "{request}");
        assert_eq!(target.own.key.unwrap().expose(), "aks_1", "{request}");
    }
    assert!(parse("/v1/forward?u=https://a.test/m&key=").unwrap().own.key.is_none());
}

#[test]
fn refuses_broken_and_repeated_parameters_by_name() {
    let table = [
        ("u=https://a.test/&u=https://b.test/", "u"),
        ("u=https://a.test/&metadata=a&metadata=b", "metadata"),
        ("u=https://a.test/&metadata=a&metadata=a", "metadata"),
        ("u=https://a.test/x?y=1&metadata=%F", "metadata"),
        ("u=https://a.test/&metadata=%FF", "metadata"),
        ("u=https://a.test/&metadata=%", "metadata"),
        ("u=https://a.test/&key=%4", "key"),
        ("u=https://a.test/&key=%C3", "key"),
        ("u=https://a.test/&key=aks_1&key=%F", "key"),
    ];
    for (query, param) in table {
        let error = parse(&format!("/v1/forward?{query}")).map(|target| target.url.to_string());
        assert_eq!(
            error.as_ref().err().map(|error| error.param),
            Some(param),
            "{query}: {error:?}"
        );
    }
}

#[test]
fn a_target_ends_at_2048_bytes() {
    let start = "https://a.test/";
    let line = |size_bytes: usize| format!("/v1/forward?u={start}{}", "a".repeat(size_bytes - start.len()));
    assert!(parse(&line(TARGET_LIMIT_BYTES)).is_ok());
    assert!(parse(&line(TARGET_LIMIT_BYTES + 1)).is_err());
    assert!(parse(&format!("{}&{}", line(TARGET_LIMIT_BYTES - 10), "b".repeat(20))).is_err());
}

#[test]
fn refuses_whatever_is_not_plainly_an_https_host() {
    let long = format!("https://a.test/{}", "x".repeat(2_048));
    let table = [
        "",
        "%20",
        "/v1/chat/completions",
        "%2Fv1%2Fchat",
        "./x",
        "?x",
        "chat",
        "https://",
        "https:///x",
        "https:a.test",
        "http://api.openai.com/v1",
        "ftp://a.test/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,x",
        "gopher://a.test",
        "//a.test/x",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://localhost/",
        "https://user@a.test/",
        "https://user:pass@a.test/",
        "https://@a.test/",
        "https://a.test:/",
        "https://a.test:0443/",
        "https://a.test:443:443/",
        "https://a.test:443@b.test/",
        "https://a.test:99999/",
        "https:443/x",
        "a.test:/x",
        "user:443/x",
        "user@a.test:443/x",
        "127.0.0.1:443/x",
        "https:/127.0.0.1/x",
        "https:/x",
        "https:/",
        "https%3A%2F%2Fa.test%2F%FF",
        "https%3A%2F%2Fa.test%2F%4",
        "https%3A%2F%2Fa.test%2F%",
        "https%3A%2F%2Fa.test%2F%+1",
        "https%3A%2F%2Fa.test%2F%zz",
        "https://a.test:8080/",
        "https://a.test./",
        "https://a.test\\@b.test/",
        "https:\\\\a.test/",
        "https://a.test/#x",
        "https%3A%2F%2Fa.test%2F%23x",
        "https%3A%2F%2Fa.test%2F%0D%0Ax",
        "https%3A%2F%2Fa.test%00%2F",
        "https%3A%2F%2Fa%09.test%2F",
        "https://a%2etest/x",
        "https://127%2e0.0.1/",
        "https%3A%2F%2F%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1%2F",
        "https%3A%2F%2F%E2%91%A0%E2%91%A1%E2%91%A6.0.0.1%2F",
        "https%3A%2F%2Fa%E3%80%82test%2F",
        "https%253A%252F%252Fa.test",
        "https%3A%2F%2F127.0.0.1%2F",
        "https%3A%2F%2Fuser%40a.test%2F",
        "https%3A%2F%2Fa.test%3A99%2F",
        "a.test:99/x",
        "https://a..test/\u{7f}",
        "https://a_b/",
        "https://-/x",
        long.as_str(),
    ];
    for target in table {
        let answer = parse(&format!("/v1/forward?u={target}")).map(|target| target.url.to_string());
        let param = answer.as_ref().err().map(|error| error.param);
        assert_eq!(param, Some("u"), "{target}: {answer:?}");
    }
    for request in [
        "/v1/forward",
        "/v1/forward/",
        "/v1/forward?metadata={}",
        "/v1/forward/openai",
        "/v1/forward/unknown/v1/x",
        "/v1/forward/https://127.0.0.1/x",
        "/v1/forward/https://u@a.test/",
        "/v1/forward/127.0.0.1/x",
        "/v1/forward/http://a.test/x",
        "/v1/forward/https%3A%2F%2Fa.test%2F%FF",
        "/v1/forward?u",
        "/v1/forward?u=https://a.test/&u=https://b.test/",
        "/v1/forward/https://a.test/x?u=https://a.test/",
    ] {
        let error = parse(request).map(|target| target.url.to_string());
        assert!(error.is_err(), "{request}: {error:?}");
    }
}

#[test]
fn a_provider_in_the_path_cannot_be_escaped_from() {
    for request in [
        "/v1/forward/openai/../../x",
        "/v1/forward/openai/%2e%2e/@evil.test/x",
        "/v1/forward/openai//evil.test/x",
    ] {
        let target = parse(request).map(|target| target.url.host_str().unwrap_or_default().to_owned());
        assert!(
            target.as_deref().map_or(true, |host| host == "api.openai.com"),
            "{request}: {target:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn whatever_passes_is_https_to_a_named_host(target in "(https://|https%3A%2F%2F)?[a-z0-9.@:%/?#&=\\\\\\[\\]-]{0,40}") {
        if let Ok(target) = parse(&format!("/v1/forward?u={target}")) {
            let url = target.url;
            proptest::prop_assert!(url.scheme() == "https" && url.port().is_none() && url.fragment().is_none());
            proptest::prop_assert!(url.username().is_empty() && url.password().is_none());
            proptest::prop_assert!(matches!(url.host(), Some(Host::Domain(_))));
        }
    }
}
