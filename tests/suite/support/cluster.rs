//! A PostgreSQL of a test's own, which it may stop, kill and freeze.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tessera::clock::Clock;
use tessera::entropy::Entropy;

use super::{Database, TestApp};

/// How a database can be away.
#[derive(Clone, Copy)]
pub enum Absence {
    /// Shut down: every session is told.
    Fast,
    /// As after a crash.
    Immediate,
    /// Everything stands still, and connections stay open: like a network that swallows packets.
    Frozen,
}

/// Runs from [`Cluster::new`] until it is dropped, unless it is stopped in between.
pub struct Cluster {
    directory: TempDir,
    binaries: PathBuf,
    port: u16,
}

impl Cluster {
    pub fn new() -> Self {
        let binaries = std::env::var("TESSERA_TEST_POSTGRES_BIN").expect(
            "TESSERA_TEST_POSTGRES_BIN is not set: run the tests with scripts/test, which sets it, \
             or set it to the directory of initdb and pg_ctl",
        );
        let directory = tempfile::Builder::new().prefix("tessera-pg.").tempdir().unwrap();
        let cluster = Self { directory, binaries: binaries.into(), port: free_port() };
        if cluster.is_root() {
            let owned = Command::new("chown").arg("postgres").arg(cluster.directory.path()).status().unwrap();
            assert!(owned.success(), "PostgreSQL does not run as root, and there is no user postgres");
        }
        cluster.run("initdb", &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let settings = cluster.data().join("postgresql.conf");
        let mut settings = OpenOptions::new().append(true).open(settings).unwrap();
        writeln!(settings, "listen_addresses = '127.0.0.1'\nport = {}", cluster.port).unwrap();
        writeln!(settings, "unix_socket_directories = ''\nmax_connections = 200").unwrap();
        cluster.start();
        cluster
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// A node over it, by the clock of the system.
    pub async fn app(&self) -> TestApp {
        TestApp::on(Arc::new(Database::at(self.url())), Clock::System, |_| ()).await
    }

    /// Returns when it is gone.
    pub fn leave(&self, absence: Absence) {
        match absence {
            Absence::Fast => self.run("pg_ctl", &["-w", "-m", "fast", "stop"]),
            Absence::Immediate => self.run("pg_ctl", &["-w", "-m", "immediate", "stop"]),
            Absence::Frozen => self.freeze(),
        }
    }

    /// Returns when it accepts connections.
    pub fn come_back(&self, absence: Absence) {
        match absence {
            Absence::Fast | Absence::Immediate => self.start(),
            Absence::Frozen => self.thaw(),
        }
    }

    fn start(&self) {
        self.run("pg_ctl", &["-w", "-l", "server.log", "start"]);
    }

    fn freeze(&self) {
        // The first one makes the others, so it is stopped first.
        self.signal("STOP", &[self.postmaster()]);
        let rest = self.children();
        self.signal("STOP", &rest);
        for process in rest.iter().chain([&self.postmaster()]) {
            while state(process).is_some_and(|state| !matches!(state, 'T' | 'Z')) {
                std::thread::yield_now();
            }
        }
    }

    fn thaw(&self) {
        self.signal("CONT", &self.children());
        self.signal("CONT", &[self.postmaster()]);
    }

    fn signal(&self, name: &str, processes: &[String]) {
        // One of them may have ended by itself.
        let _ = Command::new("kill").args(["-s", name]).args(processes).stderr(Stdio::null()).status();
    }

    fn postmaster(&self) -> String {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().to_owned()
    }

    fn children(&self) -> Vec<String> {
        let parent = self.postmaster();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        children.split_whitespace().map(str::to_owned).collect()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn is_root(&self) -> bool {
        fs::metadata("/proc/self").unwrap().uid() == 0
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.binaries.join(program);
        let mut command = match self.is_root() {
            true => Command::new("runuser"),
            false => Command::new(&program),
        };
        if self.is_root() {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.arg("-D").arg(self.data()).args(arguments).current_dir(self.directory.path());
        // Into a file: a server that goes on would keep a pipe open.
        let log = self.directory.path().join("commands.log");
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let ended = tokio::task::block_in_place(|| command.status()).unwrap();
        assert!(ended.success(), "{}", fs::read_to_string(log).unwrap());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.thaw();
            self.leave(Absence::Immediate);
        }
    }
}

/// Below the ports that systems give to whoever asks for any: nobody takes it while the cluster is away.
fn free_port() -> u16 {
    let entropy = Entropy::default();
    let mut ports = (0..100).map(|_| 15_000 + u16::from_le_bytes(entropy.bytes::<2>().unwrap()) % 5_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The state of a process (proc_pid_stat(5)); `None` when it has ended.
fn state(process: &str) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit(") ").next()?.chars().next()
}
