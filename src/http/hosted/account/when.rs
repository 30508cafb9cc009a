//! Moments, as a page without script shows them.

use crate::model::timestamp::Timestamp;

/// To the minute. A narrow row breaks it between day and time and nowhere else: word joiners keep the hyphens from it.
pub fn moment(at: Timestamp) -> String {
    at.to_the_minute().replace('-', "\u{2060}-\u{2060}").replace(" UTC", "\u{a0}UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_to_the_minute() {
        let shown = moment(Timestamp::from_unix(1_800_000_059));
        assert_eq!(shown.replace('\u{2060}', ""), "2027-01-15 08:00\u{a0}UTC");
        assert_eq!(shown.split(' ').collect::<Vec<_>>().len(), 2);
        assert!(shown.starts_with("2027\u{2060}-\u{2060}01\u{2060}-\u{2060}15 "));
    }
}
