//! Signing keys move on by the clock; what may happen to one is decided in [`crate::keys::rotate`].

use super::{Done, Run};
use crate::audit::{Actor, checkpoint};
use crate::error::{Code, Error, Result};
use crate::ids::ProjectId;
use crate::keys::provide::Change;
use crate::keys::rotate::{Step, rotate_due};
use crate::model::signing_key::SIGNING_SECONDS;
use crate::store::signing_keys;

/// Projects read at a time.
const PAGE: i64 = 100;

/// What a run did, and the first thing that failed.
#[derive(Default)]
struct Tally {
    prepared: u64,
    promoted: u64,
    removed: u64,
    failure: Option<Error>,
}

/// Walks the projects in which something may be due. One that fails does not keep the others from moving on.
pub(super) async fn rotate(run: &Run) -> Result<Done> {
    let (now, actor) = (run.app.clock.now(), Actor::system("key_rotation"));
    let aged = now.plus_seconds(-SIGNING_SECONDS);
    let (mut tally, mut after) = (Tally::default(), ProjectId::INSTANCE);
    loop {
        let read = |conn| async move { signing_keys::due_projects(&conn, now, aged, after, PAGE).await };
        let page = run.app.db.read(read).await?;
        if page.is_empty() {
            return tally.done(false);
        }
        for project in page {
            if !run.may_go_on() {
                return tally.done(true);
            }
            after = project;
            // The old key signs that the chain tells of the new one: whoever trusts the old one can trust what comes after.
            if let Err(error) = checkpoint::make(&run.app, project, now).await {
                tracing::warn!(
                    code = error.code().as_str(),
                    "no checkpoint was signed before keys were rotated"
                );
            }
            tally.add(rotate_due(&Change { app: &run.app, project, now, actor: &actor }).await);
        }
    }
}

impl Tally {
    fn add(&mut self, outcome: Result<Vec<Step>>) {
        match outcome {
            Ok(steps) => steps.iter().for_each(|step| match step {
                Step::Prepared { .. } => self.prepared += 1,
                Step::Promoted { .. } => self.promoted += 1,
                Step::Removed { .. } => self.removed += 1,
                Step::Waiting { .. } => {}
            }),
            // The project was deleted meanwhile.
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => {
                tracing::warn!(code = error.code().as_str(), "the keys of a project were not rotated");
                self.failure.get_or_insert(error);
            }
        }
    }

    fn done(self, more: bool) -> Result<Done> {
        let Self { prepared, promoted, removed, failure } = self;
        match failure {
            Some(error) => Err(error),
            None if prepared + promoted + removed == 0 => {
                Ok(Done { summary: "nothing was due".into(), more })
            }
            None => Ok(Done {
                summary: format!("{prepared} prepared, {promoted} promoted, {removed} removed"),
                more,
            }),
        }
    }
}
