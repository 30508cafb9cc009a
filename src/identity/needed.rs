//! What is still needed before somebody is signed in: the one place that decides it.

use super::{devices, passkeys};
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::UserId;
use crate::model::client::Client;
use crate::model::client_policy::ClientPolicy;
use crate::model::proven::{Acr, Proven};
use crate::model::sign_in_policy::{FactorKind, SecondFactor, SignInPolicy};
use crate::oauth::authorize::AuthorizationRequest;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::clients;
use crate::store::factors::{self, Held};

/// What the request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Less is none.
    pub least: Acr,
    /// Asked for if the person has it (OpenID Connect Core, 3.1.2.1).
    pub wished: Acr,
}

impl Demand {
    pub const NONE: Self = Self { least: Acr::One, wished: Acr::One };

    pub fn of(request: &AuthorizationRequest) -> Self {
        Self { least: request.least_acr(), wished: request.wished_acr() }
    }
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    Nothing,
    /// One of these, all of which the person has.
    Factor(Vec<FactorKind>),
    /// The person has none that would do, and makes one of these.
    Enrol(Vec<FactorKind>),
    /// Nobody gets there.
    Unmet,
}

/// What the project asks for, as far as the client does not ask for more.
pub fn policy_at(ctx: &Ctx, client: Option<&Client>) -> ClientPolicy {
    ctx.project.settings.sign_in.at(client.map(|client| &client.settings))
}

/// The stricter of what the project asks for and what the client does.
pub fn asked(ctx: &Ctx, client: Option<&Client>) -> SecondFactor {
    policy_at(ctx, client).second_factor
}

/// What is asked for at the account, and where a request asks for more than its client does. What one client asks for counts
/// for both, though the project asks for nothing: the factor that this client looks at would otherwise go, or come, with the
/// password alone, and nobody could show it on the way to the account.
pub async fn asked_anywhere(ctx: &Ctx) -> Result<SecondFactor> {
    let project = ctx.project.settings.sign_in.second_factor;
    if project != SecondFactor::Off {
        return Ok(project);
    }
    let look = |conn| async move { clients::some_ask_second_factor(&conn, ctx.project.id).await };
    Ok(if ctx.app.db.read(look).await? { SecondFactor::Optional } else { SecondFactor::Off })
}

/// After `proven`, in a browser with this device cookie.
pub async fn needed(
    ctx: &Ctx,
    client: Option<&Client>,
    demand: Demand,
    (user, proven): (UserId, Proven),
    device: Option<&Secret>,
) -> Result<Needed> {
    let here = policy_at(ctx, client);
    let acr = here.counted(proven).acr();
    let enough = acr >= demand.least.max(demand.wished);
    if enough && (here.second_factor == SecondFactor::Off || acr >= Acr::Two) {
        return Ok(Needed::Nothing);
    }
    let asked = match here.second_factor {
        SecondFactor::Off => asked_anywhere(ctx).await?,
        asked => asked,
    };
    let held =
        ctx.app.db.read(|conn| async move { factors::held(&conn, ctx.project.id, user).await }).await?;
    let mut situation = Situation {
        policy: &ctx.project.settings.sign_in,
        here: &here,
        asked,
        demand,
        held: held.unwrap_or_default(),
        has_passkeys: passkeys::are_possible(ctx),
        remembered: false,
    };
    let first = situation.needed(proven);
    if first == Needed::Nothing
        || !devices::is_remembered(ctx, here.remember_device_days, user, device).await?
    {
        return Ok(first);
    }
    situation.remembered = true;
    Ok(situation.needed(proven))
}

/// The same of a browser that is signed in. What the project asks of everybody who has a factor was asked when the session
/// began; what a client asks for alone may not have been.
pub async fn of_session(
    ctx: &Ctx,
    client: Option<&Client>,
    demand: Demand,
    session: &SignIn,
    device: Option<&Secret>,
) -> Result<Needed> {
    let proven = Proven::parse(&session.amr, &session.acr, &session.codes);
    let here = policy_at(ctx, client);
    let was_asked = here.second_factor == SecondFactor::Optional
        && here.second_factor == asked(ctx, None)
        && !here.is_narrower;
    if was_asked && proven.acr() >= demand.least.max(demand.wished) {
        return Ok(Needed::Nothing);
    }
    needed(ctx, client, demand, (session.user_id, proven), device).await
}

struct Situation<'a> {
    policy: &'a SignInPolicy,
    here: &'a ClientPolicy,
    asked: SecondFactor,
    demand: Demand,
    held: Held,
    /// Whether there can be passkeys at all.
    has_passkeys: bool,
    /// The browser need not be asked for what the policy asks for; for what the request asks for, it is.
    remembered: bool,
}

impl Situation<'_> {
    /// A client that takes fewer kinds asks nobody for less than its project: whoever has none of them is asked as everywhere.
    fn needed(&self, proven: Proven) -> Needed {
        match self.needed_of(&self.here.factors, self.here.counted(proven)) {
            Needed::Nothing if !self.here.refused.is_empty() => self.needed_of(&self.policy.factors, proven),
            needed => needed,
        }
    }

    fn needed_of(&self, kinds: &[FactorKind], proven: Proven) -> Needed {
        let least = self.demand.least.max(self.by_policy(kinds));
        for target in [self.demand.wished.max(least), least] {
            if proven.acr() >= target {
                return Needed::Nothing;
            }
            let factors = self.reaching(kinds, target, |kind| self.has(kind));
            if !factors.is_empty() {
                return Needed::Factor(factors);
            }
        }
        let factors = self.reaching(kinds, least, |kind| self.can_make(kind));
        let mailed = self.reaching(kinds, Acr::Two, |kind| self.has(kind) && kind == FactorKind::EmailCode);
        match self.asked {
            SecondFactor::Off => Needed::Unmet,
            // Whoever has one makes no other in its place.
            _ if !self.held.is_bare() => Needed::Unmet,
            _ if factors.is_empty() => Needed::Unmet,
            // Nor does a password alone make one where a code by mail would be asked for.
            _ if proven.acr() < Acr::Two && !mailed.is_empty() => Needed::Factor(mailed),
            _ => Needed::Enrol(factors),
        }
    }

    fn by_policy(&self, kinds: &[FactorKind]) -> Acr {
        let has_one = self.reaching(kinds, Acr::Two, |kind| self.has(kind) && kind != FactorKind::EmailCode);
        match self.asked {
            _ if self.remembered => Acr::One,
            SecondFactor::Required => Acr::Two,
            SecondFactor::Optional if !has_one.is_empty() => Acr::Two,
            SecondFactor::Optional | SecondFactor::Off => Acr::One,
        }
    }

    /// The kinds that count, that this is true of, and that bring a password to the target.
    fn reaching(
        &self,
        kinds: &[FactorKind],
        target: Acr,
        of: impl Fn(FactorKind) -> bool,
    ) -> Vec<FactorKind> {
        let is_enough = |kind: FactorKind| target < Acr::PhishingResistant || kind == FactorKind::Passkey;
        let kinds = kinds.iter().copied();
        kinds.filter(|kind| self.asked != SecondFactor::Off && is_enough(*kind) && of(*kind)).collect()
    }

    fn has(&self, kind: FactorKind) -> bool {
        match kind {
            FactorKind::Totp => self.held.totp > 0,
            // Beside a password that came by mail it proves the mailbox once more, and stands in for nothing else.
            FactorKind::EmailCode => self.held.address && !(self.held.mailed_password && self.has_other()),
            FactorKind::Passkey => self.held.passkeys > 0,
        }
    }

    /// Whether the person has made a factor that counts.
    fn has_other(&self) -> bool {
        [FactorKind::Totp, FactorKind::Passkey]
            .into_iter()
            .any(|kind| self.policy.counts(kind) && self.has(kind))
    }

    /// While signing in. An address is verified elsewhere.
    const fn can_make(&self, kind: FactorKind) -> bool {
        match kind {
            FactorKind::Totp => true,
            FactorKind::Passkey => self.has_passkeys,
            FactorKind::EmailCode => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proven::{self, CodeOf, Proof};
    use FactorKind::{EmailCode, Passkey, Totp};

    const APP: Held =
        Held { totp: 1, passkeys: 0, recovery_codes: 10, address: false, mailed_password: false };
    const KEY: Held =
        Held { totp: 0, passkeys: 1, recovery_codes: 0, address: false, mailed_password: false };
    const NONE: Held =
        Held { totp: 0, passkeys: 0, recovery_codes: 0, address: false, mailed_password: false };

    fn needed(asked: SecondFactor, (least, wished): (Acr, Acr), held: Held, remembered: bool) -> Needed {
        let policy = &SignInPolicy::default();
        let demand = Demand { least, wished };
        let here = &policy.at(None);
        let situation = Situation { policy, here, asked, demand, held, has_passkeys: false, remembered };
        situation.needed(Proven::default().and(Proof::Password))
    }

    #[test]
    fn the_policy_asks_whom_it_says() {
        let plain = (Acr::One, Acr::One);
        for (asked, held, remembered, expected) in [
            (SecondFactor::Off, APP, false, Needed::Nothing),
            (SecondFactor::Optional, NONE, false, Needed::Nothing),
            (SecondFactor::Optional, APP, false, Needed::Factor(vec![Totp])),
            (SecondFactor::Optional, APP, true, Needed::Nothing),
            (SecondFactor::Required, NONE, false, Needed::Enrol(vec![Totp])),
            (SecondFactor::Required, NONE, true, Needed::Nothing),
            (SecondFactor::Optional, KEY, false, Needed::Factor(vec![Passkey])),
            (SecondFactor::Off, KEY, false, Needed::Nothing),
            (SecondFactor::Required, APP, false, Needed::Factor(vec![Totp])),
        ] {
            assert_eq!(needed(asked, plain, held, remembered), expected, "{asked:?} {held:?} {remembered}");
        }
    }

    #[test]
    fn a_request_may_ask_for_more() {
        let (optional, off) = (SecondFactor::Optional, SecondFactor::Off);
        let (essential, wish) = ((Acr::Two, Acr::One), (Acr::One, Acr::Two));
        // Whoever is remembered is asked all the same.
        assert_eq!(needed(optional, essential, APP, true), Needed::Factor(vec![Totp]));
        assert_eq!(needed(optional, wish, APP, true), Needed::Factor(vec![Totp]));
        // A wish that nobody can fulfil is passed over; what is essential is not.
        assert_eq!(needed(optional, wish, NONE, false), Needed::Nothing);
        assert_eq!(needed(optional, essential, NONE, false), Needed::Enrol(vec![Totp]));
        assert_eq!(needed(off, essential, APP, false), Needed::Unmet);
        let resistant = (Acr::PhishingResistant, Acr::One);
        assert_eq!(needed(optional, resistant, APP, false), Needed::Unmet);
        assert_eq!(needed(optional, (Acr::One, Acr::PhishingResistant), APP, true), Needed::Nothing);
    }

    #[test]
    fn what_is_proven_is_not_asked_for_again() {
        let policy = &SignInPolicy { factors: vec![Totp, EmailCode], ..SignInPolicy::default() };
        let demand = Demand { least: Acr::Two, wished: Acr::PhishingResistant };
        let asked = SecondFactor::Required;
        let here = &policy.at(None);
        let has_passkeys = true;
        let situation = Situation { policy, here, asked, demand, held: APP, has_passkeys, remembered: false };
        let password = Proven::default().and(Proof::Password);
        assert_eq!(situation.needed(password), Needed::Factor(vec![Totp]));
        assert_eq!(situation.needed(password.and(Proof::OneTimeCode(CodeOf::App))), Needed::Nothing);
        let passkey = Proof::Passkey(proven::Passkey { verified: true, synced: false });
        assert_eq!(situation.needed(Proven::default().and(passkey)), Needed::Nothing);
    }

    #[test]
    fn whoever_has_none_makes_what_counts() {
        let password = Proven::default().and(Proof::Password);
        let needed = |factors: &[FactorKind], least: Acr, held: Held, has_passkeys: bool, proven: Proven| {
            let policy = &SignInPolicy { factors: factors.to_vec(), ..SignInPolicy::default() };
            let demand = Demand { least, wished: Acr::One };
            let asked = SecondFactor::Required;
            let here = &policy.at(None);
            Situation { policy, here, asked, demand, held, has_passkeys, remembered: false }.needed(proven)
        };
        let (two, resistant) = (Acr::Two, Acr::PhishingResistant);
        let enrol = |kinds: &[FactorKind]| Needed::Enrol(kinds.to_vec());
        assert_eq!(needed(&[Totp, Passkey], two, NONE, true, password), enrol(&[Totp, Passkey]));
        assert_eq!(needed(&[Totp, Passkey], two, NONE, false, password), enrol(&[Totp]));
        assert_eq!(needed(&[Passkey], two, NONE, false, password), Needed::Unmet);
        assert_eq!(needed(&[Totp, Passkey], resistant, NONE, true, password), enrol(&[Passkey]));
        assert_eq!(needed(&[Totp, Passkey], resistant, APP, true, password), Needed::Unmet);
        // A verified address is shown first: a password alone makes no factor beside it.
        let address = Held { address: true, ..NONE };
        let (all, mailed) = (&[Totp, Passkey, EmailCode], Needed::Factor(vec![EmailCode]));
        assert_eq!(needed(all, two, address, true, password), mailed);
        assert_eq!(needed(all, resistant, address, true, password), mailed);
        let both = password.and(Proof::OneTimeCode(CodeOf::App));
        assert_eq!(needed(all, resistant, address, true, both), enrol(&[Passkey]));
    }
}
