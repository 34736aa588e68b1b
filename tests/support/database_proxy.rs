//! Stands between a server and Postgres and breaks the billing writer's connection where a test says so: before one
//! statement, or after a commit whose answer nobody gets. It reads the frontend protocol only as far as it must to name
//! the statements; all other connections pass untouched. The writer's connection is known by the limits that its
//! transaction begins with.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::postgres::TestDatabase;

/// What no other transaction of the server begins with.
const MARK_OF_THE_WRITER: &str = "SET LOCAL lock_timeout";
const SOCKET: &str = ".s.PGSQL.5432";
const FAULT_LIMIT: Duration = Duration::from_secs(30);
/// How many words of a statement name it.
const NAME_WORDS: usize = 3;

/// What befalls the writer's connection at a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The statement does not reach Postgres, and the connection is cut.
    CutBefore,
    /// Postgres runs the statement; its answer is kept back, and the connection is cut.
    SwallowAnswer,
    /// The statement waits until the test lets it go on.
    Hold,
}

/// What becomes of a statement that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Deliver,
    Cut,
}

/// The listening proxy; connections end with the processes at their ends.
pub struct DatabaseProxy {
    directory: TempDir,
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order in which they are to happen.
    armed: VecDeque<(String, Fault)>,
    under_way: usize,
    is_held: bool,
    release: Option<Release>,
    has_ended: bool,
    /// Every statement that the writer was seen to run, once each, in the order of their first use.
    statements: Vec<String>,
}

impl DatabaseProxy {
    /// A proxy to this database, listening on a socket of its own.
    pub fn before(database: &TestDatabase) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("proxy-")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("the directory is ours");
        let shared = Arc::new(Shared {
            socket: database.socket_directory().join(SOCKET),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let url = database.url_through(directory.path());
        let accepting = shared.clone();
        thread::spawn(move || accepting.accept(&listener));
        Self { directory, url, shared }
    }

    /// What `DATABASE_URL` is set to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds a fault: it happens once those before it have, when the writer next runs this statement.
    pub fn arm(&self, statement: &str, fault: Fault) {
        let mut state = self.shared.lock();
        state.armed.push_back((statement.to_owned(), fault));
    }

    /// Waits until every fault has happened; one that holds has happened when its statement waits.
    pub fn wait_for_faults(&self) {
        let state = self.shared.lock();
        let is_due = |state: &mut State| !state.armed.is_empty() || state.under_way > 0;
        let waited = self.shared.changed.wait_timeout_while(state, FAULT_LIMIT, is_due);
        let (state, result) = waited.expect("no thread panics with it");
        assert!(!result.timed_out(), "these never happened: {:?}", state.armed);
    }

    /// Lets the held statement go on.
    pub fn release(&self, release: Release) {
        let mut state = self.shared.lock();
        assert!(std::mem::take(&mut state.is_held), "nothing is held");
        state.release = Some(release);
        self.shared.changed.notify_all();
    }

    /// The statements of the writer's transactions so far, by their names; preparing and running one are two.
    pub fn statements(&self) -> Vec<String> {
        self.shared.lock().statements.clone()
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(UnixStream::connect(self.directory.path().join(SOCKET)));
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.lock().has_ended {
                return;
            }
            // Where Postgres is away, the client is hung up on.
            let Ok(database) = UnixStream::connect(&self.socket) else {
                continue;
            };
            let link = Arc::new(Link {
                client,
                database,
                keeps_answers: AtomicBool::new(false),
            });
            let (back, shared) = (link.clone(), self.clone());
            thread::spawn(move || {
                let _ = back.carry_answers(&shared);
                back.cut();
            });
            let shared = self.clone();
            thread::spawn(move || {
                let _ = Reader::new(link.clone(), shared).carry_requests();
                link.cut();
            });
        }
    }

    /// Takes the next fault where it is for this statement.
    fn fault_at(&self, statement: &str) -> Option<Fault> {
        let mut state = self.lock();
        if !state.statements.iter().any(|known| known == statement) {
            state.statements.push(statement.to_owned());
        }
        let (_, fault) = state.armed.front().filter(|(armed, _)| armed == statement).cloned()?;
        state.armed.pop_front();
        state.under_way += 1;
        Some(fault)
    }

    fn happened(&self) {
        self.lock().under_way -= 1;
        self.changed.notify_all();
    }

    fn hold(&self) -> Release {
        let mut state = self.lock();
        state.is_held = true;
        state.under_way -= 1;
        self.changed.notify_all();
        loop {
            if let Some(release) = state.release.take() {
                return release;
            }
            if state.has_ended {
                return Release::Cut;
            }
            state = self.changed.wait(state).expect("no thread panics with it");
        }
    }
}

/// One connection and its continuation to Postgres.
struct Link {
    client: UnixStream,
    database: UnixStream,
    keeps_answers: AtomicBool,
}

impl Link {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.database.shutdown(Shutdown::Both);
    }

    /// Carries bytes back until either side ends, or until an answer that is to be kept back is whole.
    fn carry_answers(&self, shared: &Shared) -> io::Result<()> {
        const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0Z\0\0\0\x05I";
        let (mut bytes, mut kept) = ([0; 16_384], Vec::new());
        loop {
            let count = (&self.database).read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            if !self.keeps_answers.load(Ordering::SeqCst) {
                (&self.client).write_all(&bytes[..count])?;
                continue;
            }
            kept.extend_from_slice(&bytes[..count]);
            if kept.len() >= COMMITTED.len() {
                assert_eq!(kept, COMMITTED, "Postgres answered something else to COMMIT");
                self.cut();
                shared.happened();
                return Ok(());
            }
        }
    }
}

/// Reads what the client sends, request by request.
struct Reader {
    link: Arc<Link>,
    shared: Arc<Shared>,
    /// Prepared statements by their names in the protocol.
    prepared: HashMap<Vec<u8>, String>,
    is_writer: bool,
}

impl Reader {
    fn new(link: Arc<Link>, shared: Arc<Shared>) -> Self {
        Self {
            link,
            shared,
            prepared: HashMap::new(),
            is_writer: false,
        }
    }

    fn carry_requests(&mut self) -> io::Result<()> {
        let client = self.link.client.try_clone()?;
        let mut client = BufReader::new(client);
        // The first message has no type.
        let mut request = read_message(&mut client, Vec::new())?;
        self.deliver(&request)?;
        loop {
            request.clear();
            let mut name = None;
            loop {
                let mut kind = [0];
                client.read_exact(&mut kind)?;
                let message = read_message(&mut client, kind.to_vec())?;
                name = self.name(kind[0], &message[5..]).or(name);
                request.extend_from_slice(&message);
                // Parse, Bind, Describe, Execute and Close are answered at the Sync after them.
                if !b"PBDEC".contains(&kind[0]) {
                    break;
                }
            }
            self.pass(&request, name.as_deref())?;
        }
    }

    /// Delivers a request, or does to it what is armed for it.
    fn pass(&mut self, request: &[u8], name: Option<&str>) -> io::Result<()> {
        self.is_writer |= name.is_some_and(|name| name == MARK_OF_THE_WRITER);
        let fault = name
            .filter(|_| self.is_writer)
            .and_then(|name| self.shared.fault_at(name));
        let goes_on = match fault {
            None => true,
            Some(Fault::Hold) => self.shared.hold() == Release::Deliver,
            Some(Fault::SwallowAnswer) => {
                self.link.keeps_answers.store(true, Ordering::SeqCst);
                true
            }
            Some(Fault::CutBefore) => {
                self.link.cut();
                self.shared.happened();
                false
            }
        };
        if goes_on {
            self.deliver(request)
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }

    fn deliver(&self, request: &[u8]) -> io::Result<()> {
        (&self.link.database).write_all(request)
    }

    /// What a message says is to be done; `None` for one that says nothing new.
    fn name(&mut self, kind: u8, body: &[u8]) -> Option<String> {
        let mut texts = body.split(|byte| *byte == 0);
        match kind {
            b'Q' => Some(first_words(texts.next()?)),
            b'P' => {
                let (name, statement) = (texts.next()?.to_vec(), first_words(texts.next()?));
                let preparing = format!("prepare {statement}");
                self.prepared.insert(name, statement);
                Some(preparing)
            }
            b'B' => self.prepared.get(texts.nth(1)?).cloned(),
            _ => None,
        }
    }
}

/// Adds a message's length and body to what was read of it.
fn read_message(client: &mut impl Read, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    message.extend_from_slice(&length);
    let start = message.len();
    message.resize(start + (u32::from_be_bytes(length) as usize).saturating_sub(4), 0);
    client.read_exact(&mut message[start..])?;
    Ok(message)
}

fn first_words(statement: &[u8]) -> String {
    let statement = String::from_utf8_lossy(statement);
    let words: Vec<&str> = statement.split_ascii_whitespace().take(NAME_WORDS).collect();
    words.join(" ")
}
