//! Mail as files: what `dev` does instead of sending.

use std::path::Path;

use tokio::io::AsyncWriteExt;

use super::Message;
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;

/// Writes the message as it would be read, into a file that only its owner can read. Ids sort by time, and so do the files.
pub(super) async fn write(
    directory: &Path,
    id: OutboxId,
    written_at: Timestamp,
    message: &Message,
) -> Result<(), Failure> {
    let Message { to, subject, text, html } = message;
    let html = html.as_ref().map(|html| format!("\n--- as HTML ---\n{html}")).unwrap_or_default();
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
