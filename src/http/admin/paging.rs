//! Lists are paged: `?limit=&after=`, answered by `{items, next}`.

use serde::Serialize;

use crate::error::{Error, Result};

const MOST: i64 = 200;
const USUAL: i64 = 50;

/// One page, and the `after` of the next one; no `next` on the last page.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// How many rows a page has.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn limit(asked: Option<i64>) -> Result<i64> {
    let limit = asked.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::invalid_field("limit", format!("limit must lie between 1 and {MOST}")))
}

/// What `next` of the page before said.
pub fn cursor<T: std::str::FromStr>(after: Option<&str>) -> Result<Option<T>> {
    let parsed = after.map(str::parse).transpose();
    parsed.map_err(|_| Error::invalid_field("after", "after is what next of the page before says"))
}

/// A page from `limit + 1` rows: the row too many says that there is a next page.
pub fn page<T>(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    Page { items: rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let cursor = |n: &i32| n.to_string();
        assert_eq!(page(vec![1, 2, 3], 2, cursor).next.as_deref(), Some("2"));
        assert_eq!(page(vec![1, 2], 2, cursor).next, None);
        assert_eq!(page(Vec::new(), 2, cursor).next, None);
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some(0)).unwrap_err().description(), "limit must lie between 1 and 200");
        assert!(limit(Some(201)).is_err() && limit(Some(200)).is_ok());
    }
}
