//! Moments, as a page without script shows them: to the minute, in UTC, in the order that sorts.

use crate::model::timestamp::Timestamp;

pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_to_the_minute() {
        assert_eq!(moment(Timestamp::from_unix(1_800_000_059)), "2027-01-15 08:00 UTC");
    }
}
