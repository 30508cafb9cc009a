//! A project's own words in its letters: plain text with places, checked when it is set.

use serde::Serialize;
use serde_json::json;

use super::compose::{ACCENT, Letterhead, Words, compose};
use super::letters::{Letter, Order};
use super::messages::Message;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, not_found};
use crate::store::mail_templates::{self, MailTemplate};
use crate::texts::{self, Text};

const MOST_SUBJECT: usize = 200;
const MOST_TEXT: usize = 8192;

/// The message of an order, in the words of its project or those of everybody.
pub async fn written(ctx: &Ctx, order: &Order) -> Result<Message> {
    let (project, letter) = (ctx.project.id, order.letter);
    let language = order.texts().language.tag.as_str();
    let own = ctx
        .app
        .db
        .read(|conn| async move { mail_templates::find(&conn, project, letter.name(), language).await })
        .await?;
    in_words(ctx, order, own.as_ref().map(|own| (own.subject.as_str(), own.text.as_str())))
}

fn in_words(ctx: &Ctx, order: &Order, own: Option<(&str, &str)>) -> Result<Message> {
    let own_accent = ctx.project.settings.brand.accent_on_white().map(String::from);
    let accent = own_accent.as_deref().unwrap_or(ACCENT);
    let head = Letterhead { project_name: &ctx.project.name, accent };
    match own {
        Some((subject, text)) => {
            let (subject, text) = (Text::from(subject), Text::from(text));
            compose(order, Words { subject: &subject, text: &text }, head)
        }
        None => {
            let (subject, text) = order.letter.words(order.texts());
            compose(order, Words { subject, text }, head)
        }
    }
}

/// The words of a letter in a language, as an admin sees them.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub kind: &'static str,
    pub language: &'static str,
    pub subject: String,
    pub text: String,
    pub placeholders: &'static [&'static str],
    /// Whether the words are the project's own.
    pub own: bool,
}

/// # Errors
/// 404 for a letter that there is not, or a language that is not spoken.
pub fn named(kind: &str, language: &str) -> Result<(Letter, &'static str)> {
    let letter = Letter::from_name(kind).ok_or_else(|| not_found("there is no such letter"))?;
    let spoken = texts::all().iter().map(|t| t.language.tag.as_str()).find(|tag| *tag == language);
    Ok((letter, spoken.ok_or_else(|| not_found("letters are not written in this language"))?))
}

/// Every letter in every language.
pub async fn list(ctx: &Ctx) -> Result<Vec<Shown>> {
    let project = ctx.project.id;
    let own = ctx.app.db.read(|conn| async move { mail_templates::list(&conn, project).await }).await?;
    let each = Letter::all().flat_map(|letter| texts::all().iter().map(move |t| (letter, &*t.language.tag)));
    let found =
        |letter: Letter, tag: &str| own.iter().find(|own| own.kind == letter.name() && own.language == tag);
    Ok(each.map(|(letter, tag)| shown(letter, tag, found(letter, tag))).collect())
}

/// One letter in one language.
pub async fn read(ctx: &Ctx, letter: Letter, language: &'static str) -> Result<Shown> {
    let project = ctx.project.id;
    let own = ctx
        .app
        .db
        .read(|conn| async move { mail_templates::find(&conn, project, letter.name(), language).await })
        .await?;
    Ok(shown(letter, language, own.as_ref()))
}

fn shown(letter: Letter, language: &'static str, own: Option<&MailTemplate>) -> Shown {
    let (subject, text) = letter.words(texts::find(language).unwrap_or_else(texts::english));
    Shown {
        kind: letter.name(),
        language,
        subject: own.map_or(subject.as_str(), |own| &own.subject).to_owned(),
        text: own.map_or(text.as_str(), |own| &own.text).to_owned(),
        placeholders: letter.places(),
        own: own.is_some(),
    }
}

/// Sets the project's own words.
///
/// # Errors
/// `invalid_request` naming the field and what is wrong with it.
pub async fn set(
    ctx: &Ctx,
    actor: &Actor,
    (letter, language): (Letter, &'static str),
    subject: &str,
    text: &str,
) -> Result<Shown> {
    let text = text.replace("\r\n", "\n");
    check(letter, subject, &text)?;
    let template = &MailTemplate {
        kind: letter.name().into(),
        language: language.into(),
        subject: subject.to_owned(),
        text,
        updated_at: ctx.now,
    };
    let unit = |conn| async move {
        mail_templates::put(&conn, ctx.project.id, template).await?;
        record(ctx, &conn, actor, "mail_template.changed", letter, language).await
    };
    ctx.app.db.unit(unit).await?;
    Ok(shown(letter, language, Some(template)))
}

/// Takes the project's own words back: everybody's hold again.
///
/// # Errors
/// 404 when there are none.
pub async fn remove(ctx: &Ctx, actor: &Actor, letter: Letter, language: &'static str) -> Result<()> {
    let unit = |conn| async move {
        if mail_templates::delete(&conn, ctx.project.id, letter.name(), language).await? == 0 {
            return Err(not_found("the project has no words of its own for this letter"));
        }
        record(ctx, &conn, actor, "mail_template.removed", letter, language).await
    };
    ctx.app.db.unit(unit).await
}

async fn record(
    ctx: &Ctx,
    conn: &crate::store::db::Conn,
    actor: &Actor,
    action: &str,
    letter: Letter,
    language: &str,
) -> Result<()> {
    let target = format!("mail_template:{}/{language}", letter.name());
    let event = actor.did(action, &target).with(json!({}));
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
}

/// The letter as it would arrive, with something in each of its places.
pub async fn preview(ctx: &Ctx, letter: Letter, language: &'static str) -> Result<Message> {
    let mut order = Order::new(letter, "somebody@example.com", language);
    let link = format!("{}/link/example?token=example", ctx.project.issuer);
    for place in letter.places() {
        let value = match *place {
            "link" => link.as_str(),
            "code" => "123456",
            "username" => "somebody",
            "address" => "somebody.else@example.com",
            "factor" => "totp",
            "minutes" => "30",
            "hours" => "24",
            "date" => "2030-01-31 08:00 UTC",
            _ => "9",
        };
        order = order.with(place, value);
    }
    written(ctx, &order).await
}

fn check(letter: Letter, subject: &str, text: &str) -> Result<()> {
    let blank = |text: &str| text.trim().is_empty();
    if subject.chars().count() > MOST_SUBJECT || subject.chars().any(char::is_control) || blank(subject) {
        let bound = format!("subject is one line of 1 to {MOST_SUBJECT} characters");
        return Err(Error::invalid_field("subject", bound));
    }
    let strange = |c: char| c.is_control() && c != '\n';
    if text.len() > MOST_TEXT || text.chars().any(strange) || blank(text) {
        let bound = format!("text has 1 to {MOST_TEXT} bytes and no control characters but line ends");
        return Err(Error::invalid_field("text", bound));
    }
    let (subject, text) = (Text::from(subject), Text::from(text));
    check_places("subject", &subject, letter, |place| !letter.required().any(|required| required == place))?;
    check_places("text", &text, letter, |_| true)?;
    match letter.required().find(|required| !text.places().contains(required)) {
        Some(missing) => {
            Err(Error::invalid_field("text", format!("text needs the placeholder {{{missing}}}")))
        }
        None => Ok(()),
    }
}

/// What only stands in the text has no place in a subject, which screens show that are locked.
fn check_places(field: &'static str, text: &Text, letter: Letter, fits: impl Fn(&str) -> bool) -> Result<()> {
    let known: Vec<&str> = letter.places().iter().copied().filter(|place| fits(place)).collect();
    match text.places().into_iter().find(|place| !known.contains(place)) {
        Some(unknown) => {
            let unknown: String = unknown.chars().take(40).collect();
            let list: Vec<String> = known.iter().map(|place| format!("{{{place}}}")).collect();
            let why = format!("{field} has no place for {{{unknown}}}: it knows {}", list.join(" "));
            Err(Error::invalid_field(field, why))
        }
        None => Ok(()),
    }
}
