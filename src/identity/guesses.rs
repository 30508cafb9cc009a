//! How often a password may be guessed: counted in the store, so for all nodes together, and told of to nobody but the owner.
//!
//! In a browser or from a place where the user has signed in before ([`super::known`]), a guess is judged by what was counted
//! there alone; from anywhere else by what strangers have tried at the account, and by what this address has tried at all
//! accounts. So no stranger keeps an owner out who comes back to a known browser or place. Ten failures cost nothing, and
//! each further one a wait twice as long as the last, during which the right password is answered like a wrong one. A name
//! that nobody has is counted in the same way.

use tokio::sync::{Mutex, MutexGuard};

use super::known;
use super::tries::{self, Bound, Width, networks};
use crate::app::Ctx;
use crate::error::Result;
use crate::mail::notices::{self, Notice};
use crate::model::names::folded;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::passwords::PasswordProof;
use crate::store::sign_in_failures::{self, Counting, count};

const DAY: i64 = 86_400;

/// For an account, as strangers try it, and for an account at a place.
const ACCOUNT: Counting = Counting { free: 10, doublings: 12, longest_seconds: 3600, forgotten_seconds: DAY };
/// For an address, whatever the account. Many people may share one, so it has more, waits less and is forgiven sooner.
const HOST: Counting = Counting { free: 50, doublings: 10, longest_seconds: 900, forgotten_seconds: 3600 };
const SITE: Counting = Counting { free: 150, ..HOST };

/// Whence a guess comes.
pub struct Origin {
    site: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    /// What is written in the place of a count while one of them has to wait.
    stopped: Option<Vec<u8>>,
    /// The address as a place of a user's; `None` for a server that does not know its peer.
    place: Option<Vec<u8>>,
    /// What the browser says to be known by.
    browser: Option<Vec<u8>>,
}

impl Origin {
    pub fn of(ctx: &Ctx, address: &str, known_by: Option<&Secret>) -> Self {
        let browser = known_by.map(|cookie| known::browser(ctx, cookie));
        let place = known::place(ctx, address);
        let mut origin = Self { site: None, host: None, stopped: None, place, browser };
        for (width, network) in networks(address) {
            let network = network.as_bytes();
            match width {
                Width::Site => origin.site = Some(subject(ctx, "site", &[network])),
                Width::Host => {
                    origin.host = Some(subject(ctx, "host", &[network]));
                    origin.stopped = Some(subject(ctx, "stopped", &[network]));
                }
            }
        }
        origin
    }

    /// What a user may be known by: the browser, and the place.
    pub fn known_by(&self) -> [Option<&[u8]>; 2] {
        [self.browser.as_deref(), self.place.as_deref()]
    }
}

/// A guess at somebody's password, after the hash.
pub struct Guess<'a> {
    ctx: &'a Ctx,
    origin: &'a Origin,
    user: Option<&'a PasswordProof>,
    /// What is counted for whom: of the account, or of the account in this browser or at this place.
    own: Vec<u8>,
    is_known: bool,
}

impl<'a> Guess<'a> {
    /// `user` is whom the name belongs to.
    pub fn new(ctx: &'a Ctx, origin: &'a Origin, name: &str, user: Option<&'a PasswordProof>) -> Self {
        let until = user.map_or([None, None], |user| [user.browser_known_until, user.place_known_until]);
        // The browser first: whoever shares the place has not its cookie.
        let known_by = origin.known_by().into_iter().zip(until);
        let known_by = known_by.filter(|(_, until)| until.is_some_and(|until| until > ctx.now));
        let known_by = known_by.filter_map(|(by, _)| by).next();
        let own = match user {
            // Whatever raises the epoch, a reset of the password above all, begins the count anew.
            Some(user) => {
                let (id, epoch) = (user.user_id.0.into_bytes(), user.browser_epoch.to_be_bytes());
                subject(ctx, "account", &[&id, &epoch, known_by.unwrap_or_default()])
            }
            None => subject(ctx, "name", &[folded(name).as_bytes()]),
        };
        Self { ctx, origin, user, own, is_known: known_by.is_some() }
    }

    /// Whether the guess is taken. A right one is not while it has to wait, and what is not taken is counted.
    ///
    /// The same statements run for right and wrong, known and unknown: time tells nothing. Verdicts about one account take
    /// turns, so that of any number at once each sees what came of those before it.
    pub async fn is_taken(&self, is_right: bool) -> Result<bool> {
        let _turn = self.ctx.app.turns.take(&self.judged_by()).await;
        match self.settle(is_right).await? {
            Some(failures) => {
                if failures > 0 {
                    self.forgive().await?;
                }
                Ok(true)
            }
            None => self.count(!is_right).await.map(|()| false),
        }
    }

    fn judged_by(&self) -> [&[u8]; 3] {
        let own = self.own.as_slice();
        let of_address = |subject: &'a Option<Vec<u8>>| match (self.is_known, subject) {
            (false, Some(subject)) => subject.as_slice(),
            _ => own,
        };
        [own, of_address(&self.origin.host), of_address(&self.origin.site)]
    }

    /// What was counted before, when the guess is right and nothing is blocked.
    async fn settle(&self, is_right: bool) -> Result<Option<i64>> {
        let Ctx { app, project, now, .. } = self.ctx;
        let (project, now, judged) = (project.id, *now, self.judged_by());
        let look = |conn| async move { sign_in_failures::standing(&conn, project, now, judged).await };
        let standing = app.db.read(look).await?;
        Ok((is_right && standing.blocked == 0).then_some(standing.failures))
    }

    async fn forgive(&self) -> Result<()> {
        let (project, own) = (self.ctx.project.id, self.own.as_slice());
        let forget = |conn| async move { sign_in_failures::forgive(&conn, project, own).await };
        self.ctx.app.db.write(forget).await.map(drop)
    }

    /// The widest first: an address that has to wait counts for no account. A right password that has to wait is no failure,
    /// nor is a wrong one of somebody who is known here for the address. All take the same statements, and the last of them
    /// always writes: whoever is stopped leaves a row of the address in the place of one of the account, so that nobody fills
    /// the table with names, nor sees by the time that it takes who is known at a place that is blocked.
    async fn count(&self, is_failure: bool) -> Result<()> {
        let counts = |conn: Conn| async move {
            let (project, now) = (self.ctx.project.id, self.ctx.now);
            let of_address = [(&self.origin.site, SITE), (&self.origin.host, HOST)];
            let mut is_stopped = false;
            for (subject, counting) in of_address {
                let Some(subject) = subject else { continue };
                let counted = is_failure && !self.is_known && !is_stopped;
                let failures = count(&conn, project, now, subject, counting, counted).await?;
                is_stopped |= failures.is_none() && !self.is_known;
            }
            let stopped = self.origin.stopped.as_ref().filter(|_| is_stopped);
            let own = stopped.unwrap_or(&self.own);
            let failures = count(&conn, project, now, own, ACCOUNT, is_failure && !is_stopped).await?;
            Ok(failures.filter(|_| !is_stopped))
        };
        match self.ctx.app.db.unit(counts).await? {
            Some(failures) if is_failure && failures > ACCOUNT.free => self.tell(),
            _ => {}
        }
        Ok(())
    }

    /// The owner is told once a day, beside the answer: the time that it takes tells nobody whether there is an owner.
    fn tell(&self) {
        let owner = self.user.filter(|user| user.status == "active").map(|user| user.user_id);
        let (ctx, bounds) =
            (self.ctx.clone(), [Bound::new(self.ctx, "told of refused sign-ins", &self.own, 1, DAY)]);
        let running = ctx.app.running.begin();
        tokio::spawn(async move {
            let _running = running;
            let (ctx, bounds) = (&ctx, &bounds);
            let told = |conn: Conn| async move {
                match (tries::count(&conn, ctx, bounds).await?, owner) {
                    (None, Some(owner)) => notices::queue(ctx, &conn, owner, Notice::SignInsRefused).await,
                    _ => Ok(()),
                }
            };
            if let Err(error) = ctx.app.db.unit(told).await {
                tracing::warn!(code = error.code().as_str(), "an owner is not told of refused sign-ins");
            }
        });
    }
}

fn subject(ctx: &Ctx, of: &str, parts: &[&[u8]]) -> Vec<u8> {
    let bytes = [of.as_bytes(), &parts.concat()].join(&0);
    ctx.app.master_keys.keyed_hash(ctx.project.id, "sign-in failures", &bytes)
}

/// Whose turn it is: few locks for all subjects.
pub struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..64).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn of all of them, in the order in which everybody does.
    async fn take(&self, subjects: &[&[u8]]) -> Vec<MutexGuard<'_, ()>> {
        let place =
            |subject: &&[u8]| usize::from(subject.first().copied().unwrap_or_default()) % self.0.len();
        let mut places: Vec<_> = subjects.iter().map(place).collect();
        places.sort_unstable();
        places.dedup();
        let mut turns = Vec::with_capacity(places.len());
        for lock in places.into_iter().filter_map(|place| self.0.get(place)) {
            turns.push(lock.lock().await);
        }
        turns
    }
}
