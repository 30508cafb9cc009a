//! Moments, as a page without script shows them.

use crate::model::timestamp::Timestamp;

pub fn moment(at: Timestamp) -> String {
    at.to_the_minute()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_to_the_minute() {
        assert_eq!(moment(Timestamp::from_unix(1_800_000_059)), "2027-01-15 08:00 UTC");
    }
}
