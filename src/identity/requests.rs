//! What somebody without a session asks for by mail: a new password, an account. Whether there is an account is not looked at
//! while they wait. The request goes sealed into the outbox, whoever asks, and a job decides about it later; so neither what
//! the page says nor how long it takes depends on who exists.

use std::slice;

use serde::{Deserialize, Serialize};

use super::links::{GoOn, Kind, address_key};
use super::tries::{self, Bound};
use super::{forgotten, sign_up};
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::OutboxId;
use crate::jobs::outbox::seal_request;
use crate::mail::Letter;
use crate::model::names::folded;
use crate::store::db::Conn;
use crate::store::outbox;

/// What is asked for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// By user name or mail address.
    NewPassword,
    /// By mail address.
    Account,
}

/// A request, as it lies sealed in the outbox.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    pub wish: Wish,
    /// What was typed.
    pub who: String,
    /// The language of the page.
    pub language: String,
    pub go_on: Option<GoOn>,
}

const QUARTER: i64 = 900;
const HOUR: i64 = 3600;

/// Requests of one host in a quarter of an hour, and requests for one name or address.
const MOST_OF_HOST: i64 = 20;
const MOST_FOR_ONE: i64 = 3;

/// Networks that it takes to use up the sign-ups of a project, and what each may ask for however few these are.
const NETWORKS: i64 = 10;
const LEAST_SHARE: i64 = 3;

/// Letters of one kind that somebody gets, however they are asked for.
const MOST_LETTERS: i64 = 5;

/// Takes a request in. Gives the seconds to wait when the address has asked too often; of who has been asked for too often
/// nothing is said, and nothing is sent.
pub async fn ask(ctx: &Ctx, request: &Request, address: &str) -> Result<Option<u32>> {
    let kind = match request.wish {
        Wish::NewPassword => "new password",
        Wish::Account => "sign-up",
    };
    let mut places = tries::bounds_of(ctx, kind, b"", address, (MOST_OF_HOST, QUARTER));
    if matches!(request.wish, Wish::Account) {
        places.extend(share_of(ctx, address));
    }
    let places = &places;
    let who = &Bound::new(ctx, kind, folded(request.who.trim()).as_bytes(), MOST_FOR_ONE, QUARTER);
    let sealed = &seal_request(&ctx.app, ctx.project.id, ctx.now, request)?;
    ctx.app
        .db
        .unit(|conn| async move {
            if let Some(seconds) = tries::count(&conn, ctx, places).await? {
                return Ok(Some(seconds));
            }
            if tries::count(&conn, ctx, slice::from_ref(who)).await?.is_none() {
                let (project, kind) = (ctx.project.id, sealed.kind.as_str());
                // By the clock of the job that answers.
                let (it, key) = ((sealed.id, kind), &address_key(ctx, &request.who));
                outbox::enqueue_to_address(&conn, project, ctx.wall, it, key, &sealed.body).await?;
            }
            Ok(None)
        })
        .await
}

/// The part of a project's sign-ups in an hour that one network may ask for, so that nobody uses all of it up from one. Judged
/// while they wait, before anybody is looked up: it says nothing of the address that was typed.
fn share_of(ctx: &Ctx, address: &str) -> Option<Bound> {
    let all = ctx.project.settings.sign_in.sign_up_letters_per_hour;
    let share = (all / NETWORKS).max(LEAST_SHARE).min(all);
    let network = tries::neighbourhood(address)?;
    Some(Bound::new(ctx, "sign-up network", network.as_bytes(), share, HOUR))
}

/// Decides about a request, and is done with it in the same unit: what follows from it lies in the outbox then.
pub async fn answer(ctx: &Ctx, id: OutboxId, request: Request) -> Result<()> {
    match request.wish {
        Wish::NewPassword => Box::pin(forgotten::answer(ctx, id, &request)).await,
        Wish::Account => Box::pin(sign_up::answer(ctx, id, &request)).await,
    }
}

/// In the unit that answers: the request is done. `false`: it was already.
pub(super) async fn finish(conn: &Conn, ctx: &Ctx, id: OutboxId) -> Result<bool> {
    Ok(outbox::mark_delivered(conn, ctx.project.id, ctx.now, id).await? == 1)
}

/// Whether another letter of this kind may go to somebody: nobody's mailbox is filled through us. No kind uses up another's.
pub(super) async fn may_write(conn: &Conn, ctx: &Ctx, letter: Letter, whose: &[u8]) -> Result<bool> {
    let seconds = match letter {
        // As long as the links of those that came before are good: nobody keeps somebody else from having one.
        Letter::NewPassword => Kind::NewPassword.seconds(),
        _ => HOUR,
    };
    let bound = Bound::new(ctx, &format!("letters {}", letter.name()), whose, MOST_LETTERS, seconds);
    Ok(tries::count(conn, ctx, slice::from_ref(&bound)).await?.is_none())
}

/// Whether another letter may go out because somebody asked for an account: nor are those of many filled, or a list of
/// addresses is a list of recipients. Strangers, who get links, and people who are here already are counted apart. Counted
/// before [`may_write`], once for each request: who gets nothing uses nothing up, and locks are taken in one order.
pub(super) async fn may_take_in(conn: &Conn, ctx: &Ctx, letter: Letter) -> Result<bool> {
    let most = ctx.project.settings.sign_in.sign_up_letters_per_hour;
    let bound = Bound::new(ctx, "sign-up letters", letter.name().as_bytes(), most, HOUR);
    let may = tries::count(conn, ctx, slice::from_ref(&bound)).await?.is_none();
    if !may {
        tracing::warn!(project = %ctx.project.slug, "a sign-up is not answered: sign_up_letters_per_hour is reached");
    }
    Ok(may)
}
