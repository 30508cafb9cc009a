//! Lists that may be long: a page shows of them what it can carry, and leads to the rest.

use super::place::Place;
use crate::http::hosted::frame::in_language;
use crate::http::hosted::page::Page;
use crate::oauth::authorize::parse;

/// What the rows of one page may weigh. With the stylesheet, a logo of 24 KiB and the page around them they stay below 50 kB.
const MOST_BYTES: usize = 7_500;

/// The rows that are shown, and where the next ones are.
pub struct Shown<R> {
    pub rows: Vec<R>,
    pub more: Option<String>,
}

/// Those from the one that the address names (`from`), as many as the page can carry and one at least. `weigh` gives the bytes
/// of a row.
pub fn shown<R>(page: &Page, place: Place, rows: Vec<R>, weigh: impl Fn(&R) -> usize) -> Shown<R> {
    let asked = parse(page.call.raw_query()).ok();
    let asked = asked.and_then(|query| query.get("from")?.parse::<usize>().ok());
    // What stood there may be gone.
    let from = asked.filter(|from| *from < rows.len()).unwrap_or(0);
    let (all, mut weight) = (rows.len(), 0);
    let fits = |row: &R| {
        let is_first = weight == 0;
        weight += weigh(row);
        is_first || weight <= MOST_BYTES
    };
    let rows: Vec<R> = rows.into_iter().skip(from).take_while(fits).collect();
    let next = from + rows.len();
    let link = || in_language(&page.ctx, &format!("{}?from={next}", place.link(&page.ctx)));
    Shown { more: (next < all).then(link), rows }
}

/// The bytes of a text in a page.
pub fn in_html(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| b"&<>\"'".contains(byte)).count();
    text.len() + escaped * ("&#38;".len() - 1)
}
