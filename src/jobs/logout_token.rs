//! Delivering a logout token (OpenID Connect Back-Channel Logout 1.0, 2.5 and 2.8): made now, and posted to the client.

use std::time::{Duration, Instant};

use super::Run;
use super::shares::Shares;
use crate::app::Visit;
use crate::callout::{Fault, Post};
use crate::error::{Code, Error};
use crate::ids::{ClientId, FamilyId, ProjectId};
use crate::model::client::Client;
use crate::model::delivery::Failure;
use crate::oauth::logout_token;
use crate::store::outbox::{Due, Leased};

pub(super) async fn post(run: &Run, shares: &Shares, due: &Due, leased: &Leased) -> Result<(), Failure> {
    let (Some(client), Some(user)) = (leased.client_id, leased.user_id) else {
        return Err(Failure::Hopeless("whom it was for is erased"));
    };
    let now = run.app.clock.now();
    let visit = Visit::of_nobody(&run.app, due.project_id, now);
    let ctx = visit.even_if_deleted().await.map_err(gone)?;
    let entry = ctx.app.cache.current_client(&ctx.app, ctx.project.id, client, now).await.map_err(gone)?;
    // One that was switched off is told what it lost.
    let Client { settings, .. } = &entry.client;
    let Some(uri) = settings.backchannel_logout_uri.as_deref() else {
        return Err(Failure::Hopeless("the client is not told of logouts any more"));
    };
    let subject = leased.subject.clone().unwrap_or_else(|| user.to_string());
    let family = leased.family_id.unwrap_or(FamilyId(due.id.0));
    let token = logout_token::make(&ctx, &entry.client, subject, family);
    let token = token.map_err(|_| Failure::Failed("the token could not be signed".into()))?;
    let form =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
    let begun = Instant::now();
    let answer = ctx.app.callouts.post(due.project_id, uri, Post::form(form)).await;
    outcome(shares, due.project_id, client, begun.elapsed(), answer)
}

/// What came of a post, counted for its receiver.
pub(super) fn outcome(
    shares: &Shares,
    project: ProjectId,
    receiver: ClientId,
    time: Duration,
    answer: Result<u16, Fault>,
) -> Result<(), Failure> {
    // An address that is refused costs no time.
    let answered = !matches!(answer, Err(Fault::Failed(_)));
    shares.count(project, receiver, time, answered);
    match answer {
        Ok(status) => judge(status),
        Err(Fault::Refused(why)) => Err(Failure::Refused(why.into())),
        Err(Fault::Failed(why)) => Err(Failure::Failed(why.into())),
    }
}

pub(super) fn gone(error: Error) -> Failure {
    match error.code() {
        Code::NotFound => Failure::Hopeless("the receiver is gone"),
        _ => Failure::Failed("the receiver could not be read".into()),
    }
}

/// 2.8: 200, or 204 in the wild; of an event 2xx. 4xx is an answer, and rarely another one later.
fn judge(status: u16) -> Result<(), Failure> {
    let why = format!("http {status}").into();
    match status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500.. => Err(Failure::Failed(why)),
        _ => Err(Failure::Refused(why)),
    }
}
