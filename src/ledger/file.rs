//! The copy of the ledger outside of the database: a file that only grows, one line for each erasure.
//!
//! It may lag by seconds, never runs ahead of a commit, and heals itself: a line that a crash tore is written again, a
//! file that is missing is written anew. Several nodes may share one file; each takes its lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::erasures;

/// Lines copied at a time.
const BATCH: i64 = 500;

/// More than a line has.
const TAIL: u64 = 4096;

/// A deletion does not wait longer than this for a disk that hangs; the next copy makes up for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// So much may the file lag behind other nodes' deletions.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// What came of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// So many lines are new in the file, and on the disk.
    Lines(u64),
    /// Nothing was copied: the file does not fit the store, and somebody has to look.
    Differs(&'static str),
}

/// Copies after a deletion. What goes wrong is logged, and made up for by the clock: the deletion itself is done.
pub async fn copy_soon(app: &App) {
    if tokio::time::timeout(PATIENCE, copy_and_tell(app)).await.is_err() {
        tracing::error!("the erasure ledger was not copied in time");
    }
}

/// Copies by the clock, as long as the server runs: what other nodes have executed, and what [`copy_soon`] missed.
pub async fn keep_copying(app: Arc<App>) {
    loop {
        let pause = if copy_and_tell(&app).await { PAUSE } else { PAUSE_AFTER_FAILURE };
        tokio::time::sleep(pause).await;
    }
}

async fn copy_and_tell(app: &App) -> bool {
    match copy(app).await {
        Ok(Copied::Lines(_)) => return true,
        Ok(Copied::Differs(why)) => tracing::error!(why, "the erasure ledger was not copied"),
        Err(error) => {
            let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
            tracing::error!(cause, "the erasure ledger was not copied");
        }
    }
    false
}

/// Appends the lines that this node's file lacks.
///
/// # Errors
/// The store or the disk is away.
pub async fn copy(app: &App) -> Result<Copied> {
    let Some(path) = app.erasure_ledger.clone() else { return Ok(Copied::Lines(0)) };
    let (mut file, last) = blocking(move || open(&path)).await?;
    let mut seq = last.as_deref().map_or(Some(0), seq_of).unwrap_or(-1);
    let known = app.db.read(|conn| async move { erasures::find(&conn, seq).await }).await?;
    if known != last {
        return Ok(Copied::Differs(
            "the last line of its file is not in the store; after restoring a backup, run `tessera restored`",
        ));
    }
    let mut copied = 0;
    loop {
        let lines = app.db.read(|conn| async move { erasures::list_after(&conn, seq, BATCH).await }).await?;
        let Some(newest) = lines.last() else { return Ok(Copied::Lines(copied)) };
        seq = newest.seq;
        copied += lines.len() as u64;
        let text: String = lines.into_iter().map(|erasure| erasure.line + "\n").collect();
        file = blocking(move || {
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
            Ok(file)
        })
        .await?;
    }
}

/// Moves a file that differs from the store out of the way; gives its new name.
pub(super) async fn set_aside(path: &Path, suffix: i64) -> Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{suffix}"));
    let (from, to) = (path.to_owned(), PathBuf::from(aside));
    blocking(move || fs::rename(&from, &to).map(|()| to)).await
}

/// Opens the file with its lock, cuts off a line that was torn, and gives the last whole one.
fn open(path: &Path) -> io::Result<(File, Option<String>)> {
    let is_new = !path.exists();
    make_directory_of(path)?;
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if let Some(directory) = directory_of(path).filter(|_| is_new) {
        // The name is on the disk as well.
        File::open(directory)?.sync_all()?;
    }
    file.lock()?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole == 0 && start > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds something that is not a line"));
    }
    if whole < tail.len() {
        file.set_len(start + whole as u64)?;
    }
    let last = tail[..whole].trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let last = last.filter(|line| !line.is_empty()).map(|line| String::from_utf8_lossy(line).into_owned());
    Ok((file, last))
}

fn directory_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

/// The directory of a file, for nobody else's eyes.
pub(super) fn make_directory_of(path: &Path) -> io::Result<()> {
    match directory_of(path) {
        Some(directory) => DirBuilder::new().recursive(true).mode(0o700).create(directory),
        None => Ok(()),
    }
}

fn seq_of(line: &str) -> Option<i64> {
    line.split(' ').nth(1)?.parse().ok()
}

/// File work on a thread where waiting harms nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    done.map_err(|error| Error::internal(format!("the file of the erasure ledger: {error}")))
}
