//! `/dev/mail`: the letters that `dev` keeps instead of sending them. There is no such page where mail is sent.

use std::path::Path;
use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;

use super::frame::Frame;
use super::pages;
use crate::app::App;
use crate::error::{Error, Result, not_found};
use crate::http::call::Call;
use crate::mail::Mailer;
use crate::mail::files::{self, Kept};
use crate::texts::{self, Texts};

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    letters: &'a [Kept],
}

#[derive(Template)]
#[template(path = "mailbox_letter.html")]
struct LetterPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    letter: &'a Kept,
    pieces: &'a [Piece<'a>],
}

/// A piece of a text, and whether it is a link of ours.
struct Piece<'a> {
    text: &'a str,
    is_link: bool,
}

pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let shown = async {
        let call = Call::from_request(request, &app).await?;
        let letters = files::list(directory(&call)?).await?;
        pages::html(200, &MailboxPage { t: texts::english(), frame: frame(), letters: &letters }, &[])
    };
    answer(shown.await)
}

pub async fn read(State(app): State<Arc<App>>, request: Request) -> Response {
    let shown = async {
        let call = Call::from_request(request, &app).await?;
        let letter = files::read(directory(&call)?, call.path("id")?).await;
        let letter = letter.ok_or_else(|| not_found("no such letter"))?;
        let pieces = pieces(&letter.text, &app.base_url);
        let page = LetterPage { t: texts::english(), frame: frame(), letter: &letter, pieces: &pieces };
        pages::html(200, &page, &[])
    };
    answer(shown.await)
}

fn frame() -> Frame<'static> {
    Frame::bare(texts::english())
}

fn answer(outcome: Result<Response, Error>) -> Response {
    outcome.unwrap_or_else(|error| pages::error(frame(), &error))
}

/// Links to new passwords lie here, so only this machine comes to it, and only by its own names: a name that somebody else
/// has pointed at this address is another site, whose script could read along.
fn directory(call: &Call) -> Result<&Path> {
    let Mailer::Files(directory) = &call.app.mailer else { return Err(not_found("no mailbox is kept")) };
    let host = call.header("host").unwrap_or_default();
    let host =
        host.rsplit_once(':').map_or(host, |(host, port)| match port.bytes().all(|b| b.is_ascii_digit()) {
            true => host,
            false => "",
        });
    match ["localhost", "127.0.0.1", "[::1]"].contains(&host) && call.is_from_here() {
        true => Ok(directory),
        false => Err(not_found("the mailbox is for this machine")),
    }
}

/// The text, with links that lead to this server told apart.
fn pieces<'a>(text: &'a str, base_url: &str) -> Vec<Piece<'a>> {
    let start = format!("{base_url}/projects/");
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(&start) {
        let (before, from) = rest.split_at(at);
        let (link, after) = from.split_at(from.find(char::is_whitespace).unwrap_or(from.len()));
        pieces.extend([Piece { text: before, is_link: false }, Piece { text: link, is_link: true }]);
        rest = after;
    }
    pieces.push(Piece { text: rest, is_link: false });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_links_are_links() {
        let text = "See http://localhost:1/projects/a/link?x=1\nand http://evil.example/projects/";
        let links: Vec<_> = pieces(text, "http://localhost:1").into_iter().collect();
        let found: Vec<_> = links.iter().filter(|piece| piece.is_link).map(|piece| piece.text).collect();
        assert_eq!(found, ["http://localhost:1/projects/a/link?x=1"]);
        assert_eq!(links.iter().map(|piece| piece.text).collect::<String>(), text);
    }
}
