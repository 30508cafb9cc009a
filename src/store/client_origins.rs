//! From which origins browsers may call a project: an index of what its clients registered.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId};

/// Puts what the client registers now in the place of what it had.
pub async fn replace(conn: &Conn, project: ProjectId, client: ClientId, origins: &[String]) -> Result<()> {
    execute!(conn, "DELETE FROM client_origins WHERE project_id = $1 AND client_id = $2", project, client)?;
    for origin in origins {
        execute!(
            conn,
            "INSERT INTO client_origins (project_id, origin, client_id) VALUES ($1, $2, $3)
             ON CONFLICT (project_id, origin, client_id) DO NOTHING",
            project,
            origin.as_str(),
            client
        )?;
    }
    Ok(())
}

#[derive(FromRow)]
struct Found {
    is_registered: bool,
}

/// Whether an active client of the project registered it.
pub async fn is_registered(conn: &Conn, project: ProjectId, origin: &str) -> Result<bool> {
    let found = fetch_one!(
        conn,
        Found,
        "SELECT EXISTS (SELECT 1 FROM client_origins o
           JOIN clients c ON c.project_id = o.project_id AND c.id = o.client_id
           JOIN projects p ON p.id = o.project_id
           WHERE o.project_id = $1 AND o.origin = $2 AND c.status = 'active' AND p.status = 'active') AS is_registered",
        project,
        origin
    )?;
    Ok(found.is_registered)
}
