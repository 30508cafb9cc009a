//! One test binary. Every story is told on SQLite and on PostgreSQL, over real HTTP, each with a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod audit;
mod authorize;
mod authorize_denials;
mod browser;
mod commands;
mod delete_user;
mod demo_callback;
mod dev;
mod flow;
mod jobs;
mod jobs_clean_up;
mod jobs_mail;
mod jobs_outbox;
mod keys_algorithms;
mod keys_at_rest;
mod keys_jws;
mod keys_life;
mod keys_support;
mod log;
mod login_link;
mod passwords;
mod refresh;
mod shutdown;
mod sign_in;
mod sign_in_attacks;
mod sign_out;
mod statements;
mod store_postgres;
mod store_schema;
mod store_units;
mod store_writer;
mod support;
mod tenants;
mod validity;
mod verify;
