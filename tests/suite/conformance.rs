//! `docs/conformance.md` says row by row which test shows it, or why none does. A test names the rows it shows in a comment
//! of ids above it: `// C041 C042`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the rows that no test shows say why.
const WITHOUT_TEST: [&str; 2] = ["does not apply: ", "missing: "];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The ids of a line that is a comment of ids and nothing else.
fn ids(line: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = line.trim().strip_prefix("// ")?.split(' ').collect();
    let is_id = |word: &&str| word.len() == 4 && word.starts_with('C') && word[1..].parse::<u16>().is_ok();
    words.iter().all(is_id).then_some(words)
}

/// The name of the function that a line begins, or that stands alone in the list of a macro.
fn function(line: &str) -> Option<&str> {
    let line = line.trim();
    let listed =
        line.strip_suffix(',').filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    let begun = || line.trim_start_matches("async ").strip_prefix("fn ")?.split(['(', '<']).next();
    listed.or_else(begun)
}

/// By id, the tests that show it: `file::function`.
fn shown() -> BTreeMap<String, Vec<String>> {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root("tests/suite")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")) {
        let text = fs::read_to_string(file).unwrap();
        let module = file.file_stem().unwrap().to_str().unwrap();
        let mut waiting = Vec::new();
        for line in text.lines() {
            if let Some(ids) = ids(line) {
                waiting.extend(ids);
            } else if let Some(name) = function(line) {
                for id in waiting.drain(..) {
                    shown.entry(id.to_owned()).or_default().push(format!("`{module}::{name}`"));
                }
            }
        }
        assert!(waiting.is_empty(), "{module}: no test follows {waiting:?}");
    }
    shown
}

#[test]
fn the_document_says_where_each_row_is_shown() {
    let (file, shown) = (root("docs/conformance.md"), shown());
    let text = fs::read_to_string(&file).unwrap();
    let mut rows = Vec::new();
    let updated: Vec<String> = text
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [id, check, source, place] = cells[..] else { return line.to_owned() };
            if !id.starts_with('C') {
                return line.to_owned();
            }
            rows.push(id.to_owned());
            let place = match shown.get(id) {
                Some(tests) => tests.join(" "),
                None if WITHOUT_TEST.iter().any(|word| place.starts_with(word)) => place.to_owned(),
                None => "missing: no test names it".to_owned(),
            };
            format!("| {id} | {check} | {source} | {place} |")
        })
        .collect();
    let numbered: Vec<String> = (1..=rows.len()).map(|number| format!("C{number:03}")).collect();
    assert_eq!(rows, numbered);
    assert!(rows.len() >= 132, "rows are gone");
    let strangers: Vec<&String> = shown.keys().filter(|id| !rows.contains(id)).collect();
    assert!(strangers.is_empty(), "tests name rows that are not there: {strangers:?}");
    let updated = updated.join("\n") + "\n";
    if std::env::var_os("TESSERA_UPDATE_DOCS").is_some() {
        fs::write(&file, &updated).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        updated,
        "TESSERA_UPDATE_DOCS=1 writes what has to stand there"
    );
}
