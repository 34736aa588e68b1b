//! A streaming client over a bare socket, which reads one event at a time and leaves as it likes: with FIN or with RST.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const READ_LIMIT: Duration = Duration::from_secs(60);

/// One answer being read.
pub struct EventStream {
    pub status: u16,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    reader: BufReader<TcpStream>,
    decoded: Vec<u8>,
    framing: Framing,
}

enum Framing {
    Chunked,
    Length(usize),
    UntilClose,
    Ended,
}

impl EventStream {
    /// Posts this body with this bearer key and reads the head of the answer.
    pub fn post(port: u16, path: &str, key: &str, body: &Value) -> Self {
        Self::post_with_headers(port, path, &[("authorization", &format!("Bearer {key}"))], body)
    }

    /// Gets this with this bearer key and reads the head of the answer.
    pub fn get(port: u16, path: &str, key: &str) -> Self {
        Self::get_with_headers(port, path, &[("authorization", &format!("Bearer {key}"))])
    }

    pub fn post_with_headers(port: u16, path: &str, headers: &[(&str, &str)], body: &Value) -> Self {
        Self::send(port, &format!("POST {path}"), headers, &body.to_string())
    }

    /// Gets what goes on until one side ends it.
    pub fn get_with_headers(port: u16, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::send(port, &format!("GET {path}"), headers, "")
    }

    fn send(port: u16, what: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        socket
            .set_read_timeout(Some(READ_LIMIT))
            .expect("a socket takes a limit");
        socket.set_nodelay(true).expect("a socket takes an option");
        let mut request = format!("{what} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        socket.write_all(request.as_bytes()).expect("the server reads");
        Self::read_head(BufReader::new(socket))
    }

    /// The text of the next event's `data`, comments and other fields left out; `None` at the end.
    pub fn next_data(&mut self) -> Option<String> {
        loop {
            let frame = self.next_frame()?;
            let lines: Vec<&str> = frame.lines().filter_map(|line| line.strip_prefix("data:")).collect();
            if !lines.is_empty() {
                return Some(
                    lines
                        .iter()
                        .map(|line| line.trim_start())
                        .collect::<Vec<_>>()
                        .join("\n"),
                );
            }
        }
    }

    /// The next event as it was sent, without its empty line.
    pub fn next_frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.decoded.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.decoded.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&frame[..end]).into_owned());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The data of all that is left.
    pub fn all_data(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next_data()).collect()
    }

    /// The rest of the body as it is.
    pub fn rest(&mut self) -> String {
        while self.read_more() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.decoded)).into_owned()
    }

    /// Leaves as a client that closes: FIN. What has arrived is read first, for a close with bytes unread sends RST.
    pub fn close(self) {
        let mut socket = self.reader.into_inner();
        socket.set_nonblocking(true).expect("a socket takes an option");
        let mut bytes = [0; 65_536];
        while socket.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }

    /// Leaves as a client that crashed: RST.
    pub fn reset(self) {
        let socket = tokio::net::TcpSocket::from_std_stream(self.reader.into_inner());
        socket.set_zero_linger().expect("a socket takes an option");
    }

    fn read_head(mut reader: BufReader<TcpStream>) -> Self {
        let status = read_line(&mut reader).expect("the server answers");
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status line");
        let mut headers = HashMap::new();
        while let Some(line) = read_line(&mut reader).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').expect("a header line");
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length: &String| length.parse().ok());
        let is_chunked = headers
            .get("transfer-encoding")
            .is_some_and(|coding| coding == "chunked");
        let framing = match (is_chunked, length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        };
        Self {
            status,
            headers,
            reader,
            decoded: Vec::new(),
            framing,
        }
    }

    /// Reads at least a byte of the body; false at its end, and where the connection broke.
    fn read_more(&mut self) -> bool {
        match self.framing {
            Framing::Ended => false,
            Framing::Chunked => {
                let size = read_line(&mut self.reader).and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
                let whole = size
                    .filter(|size| *size > 0)
                    .is_some_and(|size| self.read_exactly(size));
                let _ = read_line(&mut self.reader);
                self.end_unless(whole)
            }
            Framing::Length(length) => {
                self.framing = Framing::Ended;
                self.read_exactly(length) && length > 0
            }
            Framing::UntilClose => {
                let mut bytes = [0; 4096];
                let count = self.reader.read(&mut bytes).unwrap_or(0);
                self.decoded.extend_from_slice(&bytes[..count]);
                self.end_unless(count > 0)
            }
        }
    }

    fn end_unless(&mut self, goes_on: bool) -> bool {
        if !goes_on {
            self.framing = Framing::Ended;
        }
        goes_on
    }

    fn read_exactly(&mut self, size: usize) -> bool {
        let start = self.decoded.len();
        self.decoded.resize(start + size, 0);
        let whole = self.reader.read_exact(&mut self.decoded[start..]).is_ok();
        if !whole {
            self.decoded.truncate(start);
        }
        whole
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let count = reader.read_line(&mut line).unwrap_or(0);
    (count > 0).then(|| line.trim_end().to_owned())
}

#[test]
fn events_are_read_one_by_one_and_a_reset_is_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client comes");
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = "a\r\ndata: one\n\r\n6\r\n\n: hi\n\r\n8\r\n\ndata: t\r\n4\r\nwo\n\n\r\n";
        socket
            .write_all(format!("{head}{chunks}").as_bytes())
            .expect("the client reads");
        let mut request = Vec::new();
        socket.read_to_end(&mut request).expect_err("the client resets").kind()
    });
    let mut stream = EventStream::post(port, "/v1/chat/completions", "key", &serde_json::json!({}));
    assert_eq!(stream.status, 200);
    assert_eq!(stream.next_data().as_deref(), Some("one"));
    assert_eq!(stream.next_data().as_deref(), Some("two"));
    stream.reset();
    assert_eq!(server.join().expect("it ends"), std::io::ErrorKind::ConnectionReset);
}
