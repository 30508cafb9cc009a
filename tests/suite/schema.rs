//! Both migration trees describe the same schema.

/// The statements of a migration, without comments, with the names of the engine's types made one.
fn normalized(sql: &str) -> Vec<String> {
    let types = [("uuid", "blob"), ("bytea", "blob"), ("timestamptz", "integer"), ("bigint", "integer")];
    let code: Vec<&str> = sql.lines().filter_map(|line| line.split("--").next()).collect();
    let words = code.join(" ").replace(" COLLATE \"C\"", "").replace(',', " , ");
    let words = words
        .split_whitespace()
        .map(|word| types.iter().find(|(from, _)| *from == word).map_or(word, |(_, to)| to));
    let text = words.collect::<Vec<_>>().join(" ");
    text.split(';').map(|statement| statement.trim().to_owned()).collect()
}

#[test]
fn both_trees_describe_the_same_tables() {
    let postgres = normalized(include_str!("../../migrations/postgres/0001_foundation.sql"));
    let sqlite = normalized(include_str!("../../migrations/sqlite/0001_foundation.sql"));
    assert!(postgres.len() > 40);
    assert_eq!(postgres, sqlite);
}
