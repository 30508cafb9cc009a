//! Notices a store that was set back: a backup was restored, or a failover lost commits, and nobody ran `tessera restored`.
//!
//! Once a minute the store gets a mark with a random value, and each node keeps the last one that it saw in a file outside of
//! the database. A store that does not have that mark is not the one that the node knew: sessions that had ended may live in
//! it again. So a node does not begin to serve it, and one that serves says so in its log.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file::{blocking, make_directory_of};
use crate::app::App;
use crate::error::{Error, Result};
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::store_marks::{self, Mark, NAME};

/// Seconds between two marks: what is lost of less than this goes unnoticed.
const INTERVAL_SECONDS: i64 = 60;

/// Marks that are kept: a node that was away for longer, some weeks, cannot judge.
const KEPT: i64 = 50_000;

const PAUSE: Duration = Duration::from_secs(60);

/// More than the file has.
const MOST_BYTES: u64 = 4096;

/// What a node saw when it looked at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The store goes on from what the node knew, or the node knew nothing.
    Fits,
    /// What the node saw at this time is not in the store.
    SetBack { seen_at: Timestamp },
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// The nonce that names the store.
    store: String,
    mark: Mark,
}

/// What is decided of a sight in the store.
struct Look {
    set_back: bool,
    store: Option<String>,
    newest: Option<Mark>,
}

/// Looks at the store; marks it, and keeps the mark, if it fits. `at_once`: whether or not the last mark is older than a minute.
///
/// # Errors
/// The store or the disk is away.
pub async fn look(app: &App, at_once: bool) -> Result<Sight> {
    let Some(path) = app.erasure_ledger.as_deref().map(path) else { return Ok(Sight::Fits) };
    let seen = &blocking({
        let path = path.clone();
        move || read(&path)
    })
    .await?;
    let look = app.db.read(|conn| async move { compare(&conn, seen.as_ref()).await }).await?;
    if let Some(seen) = seen.as_ref().filter(|_| look.set_back) {
        return Ok(Sight::SetBack { seen_at: seen.mark.at });
    }
    let seen = mark(app, look, at_once, false).await?;
    blocking(move || write(&path, &seen)).await?;
    Ok(Sight::Fits)
}

/// Marks the store as one of which all nodes are told that it was set back.
///
/// # Errors
/// The store or the disk is away.
pub async fn tell(app: &App) -> Result<()> {
    let look = app.db.read(|conn| async move { compare(&conn, None).await }).await?;
    let seen = mark(app, look, true, true).await?;
    match app.erasure_ledger.as_deref().map(path) {
        Some(path) => blocking(move || write(&path, &seen)).await,
        None => Ok(()),
    }
}

/// Before a node serves. A disk that is away does not keep it from serving.
///
/// # Errors
/// The store was set back.
pub async fn at_start(app: &App) -> anyhow::Result<()> {
    match look(app, true).await {
        Ok(Sight::Fits) => {}
        Ok(Sight::SetBack { seen_at }) => anyhow::bail!("{SET_BACK} (seen at {seen_at})"),
        Err(error) => not_looked(&error),
    }
    Ok(())
}

/// Looks once a minute, as long as the server runs.
pub async fn keep_looking(app: Arc<App>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        match look(&app, false).await {
            Ok(Sight::Fits) => {}
            Ok(Sight::SetBack { seen_at }) => tracing::error!(%seen_at, "{SET_BACK}"),
            Err(error) => not_looked(&error),
        }
    }
}

fn not_looked(error: &Error) {
    let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
    tracing::error!(cause, "whether the store was set back is not known: its mark was not read or kept");
}

/// What operators read.
const SET_BACK: &str = "the store is older than this node has seen it: a backup was restored, or a failover lost commits. \
    Stop the nodes and run `tessera restored`: until then, sessions that had ended may live again";

async fn compare(conn: &Conn, seen: Option<&Seen>) -> Result<Look> {
    let store = store_marks::find(conn, NAME).await?.map(|mark| mark.nonce);
    let newest = store_marks::newest(conn).await?;
    let Some(seen) = seen.filter(|seen| store.as_ref() == Some(&seen.store)) else {
        // The node knows nothing, or another store.
        return Ok(Look { set_back: false, store, newest });
    };
    let there = store_marks::find(conn, seen.mark.seq).await?;
    let set_back = match there {
        Some(there) if there.nonce == seen.mark.nonce => false,
        None if store_marks::oldest(conn).await?.is_some_and(|oldest| seen.mark.seq < oldest.seq) => false,
        _ => store_marks::newest_told(conn).await?.is_none_or(|told| told.at < seen.mark.at),
    };
    Ok(Look { set_back, store, newest })
}

/// The newest mark, made now unless there is a recent one.
async fn mark(app: &App, look: Look, at_once: bool, told: bool) -> Result<Seen> {
    let Look { store, newest, .. } = look;
    let now = app.clock.now();
    let is_recent = |mark: &Mark| !at_once && mark.at.plus_seconds(INTERVAL_SECONDS) > now;
    if let (Some(store), Some(recent)) = (&store, newest.as_ref().filter(|mark| is_recent(mark))) {
        return Ok(Seen { store: store.clone(), mark: recent.clone() });
    }
    let name = &Mark { seq: NAME, nonce: nonce(app)?, at: now };
    let nonce = &nonce(app)?;
    // Read one after the other: a mark of a store that had no name just now is another node's of this very moment.
    let known = newest.filter(|_| store.is_some()).map_or(NAME, |mark| mark.seq);
    let make = |conn: Conn| async move {
        store_marks::insert(&conn, name, false).await?;
        loop {
            let last = store_marks::newest(&conn).await?.unwrap_or_else(|| name.clone());
            if !at_once && known < last.seq {
                // Another node was faster.
                return Ok(());
            }
            let new = Mark { seq: last.seq + 1, nonce: nonce.clone(), at: now.max(last.at) };
            if store_marks::insert(&conn, &new, told).await? == 1 {
                return store_marks::delete_up_to(&conn, new.seq - KEPT).await.map(drop);
            }
        }
    };
    app.db.unit(make).await?;
    let read = |conn: Conn| async move {
        Ok((store_marks::find(&conn, NAME).await?, store_marks::newest(&conn).await?))
    };
    match app.db.read(read).await? {
        (Some(store), Some(mark)) => Ok(Seen { store: store.nonce, mark }),
        _ => Err(Error::internal("the mark that was made is not in the store")),
    }
}

fn nonce(app: &App) -> Result<String> {
    Ok(app.entropy.token("")?.expose().to_owned())
}

/// Beside the ledger, so that it lies where the store's end does not end it.
fn path(ledger: &Path) -> PathBuf {
    let mut path = OsString::from(ledger);
    path.push(".mark");
    path.into()
}

/// A file that says nothing is as one that is missing: the node may have died while it made the first.
fn read(path: &Path) -> io::Result<Option<Seen>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.lock_shared()?;
    read_from(&mut file)
}

fn read_from(file: &mut File) -> io::Result<Option<Seen>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Option<Seen> {
    let words: Vec<_> = text.lines().next()?.split(' ').collect();
    let ["1", store, seq, nonce, at] = words.as_slice() else { return None };
    let mark = Mark {
        seq: seq.parse().ok()?,
        nonce: (*nonce).to_owned(),
        at: Timestamp::from_micros(at.parse().ok()?),
    };
    Some(Seen { store: (*store).to_owned(), mark })
}

/// Nodes may share the file; what is newer stays.
fn write(path: &Path, seen: &Seen) -> io::Result<()> {
    make_directory_of(path)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.lock()?;
    let there = read_from(&mut file)?;
    let is_newer = |there: &Seen| there.store == seen.store && there.mark.at > seen.mark.at;
    if there.as_ref() == Some(seen) || there.as_ref().is_some_and(is_newer) {
        return Ok(());
    }
    let Seen { store, mark: Mark { seq, nonce, at } } = seen;
    // One short line at the beginning: the disk writes all of it or none. What was longer before follows as a line of its own.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("1 {store} {seq} {nonce} {}\n", at.micros()).as_bytes())?;
    file.sync_data()
}
