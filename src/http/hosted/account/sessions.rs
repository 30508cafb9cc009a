//! `account/sessions`: where somebody is signed in, and the end of it: one, all others, or all.

use askama::Template;
use axum::response::Response;
use uuid::Uuid;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::rows::{self, Shown, in_html};
use super::shell::{Notice, Shell, go_to, notice};
use super::when::moment;
use crate::app::Ctx;
use crate::error::{Code, Result, refused};
use crate::http::hosted::frame::Frame;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, logout, pages};
use crate::identity::account::sessions::{self, Kind, OwnSession};
use crate::model::device_name::{DeviceName, device_name};
use crate::model::timestamp::Timestamp;
use crate::session::sign_out::sign_out_own;
use crate::texts::{Text, Texts};

const PLACE: Place = Place::Sessions;

/// As many as somebody looks through; all others end with one button.
const MOST: i64 = 100;

struct EndSessions;

impl Matter for EndSessions {
    const KIND: &'static str = "account_sessions";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct SessionsPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    sessions: Vec<Row>,
    /// Where the next ones are.
    more: Option<String>,
    /// There are more than anybody looks through.
    beyond: bool,
}

struct Row {
    id: String,
    /// The application, or the browser.
    title: String,
    badge: &'static str,
    about: String,
    /// For the order.
    used_at: Timestamp,
    /// This browser itself.
    this: bool,
}

impl Row {
    fn new(ctx: &Ctx, visitor: &Visitor, session: OwnSession) -> Self {
        let t = &ctx.texts.account_sessions;
        let device = in_words(ctx.texts, session.device);
        let (title, what, badge) = match session.kind {
            Kind::BrowserSession => (device, t.browser.to_string(), session.current.then_some(&t.this)),
            Kind::TokenFamily { client_name, browser_session_id, .. } => {
                let of_this = browser_session_id == Some(visitor.session.id);
                let what = t.application.with("device", &device).to_string();
                (client_name, what, of_this.then_some(&t.of_this))
            }
        };
        let (since, used) = (moment(session.auth_time), moment(session.used_at));
        let times = t.times.with("since", &since).with("used", &used).to_string();
        let parts = [what, session.address, times];
        Self {
            id: session.id.to_string(),
            title,
            badge: badge.map_or("", Text::as_str),
            about: parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" \u{b7} "),
            used_at: session.used_at,
            this: session.current,
        }
    }

    /// What it weighs: the title is said twice, and the markup around it is about so long.
    fn bytes(&self) -> usize {
        450 + 2 * in_html(&self.title) + in_html(&self.about)
    }
}

/// The same of a user agent; `None`: nothing that we know.
pub fn device_in_words(t: &Texts, user_agent: &str) -> Option<String> {
    device_name(user_agent).map(|device| in_words(t, Some(device)))
}

pub(super) fn in_words(t: &Texts, device: Option<DeviceName>) -> String {
    let t = &t.account_sessions;
    match device {
        Some(DeviceName { browser: Some(browser), system: Some(system) }) => {
            t.device.with("browser", browser).with("system", system).to_string()
        }
        Some(DeviceName { browser: Some(name), .. } | DeviceName { system: Some(name), .. }) => {
            name.to_owned()
        }
        _ => t.device_unknown.to_string(),
    }
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor).await,
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<EndSessions>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, holder) = (&page.ctx, visitor.holder());
    let ended = match fields.get("end") {
        Some("everywhere") => {
            sign_out_own(ctx, &holder, true, &page.call.origin()).await.map(|_| After::SignedOut)
        }
        Some("others") => {
            let ended = sessions::end_all_others(ctx, &holder, &page.call.origin()).await;
            ended.map(|_| After::Stays(Notice::OthersEnded))
        }
        Some(id) => {
            let id: Uuid = id.parse().map_err(|_| refused(|t| &t.errors.form_incomplete))?;
            let own = visitor.session.id.0 == id;
            let after = if own { After::SignedOut } else { After::Stays(Notice::SessionEnded) };
            sessions::end(ctx, &holder, id).await.map(|_| after)
        }
        None => return Err(refused(|t| &t.errors.form_incomplete)),
    };
    match ended {
        Ok(After::SignedOut) => logout::farewell(page),
        Ok(After::Stays(notice)) => go_to(page, PLACE, notice, &visitor),
        Err(error) => match or_sign_in(page, PLACE, error)? {
            // It was not there, or is no longer: what is there is shown.
            Ok(error) if error.code() == Code::NotFound => render(page, &visitor).await,
            Ok(error) => Err(error),
            Err(response) => Ok(response),
        },
    }
}

/// Whether whoever ended something is still signed in here.
enum After {
    SignedOut,
    Stays(Notice),
}

async fn render(page: &Page, visitor: &Visitor) -> Result<Response> {
    let ctx = &page.ctx;
    let mut found = sessions::list(ctx, &visitor.holder(), None, MOST + 1).await?;
    let beyond = i64::try_from(found.len()).is_ok_and(|count| count > MOST);
    found.truncate(usize::try_from(MOST).unwrap_or(usize::MAX));
    let mut rows: Vec<Row> = found.into_iter().map(|session| Row::new(ctx, visitor, session)).collect();
    // This browser first, and what was used last before the rest.
    rows.sort_by_key(|row| std::cmp::Reverse((row.this, row.used_at)));
    let Shown { rows, more } = rows::shown(page, PLACE, rows, Row::bytes);
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = SessionsPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice(page), None),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<EndSessions>(ctx)?,
            sessions: rows,
            beyond: beyond && more.is_none(),
            more,
        };
        pages::html(200, &shown, &[])
    })
}
