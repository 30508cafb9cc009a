//! Tessera: a multi-tenant identity service.
//!
//! `http` speaks axum and nothing else does; the middle (`session`, `oauth`, `identity`, `projects`, `keys`, `audit`, `ledger`)
//! decides and owns the unit of work; `store` holds the SQL and never decides; `model` is plain data for all.
#![forbid(unsafe_code)]

pub mod app;
pub mod audit;
pub mod cache;
pub mod callout;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod entropy;
pub mod error;
pub mod events;
pub mod http;
pub mod identity;
pub mod ids;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod mail;
pub mod model;
pub mod oauth;
pub mod projects;
pub mod running;
pub mod sandbox;
pub mod secret;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod texts;
pub mod tls;
