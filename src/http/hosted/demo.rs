//! The redirect page of the demo clients: it stands in for an application, and shows what that would do next.

use axum::response::Response;

use super::frame::Frame;
use super::page::Page;
use super::pages::{self, DemoCallbackPage};
use crate::demo::callback::{Standing, sign_in_to_demo, standing};
use crate::error::Result;
use crate::oauth::authorize::parse;
use crate::texts;

pub async fn callback(page: Page) -> Response {
    page.answer(show(&page).await)
}

async fn show(page: &Page) -> Result<Response> {
    let parameters = parse(page.call.raw_query())?;
    // What stands in a command line is only what we make: letters, digits, - and _.
    let is_ours = |code: &&str| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let code = parameters.get("code").filter(is_ours);
    let standing = match code {
        Some(code) => Some(standing(&page.ctx, code).await?),
        None => None,
    };
    let demo = sign_in_to_demo(&page.ctx);
    let login_link = match &standing {
        Some(Standing::Fresh { again, .. }) => Some(again.as_str()),
        _ => demo.as_deref(),
    };
    let (client, line, lost) = match &standing {
        Some(Standing::Fresh { client, line, .. }) => (client.as_str(), line.as_str(), None),
        Some(Standing::Used) => ("", "", Some("This code has been exchanged already; it worked once.")),
        Some(Standing::Expired) => ("", "", Some("This code has expired; it lived for 60 seconds.")),
        Some(Standing::Unknown) => ("", "", Some("This code was not given out here.")),
        None => ("", "", None),
    };
    // For developers, who read English.
    let t = texts::english();
    let frame = Frame { t, name: Some("Tessera demo"), ..Frame::of(&page.ctx) };
    let page = DemoCallbackPage {
        t,
        frame,
        code,
        client,
        line,
        lost,
        error: parameters.get("error"),
        error_description: parameters.get("error_description"),
        login_link,
    };
    pages::html(200, &page, &[])
}
