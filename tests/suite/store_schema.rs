//! Both migration trees describe the same schema.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::support::{Database, Engine};

/// `table.column null|not null` and `table (columns) unique|plain`. A lone SQLite primary key counts as not null.
const SQLITE: &str = "
    SELECT t.name || '.' || c.name || CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN ' not null' ELSE ' null' END
      FROM sqlite_master t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite%'
    UNION ALL
    SELECT t.name || ' (' || (SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno))
           || ') ' || CASE WHEN i.\"unique\" = 1 THEN 'unique' ELSE 'plain' END
           || CASE WHEN i.partial = 1 THEN ' partial' ELSE '' END
      FROM sqlite_master t, pragma_index_list(t.name) i
     WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite%'";

const POSTGRES: &str = "
    SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE ' null' END
      FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'
    UNION ALL
    SELECT t.relname || ' (' || (SELECT string_agg(a.attname, ',' ORDER BY k.n)
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum)
           || ') ' || CASE WHEN i.indisunique THEN 'unique' ELSE 'plain' END
           || CASE WHEN i.indpred IS NOT NULL THEN ' partial' ELSE '' END
      FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_namespace s ON s.oid = t.relnamespace
     WHERE s.nspname = 'public' AND t.relname NOT LIKE '\\_sqlx%'";

#[tokio::test]
async fn both_migration_trees_describe_the_same_schema() {
    let (database, _db) = Database::migrated(Engine::Sqlite).await;
    let mut conn = SqliteConnection::connect(&database.url).await.unwrap();
    let sqlite: Vec<String> = sqlx::query_scalar(SQLITE).fetch_all(&mut conn).await.unwrap();

    let (database, _db) = Database::migrated(Engine::Postgres).await;
    let mut conn = PgConnection::connect(&database.url).await.unwrap();
    let postgres: Vec<String> = sqlx::query_scalar(POSTGRES).fetch_all(&mut conn).await.unwrap();

    let sqlite: BTreeSet<String> = sqlite.into_iter().collect();
    let postgres: BTreeSet<String> = postgres.into_iter().collect();
    assert!(sqlite.len() > 100, "the comparison sees the schema");
    let only_sqlite: Vec<_> = sqlite.difference(&postgres).collect();
    let only_postgres: Vec<_> = postgres.difference(&sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only in SQLite: {only_sqlite:#?}\nonly in PostgreSQL: {only_postgres:#?}"
    );
}
