//! When a message is tried again, and when it is given up.

use std::borrow::Cow;

use super::timestamp::Timestamp;

/// A message older than this is given up. What was meant for nobody with an account is erased then, too.
pub const LIFE_SECONDS: i64 = 7 * 24 * 3600;

/// Attempts before a message is given up: with the pauses between them they take about five days.
const MOST_ATTEMPTS: i64 = 20;
const FIRST_PAUSE_SECONDS: i64 = 30;
const LONGEST_PAUSE_SECONDS: i64 = 12 * 3600;

/// A refusal rarely changes, but it may be our set-up that is refused: somebody gets about a day to mend it.
const MOST_REFUSED_ATTEMPTS: i64 = 5;
const REFUSED_PAUSE_SECONDS: i64 = 6 * 3600;

/// Without a transport, how often one is looked for.
const UNSENT_PAUSE_SECONDS: i64 = 300;

/// Why a message did not leave. What it says is stored and logged, so it is a fixed word or a reply code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is configured to take it: waits, and is no attempt.
    Unsent(&'static str),
    /// Worth trying again.
    Failed(Cow<'static, str>),
    /// The other side says no and means it.
    Refused(Cow<'static, str>),
    /// No attempt can succeed.
    Hopeless(&'static str),
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Tried again then; `attempts` is what counts as made.
    Again {
        at: Timestamp,
        attempts: i64,
    },
    GiveUp,
}

impl Failure {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unsent(why) | Self::Hopeless(why) => why,
            Self::Failed(why) | Self::Refused(why) => why,
        }
    }

    /// The rule: pauses double; nothing is tried after its life has ended.
    pub fn next(&self, now: Timestamp, created_at: Timestamp, attempts: i64) -> Next {
        let (pause, attempts, most) = match self {
            Self::Unsent(_) => (UNSENT_PAUSE_SECONDS, attempts - 1, i64::MAX),
            Self::Failed(_) => (doubled(attempts), attempts, MOST_ATTEMPTS),
            Self::Refused(_) => {
                (doubled(attempts).max(REFUSED_PAUSE_SECONDS), attempts, MOST_REFUSED_ATTEMPTS)
            }
            Self::Hopeless(_) => return Next::GiveUp,
        };
        let end = created_at.plus_seconds(LIFE_SECONDS);
        if attempts >= most || now >= end {
            return Next::GiveUp;
        }
        // The last look is at the end of its life, to give it up then and not later.
        Next::Again { at: now.plus_seconds(pause).min(end), attempts }
    }
}

fn doubled(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(20);
    (FIRST_PAUSE_SECONDS << doublings).min(LONGEST_PAUSE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// The seconds between attempts until a message that always fails is given up.
    fn pauses(failure: &Failure) -> Vec<i64> {
        let (mut now, mut attempts, mut pauses) = (START, 0, Vec::new());
        loop {
            match failure.next(now, START, attempts + 1) {
                Next::Again { at, attempts: counted } => {
                    pauses.push(at.seconds_since(now));
                    (now, attempts) = (at, counted);
                }
                Next::GiveUp => return pauses,
            }
        }
    }

    #[test]
    fn pauses_double_and_end_after_twenty_attempts() {
        let pauses = pauses(&Failure::Failed("smtp 451".into()));
        assert_eq!(pauses[..4], [30, 60, 120, 240]);
        assert_eq!((pauses.len(), pauses[18]), (19, 43_200));
        let hours = pauses.iter().sum::<i64>() / 3600;
        assert_eq!(hours, 113, "nearly five days");
    }

    #[test]
    fn a_refusal_is_asked_a_few_times_over_a_day() {
        assert_eq!(pauses(&Failure::Refused("smtp 550".into())), [21_600; 4]);
    }

    #[test]
    fn a_hopeless_message_is_given_up_at_once() {
        assert_eq!(pauses(&Failure::Hopeless("no")), [0; 0]);
    }

    #[test]
    fn without_a_transport_a_message_waits_for_its_whole_life() {
        let pauses = pauses(&Failure::Unsent("no transport"));
        assert_eq!(pauses.iter().sum::<i64>(), LIFE_SECONDS);
    }

    #[test]
    fn the_last_look_is_at_the_end_of_its_life() {
        let late = START.plus_seconds(LIFE_SECONDS - 100);
        let next = Failure::Failed("smtp 451".into()).next(late, START, 12);
        assert_eq!(next, Next::Again { at: START.plus_seconds(LIFE_SECONDS), attempts: 12 });
    }
}
