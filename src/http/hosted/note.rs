//! A page that says one thing, and may show the way on.

use askama::Template;
use axum::response::Response;

use super::frame::Frame;
use super::pages;
use crate::app::Ctx;
use crate::error::Result;
use crate::texts::{Text, Texts};

#[derive(Template)]
#[template(path = "note.html")]
struct NotePage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    title: &'a str,
    message: &'a str,
    /// Where to, and in which words.
    way: Option<(&'a str, &'a str)>,
}

/// The way on: an address, and its words.
pub type Way<'a> = Option<(&'a str, &'a Text)>;

pub fn note(ctx: &Ctx, status: u16, title: &Text, message: &Text, way: Way<'_>) -> Result<Response> {
    let shown = NotePage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        title: title.as_str(),
        message: message.as_str(),
        way: way.map(|(address, words)| (address, words.as_str())),
    };
    pages::html(status, &shown, &[])
}
