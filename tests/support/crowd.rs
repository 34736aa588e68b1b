//! Thousands of calls at once from one thread: a bare HTTP client over asynchronous sockets, which keeps its
//! connections, tries again as the official clients do, and can leave at any byte.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// No answer in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that are being opened at once; more would overflow the listener's queue.
const OPENING_AT_ONCE: usize = 200;

/// Runs the work to its end on this thread; what it spawns may stay on the thread.
pub fn crowd<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    runtime.expect("a runtime can be made").block_on(local.run_until(work))
}

/// How many connections this process may open beside everything else, its limit raised as far as it goes.
pub fn connections_at_most(wanted: usize) -> usize {
    let own = std::process::id().to_string();
    let hard = open_files_limit(4).unwrap_or(1024);
    let raise = format!("--nofile={hard}:{hard}");
    // Without the program the limit stays as it is, and there are fewer connections.
    drop(
        std::process::Command::new("prlimit")
            .args(["--pid", &own, &raise])
            .status(),
    );
    let soft = open_files_limit(3).unwrap_or(1024);
    wanted.min(soft / 2)
}

/// A column of the line `Max open files  SOFT  HARD  files`.
fn open_files_limit(column: usize) -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let word = line.split_whitespace().nth(column)?;
    Some(word.parse().unwrap_or(1 << 20))
}

/// The bytes of a request with a bearer key.
pub fn request(method: &str, path: &str, key: &str, body: Option<&Value>) -> Vec<u8> {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One whole answer.
pub struct Reply {
    pub status: u16,
    pub retry_after_ms: Option<u64>,
    pub should_retry: bool,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Fin,
    Rst,
}

/// One kept connection.
pub struct Connection {
    address: SocketAddr,
    socket: TcpStream,
    /// What has arrived and was not taken.
    arrived: Vec<u8>,
    /// The server said that it closes.
    closing: bool,
}

impl Connection {
    pub async fn open(port: u16) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = timeout(PATIENCE, TcpStream::connect(address)).await??;
        Self::on(socket, address)
    }

    /// A connection that takes little before it is read.
    pub async fn open_narrow(port: u16) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Self::on(socket.connect(address).await?, address)
    }

    fn on(socket: TcpStream, address: SocketAddr) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            address,
            socket,
            arrived: Vec::new(),
            closing: false,
        })
    }

    /// Opens so many, some hundreds at a time.
    pub async fn open_many(port: u16, count: usize) -> Vec<Self> {
        let (mut opening, mut open) = (JoinSet::new(), Vec::with_capacity(count));
        while open.len() < count {
            while opening.len() < OPENING_AT_ONCE && open.len() + opening.len() < count {
                opening.spawn_local(Self::open(port));
            }
            let opened = opening.join_next().await.expect("some are being opened");
            open.push(opened.expect("no panic").expect("the server listens"));
        }
        open
    }

    /// Sends a request and reads the whole answer, on a fresh connection where the server has closed this one.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<Reply> {
        timeout(PATIENCE, async {
            self.renew_if_closed().await?;
            self.socket.write_all(request).await?;
            self.reply().await
        })
        .await?
    }

    /// Calls until the answer is no 429 and no 503, as the official clients do, with more patience than they have.
    pub async fn call_as_clients_do(&mut self, request: &[u8]) -> io::Result<(Reply, u32)> {
        let mut attempts = 1;
        loop {
            let reply = self.call(request).await?;
            let busy = matches!(reply.status, 429 | 503) && reply.should_retry;
            if !busy || attempts == 60 {
                return Ok((reply, attempts));
            }
            sleep(Duration::from_millis(reply.retry_after_ms.unwrap_or(500))).await;
            attempts += 1;
        }
    }

    /// Sends a request or a part of it, to be left before its end.
    pub async fn begin(&mut self, bytes: &[u8]) {
        self.renew_if_closed().await.expect("the server listens");
        self.socket
            .write_all(bytes)
            .await
            .expect("an open connection takes a small request");
    }

    async fn renew_if_closed(&mut self) -> io::Result<()> {
        if self.is_closed() {
            *self = Self::open(self.address.port()).await?;
        }
        Ok(())
    }

    /// Waits until so many bytes have arrived, or the whole answer.
    pub async fn await_bytes(&mut self, count: usize) -> io::Result<()> {
        while self.arrived.len() < count && !self.has_whole_answer() {
            self.fill_more().await?;
        }
        Ok(())
    }

    fn has_whole_answer(&self) -> bool {
        let Some(end) = find(&self.arrived, b"\r\n\r\n") else {
            return false;
        };
        let head = Head::read(&self.arrived[..end]);
        match head.length {
            Some(length) => self.arrived.len() >= end + 4 + length,
            None => self.arrived.ends_with(b"0\r\n\r\n"),
        }
    }

    /// Whether nothing more can be asked here: an idle connection has nothing to say before it ends.
    fn is_closed(&self) -> bool {
        let waiting = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.closing || !self.socket.try_read(&mut [0; 256]).is_err_and(waiting)
    }

    /// Waits until so many events of a stream have arrived, or its end.
    pub async fn await_events(&mut self, count: usize) -> io::Result<()> {
        let mut seen = 0;
        while seen < count && !self.has_whole_answer() {
            self.fill_more().await?;
            seen = String::from_utf8_lossy(&self.arrived).matches("data: ").count();
        }
        Ok(())
    }

    /// Closes the sending side only.
    pub async fn half_close(&mut self) {
        self.socket.shutdown().await.expect("an open connection can be closed");
    }

    /// Reads to the end of the connection.
    pub async fn read_out(&mut self) {
        while self.fill().await.is_ok_and(|more| more) {}
    }

    /// Leaves and takes a fresh connection to the same server.
    pub async fn leave(&mut self, how: Leave) {
        match how {
            Leave::Rst => self.socket.set_zero_linger().expect("a socket takes an option"),
            // A close with bytes unread would send RST.
            Leave::Fin => while self.socket.try_read(&mut [0; 4096]).is_ok_and(|count| count > 0) {},
        }
        *self = Self::open(self.address.port()).await.expect("the server listens");
    }

    /// Reads the rest of the answer to what was sent.
    async fn reply(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(end) = find(&self.arrived, b"\r\n\r\n") {
                break end;
            }
            self.fill_more().await?;
        };
        let head = Head::read(&self.arrived[..end]);
        self.arrived.drain(..end + 4);
        self.closing = head.closes;
        let body = match head.length {
            Some(length) => self.exactly(length).await?,
            None => self.chunks().await?,
        };
        Ok(Reply {
            status: head.status.ok_or(io::ErrorKind::InvalidData)?,
            retry_after_ms: head.retry_after_ms,
            should_retry: head.should_retry,
            body,
        })
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.arrived, b"\r\n") {
                    break end;
                }
                self.fill_more().await?;
            };
            let line: Vec<u8> = self.arrived.drain(..end + 2).collect();
            let size = std::str::from_utf8(&line[..end]).ok();
            let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.arrived.len() < count {
            self.fill_more().await?;
        }
        Ok(self.arrived.drain(..count).collect())
    }

    async fn fill_more(&mut self) -> io::Result<()> {
        let more = self.fill().await?;
        more.then_some(()).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads what is there; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let count = self.socket.read(&mut bytes).await?;
        self.arrived.extend_from_slice(&bytes[..count]);
        Ok(count > 0)
    }
}

/// What matters of an answer's head.
struct Head {
    status: Option<u16>,
    /// `None`: it comes in chunks.
    length: Option<usize>,
    retry_after_ms: Option<u64>,
    should_retry: bool,
    closes: bool,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        let head = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let seconds: Option<u64> = field("retry-after").and_then(|seconds| seconds.parse().ok());
        Self {
            status: head.split(' ').nth(1).and_then(|status| status.parse().ok()),
            length: field("content-length").and_then(|length| length.parse().ok()),
            retry_after_ms: seconds.map(|seconds| seconds * 1_000),
            should_retry: field("x-should-retry") != Some("false"),
            closes: field("connection") == Some("close"),
        }
    }
}

/// Asks again and again on lanes of its own until told to stop: on average once in so many milliseconds.
pub struct Watch {
    stop: Rc<Cell<bool>>,
    lanes: JoinSet<u32>,
}

impl Watch {
    const LANES: u64 = 8;

    /// Begins to ask; each answer with status 200 goes to `see`.
    pub async fn begin(port: u16, request: Vec<u8>, each_ms: u64, see: impl Fn(&Value) + Clone + 'static) -> Self {
        let stop = Rc::new(Cell::new(false));
        let mut lanes = JoinSet::new();
        for mut connection in Connection::open_many(port, Self::LANES as usize).await {
            let (stop, request, see) = (stop.clone(), request.clone(), see.clone());
            lanes.spawn_local(async move {
                let mut count = 0;
                while !stop.get() {
                    let reply = connection.call(&request).await.expect("the server answers");
                    if reply.status == 200 {
                        see(&reply.json());
                        count += 1;
                    }
                    sleep(Duration::from_millis(each_ms * Self::LANES)).await;
                }
                count
            });
        }
        Self { stop, lanes }
    }

    /// Ends it; how many answers were seen.
    pub async fn end(self) -> u32 {
        self.stop.set(true);
        self.lanes.join_all().await.into_iter().sum()
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
