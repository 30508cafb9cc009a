//! A project's own words in its letters.

use serde::Serialize;
use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// The words of one letter in one language.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct MailTemplate {
    pub kind: String,
    pub language: String,
    pub subject: String,
    pub text: String,
    pub updated_at: Timestamp,
}

pub async fn find(
    conn: &Conn,
    project: ProjectId,
    kind: &str,
    language: &str,
) -> Result<Option<MailTemplate>> {
    fetch_optional!(
        conn,
        MailTemplate,
        "SELECT kind, language, subject, text, updated_at FROM mail_templates
         WHERE project_id = $1 AND kind = $2 AND language = $3",
        project,
        kind,
        language
    )
}

/// All of a project: as many as there are kinds and languages, at most.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<MailTemplate>> {
    fetch_all!(
        conn,
        MailTemplate,
        "SELECT kind, language, subject, text, updated_at FROM mail_templates WHERE project_id = $1 LIMIT 1000",
        project
    )
}

pub async fn put(conn: &Conn, project: ProjectId, template: &MailTemplate) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO mail_templates (project_id, kind, language, subject, text, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (project_id, kind, language) DO UPDATE SET subject = $4, text = $5, updated_at = $6",
        project,
        &template.kind,
        &template.language,
        &template.subject,
        &template.text,
        template.updated_at
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, kind: &str, language: &str) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM mail_templates WHERE project_id = $1 AND kind = $2 AND language = $3",
        project,
        kind,
        language
    )
}
