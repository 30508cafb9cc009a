//! Debian's PgBouncer in transaction mode, between a node and a test's database.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use url::Url;

use super::Database;

/// What sqlx says when it connects, and PgBouncer does not know.
pub const IGNORED: &str = "ignore_startup_parameters = extra_float_digits";

const FILE: &str = "pgbouncer.ini";

/// A pooler that runs until it is dropped.
pub struct Pooler {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Pooler {
    /// Before the server of a database, to which it opens so many connections.
    pub fn start(database: &Database, connections: u32) -> Self {
        Self::configured(database, connections, IGNORED)
    }

    /// With these lines in its configuration as well.
    pub fn configured(database: &Database, connections: u32, more: &str) -> Self {
        // A port that was free can be taken before the pooler binds it.
        (0..5).find_map(|_| Self::try_start(database, connections, more)).expect("pgbouncer does not start")
    }

    fn try_start(database: &Database, connections: u32, more: &str) -> Option<Self> {
        let server = Url::parse(&database.url).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let password = server.password().map(|password| format!(" password={password}")).unwrap_or_default();
        let text = format!(
            "[databases]\n* = host={} port={} user={}{password}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n{more}\n",
            server.host_str().unwrap(),
            server.port().unwrap_or(5432),
            server.username(),
        );
        std::fs::write(directory.path().join(FILE), text).unwrap();
        Some(Self { child: run(directory.path(), port)?, port, directory })
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// After [`Self::stop`]: another process at the same address, which knows nobody.
    pub fn start_again(&mut self) {
        self.child = run(self.directory.path(), self.port).expect("pgbouncer does not start again");
    }

    /// The same database, through this.
    pub fn url(&self, database: &Database) -> String {
        let mut url = Url::parse(&database.url).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_query(None);
        url.into()
    }
}

/// Runs until it takes connections; `None` when it ended instead.
fn run(directory: &Path, port: u16) -> Option<Child> {
    let mut child = command(directory).spawn().expect("pgbouncer is not installed");
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::yield_now();
    }
    Some(child)
}

/// As a server's program it may lie where no user's path leads, and it refuses to run as root.
fn command(directory: &Path) -> Command {
    let debian = Path::new("/usr/sbin/pgbouncer");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("pgbouncer") });
    if directory.metadata().unwrap().uid() == 0 {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
        command.args(["-u", "postgres"]);
    }
    command
        .arg("-q")
        .arg(directory.join(FILE))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stop();
    }
}
