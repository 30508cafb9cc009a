//! Mail as files: what `dev` does instead of sending, and how its mailbox reads them.

use std::path::Path;

use tokio::io::AsyncWriteExt;

use super::Message;
use crate::error::{Error, Result};
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;

const AS_HTML: &str = "\n--- as HTML ---\n";

/// Letters that the mailbox shows, the newest of them.
const MOST_LISTED: usize = 200;

/// Writes the message as it would be read, into a file that only its owner can read. Ids sort by time, and so do the files.
pub(super) async fn write(
    directory: &Path,
    id: OutboxId,
    written_at: Timestamp,
    message: &Message,
) -> Result<(), Failure> {
    let Message { to, subject, text, html } = message;
    let html = html.as_ref().map(|html| format!("{AS_HTML}{html}")).unwrap_or_default();
    let content = format!("To: {to}\nSubject: {subject}\nDate: {written_at}\n\n{text}{html}");
    let written = async {
        tokio::fs::create_dir_all(directory).await?;
        let mut options = tokio::fs::OpenOptions::new();
        // The same message again replaces itself.
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(directory.join(format!("{id}.txt"))).await?;
        file.write_all(content.as_bytes()).await?;
        file.flush().await
    };
    written.await.map_err(|error| Failure::Failed(format!("not written: {}", error.kind()).into()))
}

/// A letter that was written.
pub struct Kept {
    pub id: OutboxId,
    pub to: String,
    pub subject: String,
    pub date: String,
    pub text: String,
}

/// The letters of a directory, the newest first.
pub async fn list(directory: &Path) -> Result<Vec<Kept>> {
    let mut ids = Vec::new();
    // No letter yet, no directory.
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else { return Ok(Vec::new()) };
    while let Some(entry) = entries.next_entry().await.map_err(Error::internal)? {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".txt")).and_then(|id| id.parse().ok());
        ids.extend::<Option<OutboxId>>(id);
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept = Vec::new();
    for id in ids.into_iter().take(MOST_LISTED) {
        kept.extend(read(directory, id).await);
    }
    Ok(kept)
}

/// One letter; `None` when there is none.
pub async fn read(directory: &Path, id: OutboxId) -> Option<Kept> {
    let content = tokio::fs::read_to_string(directory.join(format!("{id}.txt"))).await.ok()?;
    let (head, body) = content.split_once("\n\n")?;
    let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let text = body.split_once(AS_HTML).map_or(body, |(text, _)| text);
    Some(Kept {
        id,
        to: line("To: ").to_owned(),
        subject: line("Subject: ").to_owned(),
        date: line("Date: ").to_owned(),
        text: text.to_owned(),
    })
}
