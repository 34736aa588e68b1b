//! A provider of a few lines that answers every call with the same bytes and closes: for answers that break.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A listening provider; its thread ends with the test.
pub struct Stub {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Stub {
    /// One that reads each request whole and then writes this.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut socket| {
            let _ = socket.write_all(&answer);
        })
    }

    /// One that takes each request and says nothing.
    pub fn silent() -> Self {
        Self::holding("")
    }

    /// One that writes this and then waits until its caller has had enough.
    pub fn holding(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut socket| {
            let _ = socket.write_all(&answer);
            std::thread::spawn(move || {
                let _ = socket.read(&mut [0; 64]);
            });
        })
    }

    /// What `OPENAI_BASE_URL` is set to.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The calls that it took.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn start(answer: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if read_request(&socket).is_some() {
                    counted.fetch_add(1, Ordering::SeqCst);
                    answer(socket);
                }
            }
        });
        Self { address, calls }
    }
}

/// Reads the head and as many bytes of a body as it promises.
fn read_request(mut socket: &TcpStream) -> Option<()> {
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut bytes, mut block) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
            if bytes.len() >= end + 4 + length {
                return Some(());
            }
        }
        let count = socket.read(&mut block).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&block[..count]);
    }
}

/// An event stream's head and these frames, without an end.
pub fn event_stream(frames: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    if frames.is_empty() {
        return head.to_owned();
    }
    format!("{head}{:x}\r\n{frames}\r\n", frames.len())
}
