//! The real program as a process of its own: its commands, and its server on a free port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::TestApp;

/// The master key that [`TestApp`] uses, too.
pub fn master_key() -> String {
    format!("test:{}", "A".repeat(43))
}

/// The settings under which the program shares a store with `app`.
pub fn settings_of(app: &TestApp) -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", app.database.url.clone()),
        ("TESSERA__MASTER_KEY", master_key()),
        ("TESSERA__LISTEN", "127.0.0.1:0".into()),
        ("TESSERA__DATA_DIR", app.database.data_dir()),
    ]
}

/// The program with these arguments and nothing in its environment but these settings.
pub fn tessera(arguments: &[&str], settings: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.args(arguments).env_clear().envs(settings.iter().map(|(name, value)| (*name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command that ends by itself has said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn run(arguments: &[&str], settings: &[(&'static str, String)], input: &str) -> Said {
    let mut child = tessera(arguments, settings).stdin(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Lines as they come.
struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            // Read to the end, wanted or not: a full pipe would stop the writer.
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { coming, seen: Vec::new() }
    }

    /// The first line with this text; panics with all lines when the stream ends without one.
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            match self.coming.recv() {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no {text:?} in {:#?}", self.seen),
            }
        }
    }

    /// All lines to the end of the stream.
    fn all(&mut self) -> Vec<String> {
        self.seen.extend(self.coming.iter());
        self.seen.clone()
    }
}

/// A server that runs, and is killed when the test is over.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: Lines,
    out: Lines,
}

impl Server {
    /// Starts `serve` or `dev`, and waits until it listens.
    pub fn start(arguments: &[&str], settings: &[(&'static str, String)]) -> Self {
        let mut child = tessera(arguments, settings).spawn().unwrap();
        let mut log = Lines::of(child.stderr.take().unwrap());
        let mut out = Lines::of(child.stdout.take().unwrap());
        let listening = log.wait_for("listening");
        let at = listening.find("127.0.0.1:").unwrap();
        let address = listening[at..].split(['"', ' ', ',']).next().unwrap().parse().unwrap();
        if arguments[0] == "dev" {
            out.wait_for("Ctrl-C stops");
        }
        Self { child, address, log, out }
    }

    /// A node over the store of `app`, which from now on talks to this server.
    pub fn serve(app: &mut TestApp, more: &[(&'static str, &str)]) -> Self {
        let mut settings = settings_of(app);
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let server = Self::start(&["serve"], &settings);
        app.base = format!("http://{}", server.address);
        server
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What `dev` has printed.
    pub fn output(&self) -> &[String] {
        &self.out.seen
    }

    /// Waits for a line in the log.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// Waits until nobody accepts connections.
    pub fn wait_until_closed(&self) {
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Waits for the end: how it ended, and the whole log.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        (status, self.log.all())
    }

    /// SIGKILL: nothing is finished, nothing is closed.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), None, "it had ended by itself");
    }

    pub fn stop(self) -> (ExitStatus, Vec<String>) {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that is being written: its headers are sent, and a handler waits for its body.
pub struct Pending(TcpStream);

impl Pending {
    /// `100 Continue` proves that the handler has begun to read (RFC 9110, 10.1.1).
    pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], length: usize) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, expected, "{}", String::from_utf8_lossy(&answer));
        Self(stream)
    }

    pub fn send(&mut self, body: &str) {
        self.0.write_all(body.as_bytes()).unwrap();
    }

    pub fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        answer
    }
}
