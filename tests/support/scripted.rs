//! A provider that answers by a script and remembers what it was sent, byte for byte as far as that is small.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Bodies up to this size are kept.
const KEPT_BYTES: usize = 1 << 20;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Which connection it came on, from zero.
    pub connection: usize,
    pub method: String,
    pub path: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Empty where it is larger than is kept.
    pub body: Vec<u8>,
    pub size_bytes: usize,
    pub checksum: u32,
    /// False where the sender left before the end of the body.
    pub is_whole: bool,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Script = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

/// A running provider.
pub struct Scripted {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Answers each request with the raw bytes that the script makes of it.
    pub fn start(script: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, script): (_, Arc<Script>) = (seen.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (kept, script) = (kept.clone(), script.clone());
                let Ok(stream) = stream else { return };
                std::thread::spawn(move || serve(stream, connection, &kept, &script));
            }
        });
        Self { port, seen }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("it was called")
    }
}

/// A whole answer of JSON.
pub fn json(body: &serde_json::Value) -> Vec<u8> {
    answer(
        "200 OK",
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    )
}

/// A whole answer.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Reads no more ahead than a request has, so that a body is taken as the sender writes it.
fn serve(stream: TcpStream, connection: usize, kept: &Mutex<Vec<Seen>>, script: &Arc<Script>) {
    let mut writer = stream.try_clone().expect("a socket can be cloned");
    let mut reader = BufReader::new(stream);
    while let Some(mut seen) = read_head(&mut reader) {
        seen.connection = connection;
        read_body(&mut reader, &mut seen);
        let answer = script(&seen);
        let is_whole = seen.is_whole;
        kept.lock().unwrap().push(seen);
        if !is_whole || writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_head(reader: &mut impl BufRead) -> Option<Seen> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let mut seen = Seen {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Seen::default()
    };
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            return Some(seen);
        };
        seen.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(reader: &mut impl BufRead, seen: &mut Seen) {
    let mut checksum = crc32fast::Hasher::new();
    let chunked = seen.header("transfer-encoding") == Some("chunked");
    let length = seen
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    seen.is_whole = if chunked {
        loop {
            let size = line(reader).and_then(|line| usize::from_str_radix(&line, 16).ok());
            match size {
                Some(0) => break line(reader).is_some(),
                Some(size) if take(reader, size, seen, &mut checksum) && line(reader).is_some() => {}
                Some(_) | None => break false,
            }
        }
    } else {
        take(reader, length, seen, &mut checksum)
    };
    seen.checksum = checksum.finalize();
    if seen.size_bytes > KEPT_BYTES {
        seen.body.clear();
    }
}

fn take(reader: &mut impl BufRead, size: usize, seen: &mut Seen, checksum: &mut crc32fast::Hasher) -> bool {
    let mut left = size;
    let mut buffer = [0; 64 * 1024];
    while left > 0 {
        let room = left.min(buffer.len());
        let Ok(read) = reader.read(&mut buffer[..room]) else {
            return false;
        };
        if read == 0 {
            return false;
        }
        checksum.update(&buffer[..read]);
        if seen.body.len() <= KEPT_BYTES {
            seen.body.extend_from_slice(&buffer[..read]);
        }
        seen.size_bytes += read;
        left -= read;
    }
    true
}
