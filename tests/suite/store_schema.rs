//! Both migration trees describe the same schema: each engine tells what it has, a fact a line, in the same words.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::{Database, Engine};

const SQLITE_TABLES: &str =
    "sqlite_master t WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
    AND t.name NOT LIKE 'sqlite%'";

/// `table.column type null|not null`. A lone primary key counts as not null.
const SQLITE_COLUMNS: &str = "
    SELECT t.name || '.' || c.name || ' ' || replace(lower(c.type), 'bigint', 'integer')
           || CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN ' not null' ELSE ' null' END
      FROM pragma_table_info(t.name) c, ";

const SQLITE_PRIMARY_KEYS: &str = "
    SELECT t.name || ' primary key (' || (SELECT group_concat(c.name, ',' ORDER BY c.pk)
             FROM pragma_table_info(t.name) c WHERE c.pk > 0) || ')'
      FROM ";

const SQLITE_FOREIGN_KEYS: &str = "
    SELECT t.name || ' (' || group_concat(f.\"from\", ',' ORDER BY f.seq) || ') references ' || f.\"table\" || ' ('
           || group_concat(f.\"to\", ',' ORDER BY f.seq) || ') on delete ' || lower(f.on_delete)
           || ' on update ' || lower(f.on_update)
      FROM pragma_foreign_key_list(t.name) f, ";

/// `name on table (columns) unique|plain where predicate`
const SQLITE_INDEXES: &str = "
    SELECT i.name || ' on ' || t.name || ' (' || (SELECT group_concat(c.name, ',' ORDER BY c.seqno) FROM pragma_index_info(i.name) c)
           || ') ' || CASE WHEN i.\"unique\" = 1 THEN 'unique' ELSE 'plain' END
           || CASE WHEN i.partial = 1 THEN (SELECT substr(m.sql, instr(m.sql, ' WHERE ')) FROM sqlite_master m WHERE m.name = i.name)
              ELSE '' END
      FROM pragma_index_list(t.name) i, ";

const POSTGRES_COLUMNS: &str = "
    SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'uuid' THEN 'blob' WHEN 'bytea' THEN 'blob'
             WHEN 'bigint' THEN 'integer' WHEN 'timestamp with time zone' THEN 'integer' ELSE data_type END
           || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE ' null' END
      FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";

/// The keys and checks of all tables, each with its columns in order.
const POSTGRES_CONSTRAINTS: &str = "
    SELECT t.relname::text AS name, k.contype, coalesce(f.relname::text, '') AS target, k.confdeltype, k.confupdtype,
           (SELECT string_agg(a.attname, ',' ORDER BY c.n) FROM unnest(k.conkey) WITH ORDINALITY c (attnum, n)
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum) AS columns,
           (SELECT string_agg(a.attname, ',' ORDER BY c.n) FROM unnest(k.confkey) WITH ORDINALITY c (attnum, n)
              JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.attnum) AS targets
      FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid LEFT JOIN pg_class f ON f.oid = k.confrelid
     WHERE k.connamespace = 'public'::regnamespace AND t.relname NOT LIKE '\\_sqlx%'";

const POSTGRES_KEYS: &str = "
    SELECT CASE contype WHEN 'p' THEN name || ' primary key (' || columns || ')'
             WHEN 'c' THEN name || ' check (' || columns || ')'
             WHEN 'f' THEN name || ' (' || columns || ') references ' || target || ' (' || targets || ') on delete '
               || CASE confdeltype WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' ELSE 'set' END
               || ' on update ' || CASE confupdtype WHEN 'a' THEN 'no action' ELSE 'something' END
             ELSE name || ' ' || contype::text || ' (' || columns || ')' END
      FROM constraints WHERE contype <> 'n'";

/// Those of keys are left out: the keys are compared themselves.
const POSTGRES_INDEXES: &str = "
    SELECT n.relname || ' on ' || t.relname || ' (' || (SELECT string_agg(a.attname, ',' ORDER BY k.n)
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum)
           || ') ' || CASE WHEN i.indisunique THEN 'unique' ELSE 'plain' END
           || coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), '')
      FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class n ON n.oid = i.indexrelid
     WHERE t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE '\\_sqlx%'
       AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))";

async fn of_sqlite() -> BTreeSet<String> {
    let (database, _db) = Database::migrated(Engine::Sqlite).await;
    let mut conn = SqliteConnection::connect(&database.url).await.unwrap();
    let mut facts = BTreeSet::new();
    for (what, more) in [
        (SQLITE_COLUMNS, ""),
        (SQLITE_PRIMARY_KEYS, ""),
        (SQLITE_FOREIGN_KEYS, " GROUP BY t.name, f.id"),
        (SQLITE_INDEXES, " AND i.origin <> 'pk'"),
    ] {
        let sql = AssertSqlSafe(format!("{what}{SQLITE_TABLES}{more}"));
        let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap();
        assert!(lines.len() > 10, "the comparison sees the schema");
        facts.extend(lines.iter().map(|line| plain(line)));
    }
    let tables = AssertSqlSafe(format!("SELECT t.name, t.sql FROM {SQLITE_TABLES}"));
    let tables: Vec<(String, String)> = sqlx::query_as(tables).fetch_all(&mut conn).await.unwrap();
    for (table, sql) in tables {
        let columns = "SELECT name FROM pragma_table_info($1) ORDER BY cid";
        let columns: Vec<String> =
            sqlx::query_scalar(columns).bind(&table).fetch_all(&mut conn).await.unwrap();
        facts.extend(checks(&sql, &columns).map(|columns| format!("{table} check ({columns})")));
    }
    facts
}

/// SQLite keeps a check only in the text of its table: the columns that each speaks of.
fn checks(sql: &str, columns: &[String]) -> impl Iterator<Item = String> {
    sql.split("CHECK (").skip(1).map(|check| {
        let mut depth = 1;
        let end = check.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let words: Vec<_> = check[..end.unwrap()].split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let named = columns.iter().filter(|column| words.contains(&column.as_str()));
        named.map(String::as_str).collect::<Vec<_>>().join(",")
    })
}

async fn of_postgres() -> BTreeSet<String> {
    let (database, _db) = Database::migrated(Engine::Postgres).await;
    let mut conn = PgConnection::connect(&database.url).await.unwrap();
    let keys = format!("WITH constraints AS ({POSTGRES_CONSTRAINTS}) {POSTGRES_KEYS}");
    let mut facts = BTreeSet::new();
    for sql in [POSTGRES_COLUMNS.to_owned(), keys, POSTGRES_INDEXES.to_owned()] {
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
        facts.extend(lines.iter().map(|line| plain(line)));
    }
    facts
}

/// A predicate loses what PostgreSQL adds to it when it tells it. Ours have no OR, so that parentheses mean nothing.
fn plain(fact: &str) -> String {
    let Some((index, predicate)) = fact.split_once(" WHERE ") else { return fact.to_owned() };
    assert!(!predicate.contains(" OR "), "{fact}");
    let predicate = predicate.replace("::text", "").replace("= ANY (ARRAY[", "IN (");
    let predicate: String = predicate.chars().filter(|c| !"()[]".contains(*c)).collect();
    format!("{index} where {}", predicate.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn both_migration_trees_describe_the_same_schema() {
    let (sqlite, postgres) = (of_sqlite().await, of_postgres().await);
    let only_sqlite: Vec<_> = sqlite.difference(&postgres).collect();
    let only_postgres: Vec<_> = postgres.difference(&sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only in SQLite: {only_sqlite:#?}\nonly in PostgreSQL: {only_postgres:#?}"
    );
    // One of each kind: the comparison looks at what it says.
    for fact in [
        "client_secrets.slot integer not null",
        "users.username text null",
        "client_secrets primary key (project_id,client_id,slot)",
        "client_secrets (project_id,client_id) references clients (project_id,id) on delete no action on update no action",
        "client_secrets check (slot)",
        "deletions_open on deletions (project_id,user_id) unique where state IN 'pending', 'scheduled'",
        "deletions_unswept on deletions (finished_at) plain where state = 'executed' AND swept_at IS NULL",
        "token_families_client on token_families (project_id,client_id) plain",
    ] {
        assert!(sqlite.contains(fact), "{fact} is not in {sqlite:#?}");
    }
}
