//! What every test stands on: both engines, a database of its own, the app under test, and the steps of the flow.

mod account;
mod admin;
mod answer;
mod app;
mod authenticator;
mod backup;
pub mod browser;
mod cluster;
mod database;
mod deleting;
mod desk;
mod device;
mod dpop;
mod ending;
mod flow;
mod granted;
mod hall;
pub mod hands;
mod held;
mod load;
pub mod look;
mod mailbox;
mod many;
pub mod oauth;
mod pages;
mod pooler;
pub mod process;
mod queue;
mod receiver;
pub mod registration;
pub mod scan;
mod second_factor;
mod smtp;
mod table;
mod transcript;
mod world;

pub use account::{Account, Visit};
pub use answer::{
    Answer, Tokens, code_of, code_unless_overtaken, cookie_of, location_of, parameter, sealed_of,
};
pub use app::TestApp;
pub use authenticator::{SoftPasskey, Way, question_of, random};
pub use cluster::{Absence, Cluster};
pub use database::Database;
pub use deleting::{Deleting, REASON, admin_key, number, run};
pub use desk::Desk;
pub use device::{DEVICE_GRANT, Device};
pub use dpop::ProofKey;
pub use ending::End;
pub use flow::Shop;
pub use granted::{Granted, silent_code};
pub use hall::{Hall, STRANGER, access};
pub use held::Held;
pub use load::{Caller, Reply};
pub use mailbox::{Mailbox, NEW_PASSWORD, deletion_notice, link_of};
pub use many::Many;
pub use pages::{Seen, between};
pub use pooler::Pooler;
pub use queue::{hold_queue, until_somebody_waits};
pub use receiver::{Reaction, Received, Receiver, status};
pub use second_factor::{Authenticator, Middle};
pub use smtp::{Mail, Manner, SMTP_PASSWORD, SMTP_ROOT, SMTP_USER, SmtpServer};
pub use table::{count, create_child, create_table, has, hold, insert, insert_one, insert_orphan};
pub use transcript::Transcript;
pub use world::World;

pub const REDIRECT: &str = "http://localhost:9/callback";
/// The moment at which every test begins, in microseconds: what is made then has it as its first version.
pub const START: i64 = 1_800_000_000_000_000;
pub const PASSWORD: &str = "correct horse battery";

#[derive(Clone, Copy)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One body, told on both engines.
macro_rules! both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::support::Engine::Sqlite).await })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::support::Engine::Postgres).await })*
        }
    };
}
pub(crate) use both_engines;
