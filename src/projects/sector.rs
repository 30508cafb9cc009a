//! Whether the applications of a sector say so themselves (OpenID Connect Registration, 5).

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::client::ClientSettings;

const FIELD: &str = "sector_identifier_uri";

/// Asks the document that a registration names; it lists every redirect URI of the sector. What was registered before with
/// the same document and redirect URIs is not asked for again.
///
/// # Errors
/// `invalid_request` naming the field when the document cannot be had, is not a list, or lists less.
pub async fn check(
    app: &App,
    project: ProjectId,
    old: Option<&ClientSettings>,
    new: &ClientSettings,
) -> Result<()> {
    let Some(uri) = &new.sector_identifier_uri else { return Ok(()) };
    let same = |old: &ClientSettings| {
        old.sector_identifier_uri.as_ref() == Some(uri) && old.redirect_uris == new.redirect_uris
    };
    if old.is_some_and(same) {
        return Ok(());
    }
    let refuse = |why: String| Error::invalid_field(FIELD, why);
    let answer = app
        .callouts
        .get(project, uri)
        .await
        .map_err(|fault| refuse(format!("{FIELD}: {}", fault.as_str())))?;
    if answer.status != 200 {
        return Err(refuse(format!("{FIELD} answers {}", answer.status)));
    }
    let listed: Vec<String> = serde_json::from_slice(&answer.body)
        .map_err(|_| refuse(format!("{FIELD} is not a JSON list of redirect URIs")))?;
    match new.redirect_uris.iter().all(|uri| listed.contains(uri)) {
        true => Ok(()),
        false => Err(refuse(format!("{FIELD} does not list every one of redirect_uris"))),
    }
}
