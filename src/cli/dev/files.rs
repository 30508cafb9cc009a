//! The data directory of `dev`: one process at a time, and nothing in it for other eyes.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::open::make_directory;
use crate::config::ERASURE_LEDGER;
use crate::demo::Demo;
use crate::entropy::Entropy;
use crate::keys::master::MasterKeys;

const DEMO: &str = "dev.json";
const MASTER_KEY: &str = "master.key";
const LOCK: &str = "dev.lock";
const MAIL: &str = "mail";
const STORE: [&str; 3] = ["tessera.db", "tessera.db-wal", "tessera.db-shm"];

/// The directory, ours alone until the value is dropped.
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory when it is not there, and takes it.
    ///
    /// # Errors
    /// Another `tessera dev` has it.
    pub fn lock(path: &Path) -> anyhow::Result<Self> {
        make_directory(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path.join(LOCK));
        let lock = lock.with_context(|| format!("{} cannot be written to", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(_) => anyhow::bail!(
                "another `tessera dev` runs on {}: stop it, or use another --data",
                path.display()
            ),
        }
    }

    /// Forgets what `dev` has made here; other files stay.
    pub fn empty(&self) -> anyhow::Result<()> {
        for name in STORE.into_iter().chain([MASTER_KEY, DEMO, ERASURE_LEDGER]) {
            let file = self.path.join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("{} cannot be removed", file.display()));
                }
                _ => {}
            }
        }
        match fs::remove_dir_all(self.mail()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", self.mail().display()))
            }
            _ => Ok(()),
        }
    }

    /// Where mail is written to, a file each.
    pub fn mail(&self) -> PathBuf {
        self.path.join(MAIL)
    }

    /// What an earlier run made.
    pub fn demo(&self) -> anyhow::Result<Option<Demo>> {
        read_demo(&self.path)
    }

    pub fn save(&self, demo: &Demo) -> anyhow::Result<()> {
        self.write(DEMO, &[&serde_json::to_vec_pretty(demo)?[..], b"\n"].concat())
    }

    /// The master key; made when nothing was sealed with another one yet.
    pub fn master_key(&self, sealed_already: bool) -> anyhow::Result<MasterKeys> {
        let file = self.path.join(MASTER_KEY);
        if !file.exists() {
            anyhow::ensure!(
                !sealed_already,
                "{} is gone, and nothing opens without it: use --fresh",
                file.display()
            );
            let key = MasterKeys::generate(&Entropy::default(), "dev")?;
            self.write(MASTER_KEY, key.expose().as_bytes())?;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Ok(MasterKeys::parse(&text)?)
    }

    /// Writes a file that its owner alone can read; a crash leaves the old one or the new one.
    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (file, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || {
            let _ = fs::remove_file(&new);
            let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            open.write_all(bytes)?;
            open.sync_all()?;
            fs::rename(&new, &file)
        };
        write().with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// What the files of a `dev` say about its store: strong settings for commands that run beside it. None elsewhere.
pub fn settings(path: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let Some(demo) = read_demo(path)? else { return Ok(Vec::new()) };
    let key = path.join(MASTER_KEY).to_string_lossy().into_owned();
    let mut settings =
        vec![("base_url", demo.base_url), ("master_key", String::new()), ("master_key_file", key)];
    // An embedded store is where the directory is now.
    if !demo.database_url.starts_with("sqlite:") {
        settings.push(("database_url", demo.database_url));
    }
    Ok(settings)
}

fn read_demo(path: &Path) -> anyhow::Result<Option<Demo>> {
    let file = path.join(DEMO);
    match fs::read(&file) {
        Ok(bytes) => {
            // Not with the parser's words, which may quote a secret.
            let demo = serde_json::from_slice(&bytes).ok();
            demo.map(Some).with_context(|| format!("{} is damaged: use --fresh", file.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}
