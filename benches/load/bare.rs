//! What the machine can do without us: a handler that does nothing, one that signs, a conditional update, a hash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, PgPool, SqliteConnection};

/// Serves until it is killed, and prints its address.
pub async fn serve() -> Result<()> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random)?;
    let key = Arc::new((EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref())?, random));
    let router =
        Router::new().route("/hello", get(async || "hello")).route("/sign", get(sign)).with_state(key);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn sign(State(key): State<Arc<(EcdsaKeyPair, SystemRandom)>>) -> String {
    let text = format!("{}.{}", "e".repeat(90), "c".repeat(480));
    match key.0.sign(&key.1, text.as_bytes()) {
        Ok(signature) => format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())),
        Err(_) => String::new(),
    }
}

/// Conditional updates per second on one SQLite connection, each durable before the next.
pub async fn sqlite_updates(file: &std::path::Path, time: Duration) -> Result<f64> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS bare (id integer PRIMARY KEY, seq integer NOT NULL); INSERT OR REPLACE INTO bare VALUES (1, 0)",
    )
    .execute(&mut conn)
    .await?;
    let (begun, mut seq) = (Instant::now(), 0_i64);
    while begun.elapsed() < time {
        let update = "UPDATE bare SET seq = seq + 1 WHERE id = 1 AND seq = $1 RETURNING seq";
        (seq,) = sqlx::query_as(update).bind(seq).fetch_one(&mut conn).await?;
    }
    Ok(per_second(u64::try_from(seq)?, begun))
}

/// Conditional updates per second on as many PostgreSQL connections as the server has, each on a row of its own.
pub async fn postgres_updates(url: &str, connections: u32, time: Duration) -> Result<f64> {
    let pool =
        PgPoolOptions::new().max_connections(connections).test_before_acquire(false).connect(url).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS bare (id bigint PRIMARY KEY, seq bigint NOT NULL); TRUNCATE bare",
    )
    .execute(&pool)
    .await?;
    sqlx::query("INSERT INTO bare SELECT n, 0 FROM generate_series(1, $1) n")
        .bind(i64::from(connections))
        .execute(&pool)
        .await?;
    let begun = Instant::now();
    let tasks: Vec<_> = (1..=i64::from(connections))
        .map(|row| tokio::spawn(updates_of_row(pool.clone(), row, begun, time)))
        .collect();
    let mut total = 0;
    for task in tasks {
        total += u64::try_from(task.await??)?;
    }
    let rate = per_second(total, begun);
    sqlx::raw_sql("DROP TABLE bare").execute(&pool).await?;
    Ok(rate)
}

async fn updates_of_row(pool: PgPool, row: i64, begun: Instant, time: Duration) -> Result<i64, sqlx::Error> {
    let mut seq = 0_i64;
    while begun.elapsed() < time {
        let update = "UPDATE bare SET seq = seq + 1 WHERE id = $1 AND seq = $2 RETURNING seq";
        (seq,) = sqlx::query_as(update).bind(row).bind(seq).fetch_one(&pool).await?;
    }
    Ok(seq)
}

/// Password hashes per second on all cores, with the server's default parameters.
pub fn hashes(time: Duration) -> Result<f64> {
    let cores = std::thread::available_parallelism()?.get();
    let begun = Instant::now();
    let threads: Vec<_> =
        (0..cores).map(|_| std::thread::spawn(move || hashes_of_core(begun, time))).collect();
    let mut total = 0;
    for thread in threads {
        total += thread.join().ok().context("a hashing thread failed")??;
    }
    Ok(per_second(total, begun))
}

fn hashes_of_core(begun: Instant, time: Duration) -> Result<u64> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut total = 0;
    while begun.elapsed() < time {
        argon
            .hash_password_with_salt(b"correct horse battery", &[7; 16])
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        total += 1;
    }
    Ok(total)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub fn per_second(count: u64, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}
