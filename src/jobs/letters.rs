//! Letters at the moment in which they leave: their words, and whether somebody who asked for one gets one.

use super::Run;
use super::outbox::Mail;
use crate::app::{Ctx, Visit};
use crate::error::{Code, Error};
use crate::identity::requests::{self, Request};
use crate::mail::{Message, templates};
use crate::model::delivery::Failure;
use crate::store::outbox::Due;

/// The message of a mail.
pub(super) async fn written(run: &Run, due: &Due, mail: Mail) -> Result<Message, Failure> {
    match mail {
        Mail::Message(message) => Ok(message),
        Mail::Order(order) => {
            let ctx = ctx(run, due).await?;
            templates::written(&ctx, &order).await.map_err(failure)
        }
    }
}

/// Decides about a request. What follows lies in the outbox when this is done, and the request is done with it.
pub(super) async fn answer(run: &Run, due: &Due, request: Request) -> Result<(), Failure> {
    let ctx = ctx(run, due).await?;
    if !ctx.project.is_active() {
        return Err(Failure::Hopeless("the project is not active"));
    }
    requests::answer(&ctx, due.id, request).await.map_err(failure)
}

async fn ctx(run: &Run, due: &Due) -> Result<Ctx, Failure> {
    let visit = Visit::of_nobody(&run.app, due.project_id, run.app.clock.now());
    visit.current().await.map_err(failure)
}

/// Fixed words: what is stored and logged of it is of nobody.
fn failure(error: Error) -> Failure {
    match error.code() {
        Code::NotFound => Failure::Hopeless("the project is gone"),
        code => Failure::Failed(code.as_str().into()),
    }
}
