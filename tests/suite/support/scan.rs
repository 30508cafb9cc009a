//! A look into every cell of a store, as somebody has who got hold of it, with or without the master key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use tessera::ids::{ProjectId, UserId};
use tessera::keys::master::Place;
use uuid::Uuid;

use super::TestApp;

/// A table as the catalogue names it, with all that is in it.
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl Table {
    fn cell<'a>(&self, row: &'a [Option<Vec<u8>>], column: &str) -> Option<&'a Vec<u8>> {
        let place = self.columns.iter().position(|name| name == column)?;
        row[place].as_ref()
    }
}

impl TestApp {
    /// Every table, with every column of every row.
    pub async fn tables(&self) -> Vec<Table> {
        match self.database.url.starts_with("sqlite") {
            true => self.tables_of_sqlite().await,
            false => self.tables_of_postgres().await,
        }
    }

    async fn tables_of_sqlite(&self) -> Vec<Table> {
        let mut conn = SqliteConnection::connect(&self.database.url).await.unwrap();
        let sql =
            "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'";
        let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        let mut tables = grouped(columns);
        for table in &mut tables {
            let list: Vec<_> = table.columns.iter().map(|name| format!("CAST(\"{name}\" AS BLOB)")).collect();
            let sql = format!("SELECT {} FROM \"{}\"", list.join(", "), table.name);
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
            let cells = |row: &sqlx::sqlite::SqliteRow| (0..list.len()).map(|at| row.get(at)).collect();
            table.rows = rows.iter().map(cells).collect();
        }
        tables
    }

    async fn tables_of_postgres(&self) -> Vec<Table> {
        let mut conn = PgConnection::connect(&self.database.url).await.unwrap();
        let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
            WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";
        let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        let mut tables = grouped(columns);
        for table in &mut tables {
            let list: Vec<_> = table.columns.iter().map(|name| format!("\"{name}\"::text")).collect();
            let sql = format!("SELECT {} FROM \"{}\"", list.join(", "), table.name);
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
            let cells = |row: &sqlx::postgres::PgRow| {
                (0..list.len()).map(|at| row.get::<Option<String>, _>(at).map(bytes_of)).collect()
            };
            table.rows = rows.iter().map(cells).collect();
        }
        tables
    }

    /// What lies sealed under the master key, or under the data key of a user, opened: `table.column` and what it says.
    pub async fn unsealed(&self) -> Vec<(String, Vec<u8>)> {
        let tables = self.tables().await;
        let mut opened = Vec::new();
        for table in &tables {
            for row in &table.rows {
                let project = table.cell(row, "project_id").and_then(|cell| uuid_of(cell));
                let project = ProjectId(project.unwrap_or_default());
                let names: Vec<String> = row.iter().flatten().filter_map(|cell| name_of(cell)).collect();
                for (column, cell) in table.columns.iter().zip(row) {
                    let Some(sealed) = cell else { continue };
                    let open = |row: &String| {
                        let place = Place { table: &table.name, project, row, column };
                        self.app.master_keys.open(&place, sealed).ok().map(|plain| plain.to_vec())
                    };
                    if let Some(plain) = names.iter().find_map(open) {
                        opened.push((format!("{}.{column}", table.name), plain));
                    }
                }
            }
        }
        opened.extend(self.unsealed_log(&tables));
        opened
    }

    fn unsealed_log(&self, tables: &[Table]) -> Vec<(String, Vec<u8>)> {
        let named = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
        let (log, keys) = (named("audit_log"), named("user_keys"));
        let of_user = |user: Uuid| {
            let own = keys
                .rows
                .iter()
                .find(|row| keys.cell(row, "user_id").and_then(|id| uuid_of(id)) == Some(user))?;
            keys.cell(own, "sealed_key").cloned()
        };
        let open = |row: &Vec<Option<Vec<u8>>>| {
            let (user, blob) = (uuid_of(log.cell(row, "user_id")?)?, log.cell(row, "sealed")?);
            let project = ProjectId(uuid_of(log.cell(row, "project_id")?)?);
            let key = of_user(user)?;
            let plain =
                tessera::audit::open(&self.app.master_keys, project, UserId(user), &key, blob).ok()?;
            Some(("audit_log.sealed".to_owned(), plain.to_string().into_bytes()))
        };
        let open_origin = |row: &Vec<Option<Vec<u8>>>| {
            let uuid = |column| log.cell(row, column).and_then(|cell| uuid_of(cell));
            let owner = uuid("origin_project").map(ProjectId).zip(uuid("origin_user").map(UserId));
            let key = owner.and_then(|(_, user)| of_user(user.0));
            let request = String::from_utf8(log.cell(row, "request_id")?.clone()).ok()?;
            let (keys, blob) = (&self.app.master_keys, log.cell(row, "origin")?);
            let plain = tessera::audit::open_origin(keys, owner, &request, key.as_deref(), blob).ok()?;
            Some(("audit_log.origin".to_owned(), plain.to_string().into_bytes()))
        };
        log.rows.iter().filter_map(open).chain(log.rows.iter().filter_map(open_origin)).collect()
    }
}

fn grouped(columns: Vec<(String, String)>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (table, column) in columns {
        match tables.iter_mut().find(|known| known.name == table) {
            Some(known) => known.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column], rows: Vec::new() }),
        }
    }
    tables
}

/// PostgreSQL writes bytes as `\x…`.
fn bytes_of(text: String) -> Vec<u8> {
    let hex = text.strip_prefix("\\x").map(str::as_bytes).map(|hex| {
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
        hex.chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
    });
    hex.unwrap_or_else(|| text.into_bytes())
}

fn uuid_of(cell: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(cell).ok().or_else(|| std::str::from_utf8(cell).ok()?.parse().ok())
}

/// What a row may be called.
fn name_of(cell: &[u8]) -> Option<String> {
    let text = || std::str::from_utf8(cell).ok().filter(|text| text.len() < 100).map(str::to_owned);
    uuid_of(cell).map(|id| id.to_string()).or_else(text)
}

/// A value in the forms in which it may be written.
pub struct Needle {
    pub name: String,
    /// Looked for whatever the case of ASCII letters.
    folded: Vec<Vec<u8>>,
    exact: Vec<Vec<u8>>,
}

impl Needle {
    pub fn text(value: &str) -> Self {
        let mut needle = Self { name: value.to_owned(), folded: Vec::new(), exact: Vec::new() };
        let mut spellings = vec![value.to_owned(), value.to_lowercase()];
        spellings.dedup();
        for spelling in spellings {
            needle.add(spelling.as_bytes());
            let encoded: String = url::form_urlencoded::byte_serialize(spelling.as_bytes()).collect();
            needle.fold(encoded.into_bytes());
            let escaped: String = spelling.bytes().map(|byte| format!("%{byte:02x}")).collect();
            needle.fold(escaped.into_bytes());
            needle.fold(spelling.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        needle
    }

    pub fn id(id: Uuid) -> Self {
        let mut needle = Self { name: "the id".into(), folded: Vec::new(), exact: Vec::new() };
        needle.add(id.as_bytes());
        needle.add(id.to_string().as_bytes());
        needle
    }

    fn add(&mut self, bytes: &[u8]) {
        self.fold(bytes.to_vec());
        self.fold(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
        for before in 0..3 {
            for alphabet in [&STANDARD, &URL_SAFE] {
                let encoded = alphabet.encode([&vec![0; before][..], bytes].concat());
                // Those characters that come of the value alone.
                let (from, to) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
                self.exact.push(encoded.as_bytes()[from..to].to_vec());
            }
        }
    }

    fn fold(&mut self, form: Vec<u8>) {
        self.folded.push(form.to_ascii_lowercase());
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let folded = bytes.to_ascii_lowercase();
        self.folded.iter().any(|form| contains(&folded, form))
            || self.exact.iter().any(|form| contains(bytes, form))
    }
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

/// `table.column needle`, each once, for all that is found.
pub fn found(tables: &[Table], needles: &[Needle]) -> Vec<String> {
    let mut found = Vec::new();
    for table in tables {
        for row in &table.rows {
            for (column, cell) in table.columns.iter().zip(row) {
                let Some(cell) = cell else { continue };
                let here = needles.iter().filter(|needle| needle.is_in(cell));
                found.extend(here.map(|needle| format!("{}.{column} {}", table.name, needle.name)));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The same in what was opened.
pub fn found_in(opened: &[(String, Vec<u8>)], needles: &[Needle]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, plain) in opened {
        let here = needles.iter().filter(|needle| needle.is_in(plain));
        found.extend(here.map(|needle| format!("{place} {}", needle.name)));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let needle = Needle::text("Alice Liddell");
        let hex: String = b"Alice Liddell".iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [
            "so ALICE LIDDELL wrote".to_owned(),
            format!("\\x00{hex}00"),
            "name=Alice+Liddell&x".into(),
            "name=%41%6C%69%63%65%20%4c%69%64%64%65%6c%6c".into(),
            STANDARD.encode("x Alice Liddell y"),
            STANDARD.encode("xy Alice Liddell"),
            URL_SAFE.encode("??>Alice Liddell"),
            STANDARD.encode("alice liddell"),
        ] {
            assert!(needle.is_in(text.as_bytes()), "{text}");
        }
        assert!(needle.is_in(&"Alice Liddell".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()));
        assert!(!needle.is_in(b"Alice in Wonderland"));
    }
}
