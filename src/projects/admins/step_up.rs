//! What asks for a second factor of the person who acts, shown for this very act (RFC 9470).

use serde_json::json;

use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Error, Result, forbidden};
use crate::identity::fresh::FRESH_SECONDS;
use crate::model::project::DeletionConfirmation;
use crate::model::proven::Acr;
use crate::model::timestamp::Timestamp;

/// Whether the person who acts has shown a second factor since something was asked for, and within the last minutes. One sign-in
/// so proves nothing that was asked for after it. `asked`: when, by the project's clock, and how many seconds that was ahead
/// then. A sandbox whose clock is moved meanwhile makes no sign-in any younger.
///
/// # Errors
/// `insufficient_user_authentication` with what to ask for at the next sign-in; 403 for a key, which has no factor.
pub fn require_factor_since(ctx: &Ctx, actor: &Actor, asked: (Timestamp, i64)) -> Result<()> {
    let person = actor.person().ok_or_else(no_factor)?;
    let (auth_time, acr) = person.proof();
    // People sign in by everybody's clock.
    let (asked_at, ahead) = asked;
    let is_recent =
        asked_at.plus_seconds(-ahead) <= auth_time && ctx.wall < auth_time.plus_seconds(FRESH_SECONDS);
    let has_two = Acr::named(acr).is_some_and(|acr| acr >= Acr::Two);
    if is_recent && has_two { Ok(()) } else { Err(step_up()) }
}

fn step_up() -> Error {
    let why = "this takes a sign-in with a second factor, made after it was asked for";
    let asked = json!({"acr_values": Acr::Two.as_str(), "max_age": 0});
    Error::new(Code::InsufficientUserAuthentication, why).with_details(asked).at_resource()
}

/// What an admin key is told.
pub fn no_factor() -> Error {
    let at_hand = [DeletionConfirmation::Typed, DeletionConfirmation::SecondPerson];
    forbidden(
        "this project confirms deletions with a second factor, which an admin key does not have; methods at hand for keys, \
         once the project's settings name one of them: typed, second_person",
    )
    .with_details(json!({"methods": at_hand}))
}
