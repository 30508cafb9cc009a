//! What a PostgreSQL server has to be before we trust it with commits.

use sqlx::{PgConnection, Row};

use super::conn::store_error;
use super::pool::Pooled;
use crate::error::{Error, Result};

/// The oldest version that we work with.
const OLDEST: u32 = 14;

/// # Errors
/// A server that is too old, or that would lose what was answered.
pub(super) async fn check(conn: &mut Pooled<PgConnection>) -> Result<()> {
    check_version(&show(conn, "SHOW server_version_num").await?)?;
    if show(conn, "SHOW synchronous_commit").await? == "off" {
        return Err(Error::internal("synchronous_commit is off: a crash would undo what was answered"));
    }
    Ok(())
}

/// A setting of the server, as text.
async fn show(conn: &mut Pooled<PgConnection>, sql: &'static str) -> Result<String> {
    let row = sqlx::raw_sql(sql).fetch_one(&mut conn.conn).await;
    row.and_then(|row| row.try_get(0)).map_err(store_error)
}

/// `server_version_num`: 140011 is 14.11.
fn check_version(number: &str) -> Result<()> {
    let version = number.parse().map_or(0, |number: u32| number / 10_000);
    if version >= OLDEST {
        return Ok(());
    }
    Err(Error::internal(format!("the server is PostgreSQL {version}, and {OLDEST} is the oldest that works")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for good in ["140000", "150017", "200001"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for (bad, version) in [("130014", 13), ("90624", 9), ("devel", 0)] {
            let cause = check_version(bad).unwrap_err().cause().unwrap().to_string();
            assert_eq!(cause, format!("the server is PostgreSQL {version}, and 14 is the oldest that works"));
        }
    }
}
