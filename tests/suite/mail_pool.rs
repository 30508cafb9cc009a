//! Connections to the mail server that are kept: a letter has the whole of one, or none of it.

use std::sync::Arc;
use std::time::Duration;

use tessera::ids::OutboxId;
use tessera::mail::{Mailer, SmtpTls};
use tessera::model::delivery::Failure;
use uuid::Uuid;

use crate::jobs::run_well;
use crate::jobs_mail::WRITTEN_AT;
use crate::jobs_outbox::{enqueue, seen};
use crate::support::{
    Engine, Mail, Manner, SMTP_PASSWORD, SMTP_ROOT, SMTP_USER, SmtpServer, TestApp, both_engines,
    deletion_notice,
};

both_engines!(the_outbox_sends_all_over_few_connections, a_letter_that_was_cut_off_comes_again_whole);

const LONG: Duration = Duration::from_secs(60);

async fn send(mailer: &Mailer, n: u128) -> Result<(), Failure> {
    let message = deletion_notice("Shop", &format!("user{n}@example.com"));
    mailer.send(OutboxId(Uuid::from_u128(n)), WRITTEN_AT, &message).await
}

async fn send_all(mailer: &Mailer, numbers: impl IntoIterator<Item = u128>) {
    for n in numbers {
        assert_eq!(send(mailer, n).await, Ok(()), "letter {n}");
    }
}

/// Each letter by itself, with the recipient, the id and the end of its own.
fn assert_whole(received: &[Mail], numbers: &[u128]) {
    let to: Vec<_> = received.iter().map(|mail| mail.to.join(" ")).collect();
    let expected: Vec<_> = numbers.iter().map(|n| format!("user{n}@example.com")).collect();
    assert_eq!(to, expected);
    for (mail, n) in received.iter().zip(numbers) {
        assert_eq!(mail.heading("Message-ID"), format!("<{}@id.example>", Uuid::from_u128(*n)));
        assert_eq!(mail.text.matches("Message-ID:").count(), 1, "{}", mail.text);
        assert!(!mail.text.contains("MAIL FROM"), "{}", mail.text);
        assert_eq!(mail.text, text_for(&received[0], *n));
    }
}

/// The text of a letter as it would be for another number.
fn text_for(mail: &Mail, n: u128) -> String {
    let id = mail.heading("Message-ID");
    let text = mail.text.replace(id, &format!("<{}@id.example>", Uuid::from_u128(n)));
    text.replace(&mail.to[0], &format!("user{n}@example.com"))
}

#[tokio::test]
async fn several_letters_go_over_one_connection() {
    let server = SmtpServer::start().await;
    let mailer = server.mailer();
    send_all(&mailer, 1..=5).await;
    assert_eq!(server.connections(), 1);
    assert_whole(&server.received(), &[1, 2, 3, 4, 5]);
    let verbs: Vec<_> = server.commands().iter().map(|line| line[..4].to_owned()).collect();
    assert_eq!(verbs[..5], ["EHLO", "MAIL", "RCPT", "DATA", "RSET"], "asked before it is used again");
    assert!(!verbs.contains(&"QUIT".to_owned()));
}

#[tokio::test]
async fn connections_are_bounded_and_after_a_hundred_letters_another_is_made() {
    let server = SmtpServer::start().await;
    let mailer = Arc::new(server.mailer_pooled(2, LONG));
    server.close_gate();
    let sending: Vec<_> = (0..6)
        .map(|n| {
            let mailer = Arc::clone(&mailer);
            tokio::spawn(async move { send(&mailer, n).await })
        })
        .collect();
    server.arrived(2).await;
    server.open_gate();
    for one in sending {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!((server.received().len(), server.connections()), (6, 2));
    // One after the other, the same connection serves.
    send_all(&mailer, 6..206).await;
    server.heard("QUIT", 1).await;
    assert!(server.connections() <= 4, "{}", server.connections());
    assert_eq!(server.received().len(), 206);
}

#[tokio::test]
async fn none_is_kept_where_the_settings_say_so() {
    let server = SmtpServer::start().await;
    let mailer = server.mailer_pooled(0, LONG);
    send_all(&mailer, 1..=3).await;
    assert_eq!(server.connections(), 3);
    server.heard("QUIT", 3).await;
    assert_whole(&server.received(), &[1, 2, 3]);
}

#[tokio::test]
async fn an_idle_connection_is_ended_by_us() {
    let server = SmtpServer::start().await;
    let mailer = server.mailer_pooled(4, Duration::from_millis(100));
    send_all(&mailer, [1]).await;
    server.heard("QUIT", 1).await;
    send_all(&mailer, [2]).await;
    server.heard("QUIT", 2).await;
    assert_eq!(server.connections(), 2);
    assert_whole(&server.received(), &[1, 2]);
}

#[tokio::test]
async fn a_connection_that_the_server_dropped_meanwhile_is_replaced() {
    let server = SmtpServer::start().await;
    let mailer = server.mailer();
    send_all(&mailer, [1, 2]).await;
    server.hang_up_on_all();
    send_all(&mailer, [3, 4]).await;
    assert_eq!(server.connections(), 2);
    assert_whole(&server.received(), &[1, 2, 3, 4]);
}

#[tokio::test]
async fn what_breaks_in_the_middle_of_a_letter_is_not_used_again() {
    let server = SmtpServer::start().await;
    let mailer = server.mailer();
    send_all(&mailer, [1]).await;
    server.behave(Manner { breaks_off: true, ..Manner::default() });
    // Whether the server has it nobody can know, so it is not tried again here: the outbox does that.
    assert_eq!(send(&mailer, 2).await, Err(Failure::Failed("the connection failed".into())));
    assert_eq!(server.connections(), 1, "and no other connection was tried for it");
    server.behave(Manner::default());
    send_all(&mailer, [3, 4]).await;
    assert_eq!(server.connections(), 2);
    assert_whole(&server.received(), &[1, 3, 4]);
}

#[tokio::test]
async fn a_letter_that_is_given_up_in_the_middle_takes_its_connection_along() {
    let server = SmtpServer::start().await;
    let mailer = Arc::new(server.mailer());
    send_all(&mailer, [1]).await;
    server.close_gate();
    let sending = tokio::spawn({
        let mailer = Arc::clone(&mailer);
        async move { send(&mailer, 2).await }
    });
    server.arrived(2).await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    server.open_gate();
    // The answer to the second letter must not be taken for one to the third.
    server.behave(Manner { recipient: "550 5.1.1 no such user", ..Manner::default() });
    assert_eq!(send(&mailer, 3).await, Err(Failure::Refused("smtp 550".into())));
    server.behave(Manner::default());
    send_all(&mailer, [4]).await;
    let received = server.received();
    let mut to: Vec<_> = received.iter().map(|mail| mail.to[0].as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["user1@example.com", "user2@example.com", "user4@example.com"]);
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_next_letter_right() {
    for (answer, failure) in [
        ("550 5.1.1 no such user", Failure::Refused("smtp 550".into())),
        ("451 4.3.0 try later", Failure::Failed("smtp 451".into())),
    ] {
        let server = SmtpServer::start().await;
        let mailer = server.mailer();
        send_all(&mailer, [1]).await;
        server.behave(Manner { recipient: answer, ..Manner::default() });
        assert_eq!(send(&mailer, 2).await, Err(failure));
        server.behave(Manner::default());
        send_all(&mailer, [3, 4]).await;
        assert_whole(&server.received(), &[1, 3, 4]);
        assert_eq!(server.connections(), 2, "what saw a failure is not kept");
    }
}

#[tokio::test]
async fn a_server_that_takes_few_letters_over_a_connection_gets_the_next_over_another() {
    let server = SmtpServer::with(Manner { messages: 2, ..Manner::default() }).await;
    let mailer = server.mailer();
    send_all(&mailer, 1..=5).await;
    assert_eq!(server.connections(), 3);
    assert_whole(&server.received(), &[1, 2, 3, 4, 5]);
    // On a new connection the same answer is one to the letter.
    server.behave(Manner { messages: 0, ..Manner::default() });
    assert_eq!(send(&mailer, 6).await, Err(Failure::Failed("smtp 452".into())));
}

/// Answers that are one ahead of the questions would say "taken" of a letter before it is sent.
#[tokio::test]
async fn answers_out_of_turn_are_noticed() {
    let server = SmtpServer::with(Manner { stutters: true, ..Manner::default() }).await;
    let mailer = server.mailer();
    send_all(&mailer, [1]).await;
    server.behave(Manner::default());
    send_all(&mailer, [2, 3]).await;
    assert_eq!(server.connections(), 2);
    assert_whole(&server.received(), &[1, 2, 3]);
}

#[tokio::test]
async fn encryption_and_login_are_kept_with_the_connection() {
    for (manner, tls, handshakes) in [
        (Manner { offers_starttls: true, ..Manner::default() }, SmtpTls::Starttls, 2),
        (Manner { implicit_tls: true, ..Manner::default() }, SmtpTls::Implicit, 1),
    ] {
        let server = SmtpServer::with(manner).await;
        let mailer = server.mailer_with(tls, Some(SMTP_ROOT), Some(SMTP_PASSWORD));
        send_all(&mailer, 1..=3).await;
        let received = server.received();
        assert!(received.iter().all(|mail| mail.encrypted && mail.user.as_deref() == Some(SMTP_USER)));
        assert_whole(&received, &[1, 2, 3]);
        let count = |verb: &str| server.commands().iter().filter(|line| line.starts_with(verb)).count();
        assert_eq!((count("EHLO"), count("AUTH"), server.connections()), (handshakes, 1, 1));
    }
}

#[tokio::test]
async fn a_login_stays_with_its_own_settings() {
    let server = SmtpServer::start().await;
    let named = server.mailer_with(SmtpTls::Off, None, Some(SMTP_PASSWORD));
    let wrong = server.mailer_with(SmtpTls::Off, None, Some("wrong"));
    let nameless = server.mailer();
    send_all(&named, [1]).await;
    send_all(&nameless, [2]).await;
    assert_eq!(send(&wrong, 3).await, Err(Failure::Failed("smtp 535".into())));
    send_all(&named, [4]).await;
    send_all(&nameless, [5]).await;
    let users: Vec<_> = server.received().into_iter().map(|mail| mail.user).collect();
    assert_eq!(users, [Some(SMTP_USER.to_owned()), None, Some(SMTP_USER.to_owned()), None]);
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_shutdown_says_goodbye() {
    let server = SmtpServer::start().await;
    let mailer = Arc::new(server.mailer());
    send_all(&mailer, [1]).await;
    server.close_gate();
    let sending = tokio::spawn({
        let mailer = Arc::clone(&mailer);
        async move { send(&mailer, 2).await }
    });
    server.arrived(2).await;
    mailer.close().await;
    server.open_gate();
    assert_eq!(sending.await.unwrap(), Ok(()), "what is under way is finished");
    server.heard("QUIT", 1).await;
    // A straggler has a connection of its own.
    send_all(&mailer, [3]).await;
    server.heard("QUIT", 2).await;
    assert_whole(&server.received(), &[1, 2, 3]);
}

async fn the_outbox_sends_all_over_few_connections(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = tessera::projects::create_project(&app.app, "shop", "shop").await.unwrap().id;
    for n in 0..40 {
        enqueue(&app, project, &deletion_notice("Shop", &format!("user{n}@example.com"))).await;
    }
    run_well(&app.app).await;
    let mut to: Vec<_> = server.received().into_iter().map(|mail| mail.to.join(" ")).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), server.received().len()), (40, 40));
    assert!(server.connections() <= 4, "{}", server.connections());
}

async fn a_letter_that_was_cut_off_comes_again_whole(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = tessera::projects::create_project(&app.app, "shop", "shop").await.unwrap().id;
    let first = enqueue(&app, project, &deletion_notice("Shop", "user1@example.com")).await;
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, first).await.told(), ("delivered", 1, None));
    server.behave(Manner { breaks_off: true, ..Manner::default() });
    let cut_off = enqueue(&app, project, &deletion_notice("Shop", "user2@example.com")).await;
    app.app.clock.advance(5);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, cut_off).await.told(), ("waiting", 1, Some("the connection failed")));
    server.behave(Manner::default());
    let next = enqueue(&app, project, &deletion_notice("Shop", "user3@example.com")).await;
    app.app.clock.advance(5);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, next).await.told(), ("delivered", 1, None));
    app.app.clock.advance(30);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, cut_off).await.told(), ("delivered", 2, None));
    let received = server.received();
    let seen: Vec<_> = received.iter().map(|mail| (mail.to.join(" "), mail.heading("Message-ID"))).collect();
    let expected = [(1, first), (3, next), (2, cut_off)]
        .map(|(n, id)| (format!("user{n}@example.com"), format!("<{id}@id.example>")));
    let expected: Vec<_> = expected.iter().map(|(to, id)| (to.clone(), id.as_str())).collect();
    assert_eq!(seen, expected);
}
