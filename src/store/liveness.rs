//! The hot read: one statement tells whether tokens live, and whether what is remembered of their projects and of the
//! callers is still true.
//!
//! For one question it is portable. For many it differs by engine, because a list of rows does.

use std::fmt::Write;
use std::sync::LazyLock;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row, SqliteConnection};
use uuid::Uuid;

use super::admin_keys::AdminKey;
use super::db::{Conn, Wire, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{AdminKeyId, ClientId, FamilyId, ProjectId, UserId};
use crate::model::token::{Family, Link};

/// Questions of one statement at most.
pub const MOST_QUESTIONS: usize = 32;

/// What is asked about: whatever the token and the caller name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Question {
    pub family: Option<FamilyId>,
    /// The subject of the token: a deleted user's families are gone, the tombstone is not.
    pub user: Option<UserId>,
    /// Of a token that may be revoked by itself.
    pub jti: Option<String>,
    /// The client that acts in its own name with the token.
    pub actor: Option<ClientId>,
    /// The calling client; where a token speaks for itself, the one that it was given to.
    pub caller: Option<ClientId>,
    /// SHA-256 of the calling admin key.
    pub admin_key: Option<Vec<u8>>,
    /// Through which tokens it was passed on. They are asked about apart, by [`links_live`].
    pub via: Vec<Link>,
}

/// How things stand now.
#[derive(Clone, Debug)]
pub struct Standing {
    pub project_version: i64,
    pub project_status: String,
    pub project_epoch: i64,
    /// `None` for a client that is not there.
    pub caller_version: Option<i64>,
    /// A live admin key of this project or of all.
    pub admin: Option<AdminKey>,
    pub user_status: Option<String>,
    pub token_revoked: bool,
    /// State and epoch; `None` for a client that is not there.
    pub actor: Option<(String, i64)>,
    pub family: Option<Family>,
}

macro_rules! from_rows {
    ($($row:ty),*) => {$(
        impl<'r> FromRow<'r, $row> for Standing {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                let family = match row.try_get::<Option<FamilyId>, _>("id")? {
                    Some(_) => Some(Family::from_row(row)?),
                    None => None,
                };
                let admin = match row.try_get::<Option<AdminKeyId>, _>("admin_key_id")? {
                    Some(id) => Some(AdminKey {
                        id,
                        project_id: row.try_get("admin_key_project_id")?,
                        name: row.try_get("admin_key_name")?,
                        role: row.try_get("admin_key_role")?,
                    }),
                    None => None,
                };
                Ok(Self {
                    project_version: row.try_get("project_version")?,
                    project_status: row.try_get("project_status")?,
                    caller_version: row.try_get("caller_version")?,
                    admin,
                    user_status: row.try_get("user_status")?,
                    actor: match row.try_get::<Option<String>, _>("actor_status")? {
                        Some(status) => Some((status, row.try_get("actor_epoch")?)),
                        None => None,
                    },
                    project_epoch: row.try_get("project_token_epoch")?,
                    token_revoked: row.try_get::<Option<String>, _>("revoked_jti")?.is_some(),
                    family,
                })
            }
        }
    )*};
}

from_rows!(PgRow, SqliteRow);

/// The answer to the question with this number, counted from 0.
struct Numbered {
    number: i64,
    standing: Standing,
}

macro_rules! from_numbered_rows {
    ($($row:ty),*) => {$(
        impl<'r> FromRow<'r, $row> for Numbered {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                Ok(Self { number: row.try_get("number")?, standing: Standing::from_row(row)? })
            }
        }
    )*};
}

from_numbered_rows!(PgRow, SqliteRow);

/// The statement, with the places where the questions come from.
macro_rules! hot_read {
    ($number:literal, $from:literal, $family:literal, $user:literal, $jti:literal, $actor:literal, $caller:literal, $admin_key:literal,
     $end:literal) => {
        concat!(
            "SELECT ",
            $number,
            "p.version AS project_version, p.status AS project_status, p.token_epoch AS project_token_epoch,
             k.version AS caller_version,
             a.id AS admin_key_id, a.project_id AS admin_key_project_id, a.name AS admin_key_name,
             a.role AS admin_key_role, r.jti AS revoked_jti,
             m.status AS actor_status, m.token_epoch AS actor_epoch,
             f.id, f.client_id, f.client_version, f.user_id, f.browser_session_id, f.scope, f.requested_scope, f.audience, f.for_resources, f.claims, f.first_party, f.scopes_as_of, f.subject, f.auth_time,
             f.amr, f.acr, f.cnf_jkt, f.seq, f.prev_seq, f.rotated_at, f.mac_key_id, f.idle_expires_at, f.expires_at, f.revoked_at,
             f.project_epoch, f.client_epoch, f.user_epoch,
             c.status AS client_status, c.token_epoch AS client_token_epoch,
             c.first_party AS client_first_party,
             u.status AS user_status, u.token_epoch AS user_token_epoch, u.version AS user_version,
             u.username, u.email, u.email_verified, u.profile, u.roles, u.groups, u.attributes,
             u.updated_at AS user_updated_at
             FROM ",
            $from,
            " LEFT JOIN token_families f ON f.project_id = p.id AND f.id = ",
            $family,
            " LEFT JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
              LEFT JOIN users u ON u.project_id = p.id AND u.id = COALESCE(f.user_id, ",
            $user,
            ") LEFT JOIN revoked_tokens r ON r.project_id = p.id AND r.jti = ",
            $jti,
            " LEFT JOIN clients m ON m.project_id = p.id AND m.id = ",
            $actor,
            " LEFT JOIN clients k ON k.project_id = p.id AND k.id = ",
            $caller,
            " LEFT JOIN admin_keys a ON a.hash = ",
            $admin_key,
            " AND a.revoked_at IS NULL AND (a.project_id IS NULL OR a.project_id = p.id)",
            $end
        )
    };
}

const ONE: &str = hot_read!("", "projects p", "$2", "$3", "$4", "$5", "$6", "$7", " WHERE p.id = $1");

const MANY_POSTGRES: &str = hot_read!(
    "q.number - 1 AS number, ",
    "unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::bytea[])
       WITH ORDINALITY AS q (project, family, subject, jti, actor, caller, admin_key, number)
     JOIN projects p ON p.id = q.project",
    "q.family",
    "q.subject",
    "q.jti",
    "q.actor",
    "q.caller",
    "q.admin_key",
    ""
);

/// CROSS JOIN: SQLite begins with the questions, however many projects it takes there to be.
const MANY_SQLITE: &str = hot_read!(
    "q.number, ",
    "q CROSS JOIN projects p ON p.id = q.project",
    "q.family",
    "q.subject",
    "q.jti",
    "q.actor",
    "q.caller",
    "q.admin_key",
    ""
);

/// The texts for 1, 2, 4 … questions: few enough to stay prepared.
static SQLITE_TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sizes =
        std::iter::successors(Some(1), |size| Some(size * 2)).take_while(|size| *size <= MOST_QUESTIONS);
    sizes.map(text_for_sqlite).collect()
});

fn text_for_sqlite(questions: usize) -> String {
    let mut text =
        "WITH q (number, project, family, subject, jti, actor, caller, admin_key) AS (VALUES ".to_owned();
    for number in 0..questions {
        let comma = if number == 0 { "" } else { ", " };
        let [a, b, c, d, e, f, g] = [1, 2, 3, 4, 5, 6, 7].map(|parameter| number * 7 + parameter);
        // Writing to a String does not fail.
        let _ = write!(text, "{comma}({number}, ${a}, ${b}, ${c}, ${d}, ${e}, ${f}, ${g})");
    }
    text + ") " + MANY_SQLITE
}

/// `None` when the project is not there.
pub async fn read(conn: &Conn, project: ProjectId, question: &Question) -> Result<Option<Standing>> {
    fetch_optional!(
        conn,
        Standing,
        ONE,
        project,
        question.family,
        question.user,
        question.jti.as_deref(),
        question.actor,
        question.caller,
        question.admin_key.as_deref()
    )
}

/// The answers in the order of the questions, of which there are at most [`MOST_QUESTIONS`].
pub async fn read_many(conn: &Conn, asked: &[(ProjectId, Question)]) -> Result<Vec<Option<Standing>>> {
    if let [(project, question)] = asked {
        return Ok(vec![read(conn, *project, question).await?]);
    }
    let mut lease = conn.0.lock().await;
    lease.pass().await;
    let rows = match lease.wire()? {
        Wire::Postgres(conn, persistent) => many_postgres(conn, persistent, asked).await,
        Wire::Sqlite(conn) => many_sqlite(conn, asked).await,
    };
    let mut answers = vec![None; asked.len()];
    for Numbered { number, standing } in lease.settle(rows)? {
        if let Some(answer) = usize::try_from(number).ok().and_then(|number| answers.get_mut(number)) {
            *answer = Some(standing);
        }
    }
    Ok(answers)
}

async fn many_postgres(
    conn: &mut PgConnection,
    persistent: bool,
    asked: &[(ProjectId, Question)],
) -> Result<Vec<Numbered>, sqlx::Error> {
    fn column<'a, T>(asked: &'a [(ProjectId, Question)], of: impl Fn(&'a Question) -> T) -> Vec<T> {
        asked.iter().map(|(_, question)| of(question)).collect()
    }
    let projects: Vec<Uuid> = asked.iter().map(|(project, _)| project.0).collect();
    sqlx::query_as(MANY_POSTGRES)
        .bind(projects)
        .bind(column(asked, |question| question.family.map(|id| id.0)))
        .bind(column(asked, |question| question.user.map(|id| id.0)))
        .bind(column(asked, |question| question.jti.as_deref()))
        .bind(column(asked, |question| question.actor.map(|id| id.0)))
        .bind(column(asked, |question| question.caller.map(|id| id.0)))
        .bind(column(asked, |question| question.admin_key.as_deref()))
        .persistent(persistent)
        .fetch_all(conn)
        .await
}

async fn many_sqlite(
    conn: &mut SqliteConnection,
    asked: &[(ProjectId, Question)],
) -> Result<Vec<Numbered>, sqlx::Error> {
    let size = asked.len().next_power_of_two();
    let text = SQLITE_TEXTS.get(size.trailing_zeros() as usize);
    let text = text.ok_or_else(|| sqlx::Error::Protocol("too many questions at once".into()))?;
    let mut query = sqlx::query_as(AssertSqlSafe(text.as_str()));
    let nothing = Question::default();
    let padding = std::iter::repeat_n((None, &nothing), size - asked.len());
    for (project, question) in asked.iter().map(|(project, asked)| (Some(*project), asked)).chain(padding) {
        query = query
            .bind(project)
            .bind(question.family)
            .bind(question.user)
            .bind(question.jti.as_deref())
            .bind(question.actor)
            .bind(question.caller)
            .bind(question.admin_key.as_deref());
    }
    query.fetch_all(conn).await
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Whether each token of a chain lives: its client's epoch is the same, and it was not revoked by itself.
pub async fn links_live(conn: &Conn, project: ProjectId, links: &[Link]) -> Result<bool> {
    for link in links {
        let count = fetch_one!(
            conn,
            Count,
            "SELECT count(*) AS n FROM clients c
             WHERE c.project_id = $1 AND c.id = $2 AND c.token_epoch = $3 AND c.status = 'active'
               AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.project_id = $1 AND r.jti = $4)",
            project,
            link.client_id,
            link.epoch,
            &link.jti
        )?;
        if count.n == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
