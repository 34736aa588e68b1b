//! Bodies of which nothing is read: any method, any bytes, through a credential of the caller's, with one row each.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use serde_json::json;

use crate::support::house::House;
use crate::support::http::Client;
use crate::support::scripted::{Scripted, Seen, answer};
use crate::support::server::{eventually, secret_key};

const FILES: &str = "/v1/forward?u=https://api.openai.com/v1/files/f1/content";

fn provider(seen: &Seen) -> Vec<u8> {
    match seen.method.as_str() {
        "HEAD" => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"e\"\r\n\r\n".to_vec(),
        "DELETE" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "OPTIONS" => answer("404 Not Found", &[("content-type", "text/html")], b"<html>none</html>"),
        "GET" if seen.header("if-none-match").is_some() => b"HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n".to_vec(),
        "GET" => {
            let headers = [
                ("content-type", "application/octet-stream"),
                ("content-range", "bytes 0-4/9"),
            ];
            answer("206 Partial Content", &headers, &vec![0xab; 5 << 20])
        }
        _ => answer("200 OK", &[("content-type", "application/octet-stream")], &seen.body),
    }
}

/// A server, its provider, and a caller who brings a credential along.
fn house() -> (House, Scripted, Client, String) {
    let scripted = Scripted::start(provider);
    let url = scripted.url();
    let house = House::with(|settings| settings.variable("OPENAI_BASE_URL", &url));
    let token = json!({ "secret_key": secret_key(), "provider_key": "sk-own" }).to_string();
    let token = base64::engine::general_purpose::STANDARD.encode(token);
    let caller = house.caller(&token);
    (house, scripted, caller, token)
}

#[test]
fn every_method_passes_with_any_bytes_and_has_its_row() {
    let (house, scripted, caller, _) = house();
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let binary = caller.clone().with_header("content-type", "application/octet-stream");
    for method in ["PUT", "POST", "PATCH"] {
        let echoed = binary.send(method, FILES, Some(bytes.clone())).expect_status(200);
        assert!(echoed.body == bytes, "{method}");
        let seen = scripted.last();
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            (method, "/v1/files/f1/content")
        );
        assert_eq!(seen.header("authorization"), Some("Bearer sk-own"));
        assert_eq!(seen.header("content-length"), Some("700000"));
        let row = house.row(&echoed);
        assert_eq!((&row["usage_source"], &row["cost"]), (&json!("none"), &json!("0.00")));
        assert_eq!(
            (&row["status"], &row["provider_key_type"]),
            (&json!("completed"), &json!("unmanaged"))
        );
    }
    let part = caller
        .clone()
        .with_header("range", "bytes=0-4")
        .get(FILES)
        .expect_status(206);
    assert_eq!(
        (part.body.len(), part.header("content-range")),
        (5 << 20, Some("bytes 0-4/9"))
    );
    assert_eq!(scripted.last().header("range"), Some("bytes=0-4"));
    let head = caller.send("HEAD", FILES, None).expect_status(200);
    assert_eq!((head.body.len(), head.header("etag")), (0, Some("\"e\"")));
    assert_eq!(house.row(&head)["status"], "completed");
    assert_eq!(caller.delete(FILES).expect_status(200).json(), json!({}));
    let none = caller.send("OPTIONS", FILES, None).expect_status(404);
    assert_eq!(
        (none.text().as_str(), &house.row(&none)["status"]),
        ("<html>none</html>", &json!("error"))
    );
    let same = caller.clone().with_header("if-none-match", "\"e\"").get(FILES);
    assert_eq!((same.status, same.body.len()), (304, 0));
    house.books_agree();
}

fn resident_kilobytes(house: &House) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn fifty_megabytes_pass_without_being_held() {
    let (house, scripted, _, token) = house();
    let before = resident_kilobytes(&house);
    let mut socket = TcpStream::connect(("127.0.0.1", house.server.port)).unwrap();
    let head = format!(
        "PUT {FILES} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let (piece, mut checksum, mut most) = (vec![0x5a; 1 << 20], crc32fast::Hasher::new(), 0);
    for _ in 0..50 {
        socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
        socket.write_all(&piece).unwrap();
        socket.write_all(b"\r\n").unwrap();
        checksum.update(&piece);
        most = most.max(resident_kilobytes(&house));
    }
    socket.write_all(b"0\r\n\r\n").unwrap();
    let mut first = [0; 15];
    socket.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let seen = scripted.last();
    assert_eq!((seen.size_bytes, seen.checksum), (50 << 20, checksum.finalize()));
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
    let grown = most.saturating_sub(before);
    assert!(grown < 20 << 10, "it grew by {grown} kB");
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_ends_the_call_to_the_provider() {
    let (house, scripted, _, token) = house();
    let mut socket = TcpStream::connect(("127.0.0.1", house.server.port)).unwrap();
    let head =
        format!("PUT {FILES} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ncontent-length: 5000000\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&[1; 1_000_000]).unwrap();
    drop(socket);
    eventually("the provider sees the end", || {
        scripted.seen().last().is_some_and(|seen| !seen.is_whole)
    });
    let rows = || {
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE status = 'error'")
    };
    eventually("it has its row", || rows() == 1);
    house.books_agree();
}
