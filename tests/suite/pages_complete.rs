//! No page is forgotten: each template that is one is looked at in a browser.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of a directory and of those in it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// As [`crate::support::look`] calls a page: `account/data.html` is `account_data`.
fn name_of(template: &Path, root: &Path) -> String {
    let path = template.strip_prefix(root).unwrap().with_extension("");
    path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("_")
}

#[test]
fn each_template_is_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let looks: Vec<String> = files(&root.join("tests/suite"))
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .filter(|text| text.contains(".look("))
        .collect();
    let templates = root.join("templates");
    let mut pages = 0;
    for template in files(&templates) {
        let text = fs::read_to_string(&template).unwrap();
        // What others are made of is looked at with them.
        let is_page = text.contains("{% extends") && !text.contains("{% block account %}{% endblock %}");
        if !is_page {
            continue;
        }
        pages += 1;
        let name = format!("\"{}\"", name_of(&template, &templates));
        assert!(looks.iter().any(|text| text.contains(&name)), "nobody looks at {}", template.display());
    }
    assert!(pages > 30, "{pages}");
}
