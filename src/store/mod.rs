//! SQL in plain sight: free functions, one file per table family, the connection first and the project second.

pub mod admin_keys;
pub mod attribute_definitions;
pub mod audit;
pub mod browser_sessions;
pub mod client_secrets;
pub mod clients;
pub mod codes;
pub mod db;
pub mod deletions;
pub mod erasing;
pub mod erasures;
pub mod expired;
pub mod families;
pub mod holders;
pub mod jobs;
pub mod labels;
pub mod liveness;
pub mod outbox;
pub mod project_rows;
pub mod projects;
pub mod sealed;
pub mod signing_keys;
pub mod user_keys;
pub mod user_lists;
pub mod user_sessions;
pub mod users;
