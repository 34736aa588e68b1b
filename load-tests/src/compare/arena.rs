//! Starts what is compared, each as a process of its own on a free loopback port: the simulated provider, the bare pass-through,
//! and Caldera with a fresh data directory and its private Postgres. Dropping the arena stops everything and removes the directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use super::lane::Lane;
use super::management::Management;
use super::server::{Server, Stop, free_address};
use super::{CompareArguments, process, secret};
use crate::failure::{Doing, Failure};

const READY_LIMIT: Duration = Duration::from_secs(120);
const READY_STEP: Duration = Duration::from_millis(50);
const MINTING_CONNECTIONS: usize = 16;
/// What every spend key may spend in a day: far more than a comparison uses.
pub const LIMIT_DOLLARS: &str = "1000.00";

/// The running servers and the keys.
pub struct Arena {
    caldera: Option<Server>,
    pass_through: Server,
    simulator: Server,
    pub keys: Rc<[String]>,
    pub secret_key: String,
    caldera_program: PathBuf,
    directory: Directory,
}

/// Where the logs and Caldera's data are; removed when dropped, also when a server does not start.
struct Directory(PathBuf);

impl Arena {
    /// Starts all servers and mints the keys.
    pub async fn start(arguments: &CompareArguments) -> Result<Self, Failure> {
        raise_file_limit();
        let directory = Directory::create()?;
        let simulator = start_simulator(&arguments.simulator_program()?, &directory.0)?;
        let pass_through = start_pass_through(&simulator, &directory.0)?;
        let mut arena = Self {
            caldera: None,
            pass_through,
            simulator,
            keys: (0..arguments.keys).map(stand_in_key).collect(),
            secret_key: secret::mint()?,
            caldera_program: arguments.caldera_program()?,
            directory,
        };
        if !arguments.skip_caldera {
            arena.start_caldera().await?;
            arena.mint_keys(arguments.keys).await?;
        }
        Ok(arena)
    }

    /// The lanes that run, in the order in which they take turns.
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes = vec![Lane::Direct, Lane::PassThrough];
        lanes.extend(self.caldera.is_some().then_some(Lane::Caldera));
        lanes
    }

    /// The server that a lane sends to.
    pub fn server(&self, lane: Lane) -> &Server {
        match lane {
            Lane::Direct => &self.simulator,
            Lane::PassThrough => &self.pass_through,
            Lane::Caldera => self.caldera.as_ref().expect("lanes() names Caldera only while it runs"),
        }
    }

    /// Processor time so far of the private Postgres of a lane, in nanoseconds; only Caldera has one.
    pub fn postgres_cpu_nanos(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Direct | Lane::PassThrough => 0,
            Lane::Caldera => process::postgres_cpu_nanos(self.server(lane).pid, &self.data_directory()),
        }
    }

    /// A client of Caldera's management API.
    pub fn management(&self) -> Management {
        Management::new(self.server(Lane::Caldera).address, &self.secret_key)
    }

    /// A client of the simulated provider's ledger.
    pub fn ledger(&self) -> Management {
        Management::new(self.simulator.address, "sim")
    }

    /// Stops the pass-through and Caldera and starts them again, with Caldera's data kept: memory is measured on fresh processes.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.pass_through.stop();
        self.pass_through = start_pass_through(&self.simulator, &self.directory.0)?;
        if self.stop_caldera() {
            self.start_caldera().await?;
        }
        Ok(())
    }

    async fn start_caldera(&mut self) -> Result<(), Failure> {
        let address = free_address()?;
        let operator_port = free_address()?.port();
        let mut command = Command::new(&self.caldera_program);
        command
            .arg("serve")
            .env_remove("DATABASE_URL")
            .env("CALDERA_DATA_DIR", self.data_directory())
            .env("HOST", "127.0.0.1")
            .env("PORT", address.port().to_string())
            .env("CALDERA_BOOTSTRAP_SECRET_KEY", &self.secret_key)
            .env("OPENAI_API_KEY", "sim")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.simulator.address))
            .env("CALDERA__OPERATOR__PORT", operator_port.to_string())
            .env("CALDERA__SERVER__WORKERS", "2")
            .env("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", "10000000");
        let server = Server::start_on("caldera", command, address, &self.directory.0.join("caldera.log"))?;
        let deadline = Instant::now() + READY_LIMIT;
        let mut management = Management::new(address, &self.secret_key);
        while management.is_ready().await.is_err() {
            if Instant::now() > deadline {
                return Err(server.not_started());
            }
            tokio::time::sleep(READY_STEP).await;
        }
        self.caldera = Some(server);
        Ok(())
    }

    /// Mints the spend keys over several connections at once.
    async fn mint_keys(&mut self, count: usize) -> Result<(), Failure> {
        let local = LocalSet::new();
        let mut minters = JoinSet::new();
        for index in 0..MINTING_CONNECTIONS {
            let share = count / MINTING_CONNECTIONS + usize::from(index < count % MINTING_CONNECTIONS);
            minters.spawn_local_on(mint_share(self.management(), share), &local);
        }
        let mut keys = Vec::with_capacity(count);
        local
            .run_until(async {
                while let Some(share) = minters.join_next().await {
                    keys.extend(share.doing("minting spend keys")??);
                }
                Ok::<(), Failure>(())
            })
            .await?;
        self.keys = keys.into();
        Ok(())
    }

    /// Stops Caldera, and with it its Postgres; false when it was not running.
    fn stop_caldera(&mut self) -> bool {
        let Some(mut caldera) = self.caldera.take() else {
            return false;
        };
        let postmasters = process::postmaster_pids(caldera.pid, &self.data_directory());
        if caldera.stop() == Stop::Killed {
            postmasters.into_iter().for_each(interrupt);
        }
        true
    }

    fn data_directory(&self) -> PathBuf {
        self.directory.0.join("data")
    }
}

impl Directory {
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("caldera-load-{}", std::process::id()));
        fs::create_dir_all(path.join("data")).doing("creating a directory for the comparison")?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // The provider goes first, so that no stream is left that Caldera would wait for.
        self.simulator.stop();
        self.stop_caldera();
        self.pass_through.stop();
    }
}

async fn mint_share(mut management: Management, count: usize) -> Result<Vec<String>, Failure> {
    let body = json!({
        "name": "load test",
        "spend_limit": { "amount": LIMIT_DOLLARS, "cycle": "daily" },
        "enforcement": "strict",
    });
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        let minted = management.post("/v1/spend_keys", &body).await?;
        let key = minted.get("key").and_then(Value::as_str);
        keys.push(
            key.ok_or_else(|| Failure::new("a new spend key came without its key"))?
                .to_owned(),
        );
    }
    Ok(keys)
}

/// What stands for a spend key where Caldera does not run, in the same length.
fn stand_in_key(index: usize) -> String {
    format!("lava_sk_{index:038}")
}

fn start_simulator(program: &Path, directory: &Path) -> Result<Server, Failure> {
    let mut command = Command::new(program);
    command.args(["simulate-provider", "--port", "0"]);
    Server::start_and_ask("the simulated provider", command, &directory.join("simulator.log"))
}

fn start_pass_through(simulator: &Server, directory: &Path) -> Result<Server, Failure> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe().doing("finding this program")?);
    command
        .args(["pass-through", "--workers", "2"])
        .arg(format!("--listen={address}"))
        .arg(format!("--upstream=http://{}", simulator.address));
    Server::start_on(
        "the pass-through",
        command,
        address,
        &directory.join("pass-through.log"),
    )
}

/// A fast stop, in Postgres's own terms.
fn interrupt(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::INT);
    }
}

/// Thousands of streams need as many descriptors in every process; the servers inherit the limit.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of open files stays as it is: {error}");
    }
}
