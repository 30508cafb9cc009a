//! Fills a store: projects as they are made, families as an exchange makes them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use tessera::clock::Clock;
use tessera::entropy::Entropy;
use tessera::ids::{ClientId, FamilyId, ProjectId, UserId};
use tessera::model::timestamp::Timestamp;
use tessera::store::codes::CodeRow;
use tessera::store::db::{Conn, Db, Settings};
use tessera::store::families::{self, Lifetime, NewFamily};
use tessera::store::projects as stored_projects;
use tessera::store::users::{self, Record};

use crate::server::Demo;

/// Families per user: few have more sessions than this.
const FAMILIES_PER_USER: usize = 20;
/// Rows per transaction.
const BATCH: usize = 500;

/// Adds to the store behind `data/dev.json` until it has so many projects, and so many families in the demo project.
pub async fn seed(data: &Path, projects: usize, families: usize) -> Result<()> {
    let demo = Demo::read(data)?;
    let db = Db::connect(&Settings::new(&demo.database_url)).await?;
    let (entropy, now, begun) = (Entropy::default(), Clock::System.now(), Instant::now());
    let name = demo.project.as_str();
    let template = db.read(|conn| async move { stored_projects::get(&conn, name).await }).await?;
    for first in (1..projects).step_by(BATCH) {
        let mut rows = Vec::new();
        for number in first..projects.min(first + BATCH) {
            let mut project = template.clone();
            project.id = entropy.id(now)?;
            project.slug = format!("seed-{number}");
            project.issuer = format!("{}/projects/seed-{number}", demo.base_url);
            rows.push(project);
        }
        let rows = &rows;
        db.unit(|conn| async move {
            for project in rows {
                stored_projects::insert(&conn, project).await?;
            }
            Ok(())
        })
        .await?;
    }
    let client: ClientId = demo.client("public")?.client_id.parse().context("a client id")?;
    for _ in (0..families).step_by(BATCH) {
        batch_of_families(&db, &entropy, now, template.id, client, template.token_epoch).await?;
    }
    eprintln!("seeded {projects} projects and {families} families in {:.1} s", begun.elapsed().as_secs_f64());
    db.close().await;
    Ok(())
}

async fn batch_of_families(
    db: &Db,
    entropy: &Entropy,
    now: Timestamp,
    project: ProjectId,
    client: ClientId,
    project_epoch: i64,
) -> Result<()> {
    let mut people: Vec<(UserId, String, Vec<FamilyId>)> = Vec::new();
    for _ in 0..BATCH / FAMILIES_PER_USER {
        let id: UserId = entropy.id(now)?;
        let families = (0..FAMILIES_PER_USER).map(|_| entropy.id(now)).collect::<Result<_, _>>()?;
        people.push((id, format!("seed-{id}"), families));
    }
    let people = &people;
    db.unit(|conn| async move {
        for (user, username, families) in people {
            let record =
                Record { status: "active", username, email: None, email_verified: false, profile: "{}" };
            users::insert(&conn, project, now, *user, &record).await?;
            insert_families(&conn, now, project, (*user, client, project_epoch), families).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

async fn insert_families(
    conn: &Conn,
    now: Timestamp,
    project: ProjectId,
    (user, client, epoch): (UserId, ClientId, i64),
    ids: &[FamilyId],
) -> tessera::error::Result<()> {
    let code = CodeRow {
        client_id: client,
        user_id: user,
        browser_session_id: None,
        redirect_uri: String::new(),
        code_challenge: None,
        dpop_jkt: None,
        scope: "openid profile".into(),
        scopes_as_of: 0,
        requested_scope: None,
        nonce: None,
        audience: client.to_string(),
        for_resources: false,
        claims: None,
        auth_time: now,
        amr: r#"["pwd"]"#.into(),
        acr: "1".into(),
        user_agent: String::new(),
        address: String::new(),
        project_epoch: epoch,
        client_epoch: epoch,
        user_epoch: now.micros(),
        expires_at: now,
        consumed_at: None,
        family_id: None,
    };
    let end = now.plus_seconds(86_400);
    let lifetime = Lifetime { idle_expires_at: end, expires_at: end };
    for id in ids {
        let (code, mac_key_id) = (&code, "seed");
        let family = NewFamily {
            id: *id,
            code,
            offline: true,
            mac_key_id,
            lifetime,
            client_version: 0,
            cnf_jkt: None,
            first_party: true,
            subject: None,
        };
        families::insert(conn, project, now, &family).await?;
    }
    Ok(())
}
