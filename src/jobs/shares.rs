//! What calls to one client, and to all clients of one project, may take of a run, so that nobody waits long behind the
//! receiver of another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ids::{ClientId, ProjectId};

/// Calls in a run, and their time together in longest calls.
struct Share {
    calls: u32,
    longest: u32,
}

const CLIENT: Share = Share { calls: 1000, longest: 2 };
/// More than the calls of one silent client that are under way at once.
const PROJECT: Share = Share { calls: 5000, longest: 24 };

/// A client, or with `None` all of a project.
pub(super) type Key = (ProjectId, Option<ClientId>);

/// Why nobody is called, and the seconds until the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub why: &'static str,
    pub pause: i64,
}

const SILENT: Spent = Spent { why: "its client did not answer a moment ago", pause: 300 };
const CLIENT_SPENT: Spent = Spent { why: "its client has had its share of a run", pause: 60 };
const PROJECT_SPENT: Spent = Spent { why: "its project has had its share of a run", pause: 60 };

#[derive(Clone, Copy, Default)]
struct Used {
    calls: u32,
    time: Duration,
    silent: bool,
}

impl Used {
    fn exceeds(&self, share: &Share, longest: Duration) -> bool {
        self.calls >= share.calls || self.time >= longest * share.longest
    }
}

/// The shares of a run.
pub(super) struct Shares {
    /// The longest that one call takes.
    longest: Duration,
    used: Mutex<HashMap<Key, Used>>,
}

impl Shares {
    pub fn new(longest: Duration) -> Self {
        Self { longest, used: Mutex::default() }
    }

    /// Counts a call. An answer that takes half of the longest time is as good as none.
    pub fn count(&self, project: ProjectId, client: ClientId, time: Duration, answered: bool) {
        let mut used = self.used();
        for key in [(project, Some(client)), (project, None)] {
            let used = used.entry(key).or_default();
            used.calls += 1;
            used.time += time;
            used.silent |= key.1.is_some() && (!answered || time >= self.longest / 2);
        }
    }

    /// Whether the client is called no more in this run.
    pub fn is_spent(&self, project: ProjectId, client: ClientId) -> bool {
        let used = self.used();
        [(project, Some(client)), (project, None)]
            .iter()
            .any(|key| used.get(key).is_some_and(|used| self.judge(*key, used).is_some()))
    }

    /// Who is called no more; clients first, because they are told a better reason than their project's.
    pub fn spent(&self) -> Vec<(Key, Spent)> {
        let used = self.used();
        let spent = used.iter().filter_map(|(key, used)| self.judge(*key, used).map(|spent| (*key, spent)));
        let mut spent: Vec<_> = spent.collect();
        spent.sort_unstable_by_key(|((_, client), _)| client.is_none());
        spent
    }

    fn judge(&self, key: Key, used: &Used) -> Option<Spent> {
        match key.1 {
            Some(_) if used.silent => Some(SILENT),
            Some(_) => used.exceeds(&CLIENT, self.longest).then_some(CLIENT_SPENT),
            None => used.exceeds(&PROJECT, self.longest).then_some(PROJECT_SPENT),
        }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<Key, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);
    const QUICK: Duration = Duration::from_millis(5);

    fn project(n: u128) -> ProjectId {
        ProjectId(Uuid::from_u128(n))
    }

    fn client(n: u128) -> ClientId {
        ClientId(Uuid::from_u128(n))
    }

    #[test]
    fn a_slow_answer_is_none() {
        let shares = Shares::new(LONGEST);
        shares.count(project(1), client(1), Duration::from_millis(2499), true);
        assert!(!shares.is_spent(project(1), client(1)) && shares.spent().is_empty());
        shares.count(project(1), client(1), Duration::from_millis(2500), true);
        shares.count(project(1), client(2), QUICK, false);
        for silent in [1, 2] {
            assert!(shares.is_spent(project(1), client(silent)));
            assert!(shares.spent().contains(&((project(1), Some(client(silent))), SILENT)));
        }
        // Others of the project, and a client of the same id elsewhere.
        assert!(!shares.is_spent(project(1), client(3)) && !shares.is_spent(project(2), client(1)));
    }

    #[test]
    fn a_client_has_a_thousand_calls_and_twice_the_longest_time() {
        let shares = Shares::new(LONGEST);
        for _ in 0..999 {
            shares.count(project(1), client(1), QUICK, true);
        }
        assert!(!shares.is_spent(project(1), client(1)));
        shares.count(project(1), client(1), QUICK, true);
        for _ in 0..5 {
            assert!(!shares.is_spent(project(1), client(2)));
            shares.count(project(1), client(2), Duration::from_secs(2), true);
        }
        for spent in [1, 2] {
            assert!(shares.spent().contains(&((project(1), Some(client(spent))), CLIENT_SPENT)));
        }
        assert!(!shares.is_spent(project(1), client(3)));
    }

    #[test]
    fn a_project_has_24_times_the_longest_time_however_many_its_clients() {
        let shares = Shares::new(LONGEST);
        for n in 0..24 {
            assert!(!shares.is_spent(project(1), client(100)));
            shares.count(project(1), client(n), LONGEST, false);
        }
        assert!(shares.is_spent(project(1), client(100)) && !shares.is_spent(project(2), client(100)));
        assert!(shares.spent().contains(&((project(1), None), PROJECT_SPENT)));
        let many = Shares::new(LONGEST);
        for n in 0..5000 {
            assert!(!many.is_spent(project(1), client(n)));
            many.count(project(1), client(n), Duration::ZERO, true);
        }
        assert!(many.is_spent(project(1), client(9999)));
    }
}
