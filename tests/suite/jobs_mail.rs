//! Mail on its way: encryption, login, and what must not get through.

use tessera::error::Result;
use tessera::ids::OutboxId;
use tessera::mail::{Mailer, Message, SmtpTls};
use tessera::model::delivery::Failure;
use tessera::model::timestamp::Timestamp;

use crate::jobs::run_well;
use crate::jobs_outbox::{enqueue, seen};
use crate::support::{
    Engine, Manner, SMTP_PASSWORD, SMTP_ROOT, SmtpServer, TestApp, both_engines, deletion_notice,
};

both_engines!(a_heading_cannot_be_injected, mail_lies_in_files_where_people_develop);

pub const WRITTEN_AT: Timestamp = Timestamp::from_unix(1_800_000_000);

pub async fn send(mailer: &Mailer) -> Result<(), Failure> {
    let id = OutboxId(uuid::Uuid::nil());
    mailer.send(id, WRITTEN_AT, &deletion_notice("Grüße & Co", "alice@example.com")).await
}

fn starttls() -> Manner {
    Manner { offers_starttls: true, ..Manner::default() }
}

fn failed(why: &'static str) -> Result<(), Failure> {
    Err(Failure::Failed(why.into()))
}

#[tokio::test]
async fn starttls_encrypts_before_anything_is_said() {
    let server = SmtpServer::with(starttls()).await;
    let mailer = server.mailer_with(SmtpTls::Starttls, Some(SMTP_ROOT), Some(SMTP_PASSWORD));
    assert_eq!(send(&mailer).await, Ok(()));
    let received = server.received();
    assert!(received[0].encrypted);
    assert_eq!(received[0].user.as_deref(), Some("tessera"));
    assert!(received[0].text.contains("=?utf-8?"), "letters beyond ASCII are encoded");
    assert_eq!(server.commands()[..3], ["EHLO id.example", "STARTTLS", "EHLO id.example"]);
    mailer.close().await;
    assert_eq!(server.commands().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    // What a man in the middle does who wants to read along.
    let server = SmtpServer::start().await;
    let mailer = server.mailer_with(SmtpTls::Starttls, Some(SMTP_ROOT), Some(SMTP_PASSWORD));
    assert_eq!(send(&mailer).await, failed("the server does not offer what is needed"));
    assert_eq!(server.commands(), ["EHLO id.example"]);
}

#[tokio::test]
async fn a_stranger_s_certificate_gets_nothing() {
    for manner in [starttls(), Manner { implicit_tls: true, ..Manner::default() }] {
        let server = SmtpServer::with(manner.clone()).await;
        let tls = if manner.implicit_tls { SmtpTls::Implicit } else { SmtpTls::Starttls };
        let mailer = server.mailer_with(tls, None, Some(SMTP_PASSWORD));
        assert!(matches!(send(&mailer).await, Err(Failure::Failed(_))));
        assert!(server.received().is_empty());
        assert!(!server.commands().iter().any(|command| command.starts_with("AUTH")));
    }
}

#[tokio::test]
async fn implicit_tls_encrypts_from_the_first_byte() {
    let server = SmtpServer::with(Manner { implicit_tls: true, ..Manner::default() }).await;
    let mailer = server.mailer_with(SmtpTls::Implicit, Some(SMTP_ROOT), Some(SMTP_PASSWORD));
    assert_eq!(send(&mailer).await, Ok(()));
    assert!(server.received()[0].encrypted);
}

#[tokio::test]
async fn a_wrong_password_is_ours_to_mend() {
    let server = SmtpServer::with(starttls()).await;
    let mailer = server.mailer_with(SmtpTls::Starttls, Some(SMTP_ROOT), Some("wrong"));
    assert_eq!(send(&mailer).await, failed("smtp 535"));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut server = SmtpServer::start().await;
    server.port = port;
    assert_eq!(send(&server.mailer()).await, failed("the connection failed"));
}

async fn a_heading_cannot_be_injected(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = tessera::projects::create_project(&app.app, "shop", "shop").await.unwrap().id;
    let honest = deletion_notice("Shop", "alice@example.com");
    let heading = Some("the message has a line break in its heading");
    for (message, why) in [
        (Message { subject: "Hello\r\nBcc: eve@example.com".into(), ..honest.clone() }, heading),
        (Message { to: "alice@example.com>\r\nRCPT TO:<eve@example.com".into(), ..honest.clone() }, heading),
        (
            Message { to: "alice@example.com,eve@example.com".into(), ..honest.clone() },
            Some("the mail address is not usable"),
        ),
    ] {
        let id = enqueue(&app, project, &message).await;
        run_well(&app.app).await;
        assert_eq!(seen(&app, project, id).await.told(), ("dead", 1, why));
        app.app.clock.advance(5);
    }
    assert_eq!(server.commands(), [""; 0], "none of them came as far as the server");
    // What looks like a heading or an end in the text is text.
    let text = "Bcc: eve@example.com\r\n.\r\nRCPT TO:<eve@example.com>\n.\nQUIT\n".to_owned();
    enqueue(&app, project, &Message { text, ..honest }).await;
    run_well(&app.app).await;
    let received = server.received();
    assert_eq!((received.len(), &received[0].to[..]), (1, &["alice@example.com".to_owned()][..]));
    let (head, body) = received[0].text.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("eve"));
    assert_eq!(
        body.trim_end().lines().collect::<Vec<_>>(),
        ["Bcc: eve@example.com", ".", "RCPT TO:<eve@example.com>", ".", "QUIT",]
    );
}

async fn mail_lies_in_files_where_people_develop(engine: Engine) {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("mail");
    let app = TestApp::changed(engine, |app| app.mailer = Mailer::Files(directory.clone())).await;
    let project = tessera::projects::create_project(&app.app, "shop", "shop").await.unwrap().id;
    let id = enqueue(&app, project, &deletion_notice("Shop", "alice@example.com")).await;
    run_well(&app.app).await;
    let text = std::fs::read_to_string(directory.join(format!("{id}.txt"))).unwrap();
    let start = "To: alice@example.com\nSubject: Your account at Shop has been deleted\nDate: 2027-01-15T08:00:00Z\n\nHello,\n";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 1, None));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(directory.join(format!("{id}.txt"))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A directory that cannot be written is a failure like any other.
    std::fs::remove_dir_all(&directory).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    let id = enqueue(&app, project, &deletion_notice("Shop", "alice@example.com")).await;
    app.app.clock.advance(5);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told().0, "waiting");
}
