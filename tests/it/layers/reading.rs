//! Reading Rust sources as far as the layer checks need it: formatted by rustfmt, so that an item ends
//! where a brace stands at its own indentation.

use std::path::Path;

/// A file, by its path from the root of the repository.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The module of the crate that the file belongs to.
    pub(super) fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        match below.split_once('/') {
            Some((folder, _)) => Some(folder),
            None => below
                .strip_suffix(".rs")
                .filter(|name| !["lib", "main"].contains(name)),
        }
    }

    /// Whether the whole file is compiled for tests only, by the habits of this repository.
    fn for_tests(&self) -> bool {
        self.path.contains("/laws/") || self.path.ends_with("/tests.rs") || self.path.ends_with("/samples.rs")
    }
}

/// The files below `folder` with one of these extensions, ordered by path.
pub(super) fn sources(folder: &str, extensions: &[&str]) -> std::io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder)? {
            let item = item?;
            let path = format!("{folder}/{}", item.file_name().to_string_lossy());
            if item.file_type()?.is_dir() {
                folders.push(path);
            } else if Path::new(&path)
                .extension()
                .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
            {
                found.push(Source {
                    text: std::fs::read_to_string(&path)?,
                    path,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The lines of a file with comments and what is compiled for tests only left blank.
pub(super) fn code(file: &Source) -> String {
    if file.for_tests() {
        return String::new();
    }
    let mut kept = Vec::new();
    // What ends the item that is being left out.
    let mut until: Option<String> = None;
    let mut left_out = false;
    for line in file.text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(end) = &until {
            if line.starts_with(end.as_str()) {
                until = None;
            }
            kept.push("");
        } else if line.trim() == "#[cfg(test)]" {
            left_out = true;
            kept.push("");
        } else if left_out {
            let attribute = line.trim_start().starts_with("#[");
            if !attribute && !line.trim().is_empty() {
                left_out = false;
                if !line.trim_end().ends_with([';', '}']) {
                    until = Some(format!("{indent}}}"));
                }
            }
            kept.push("");
        } else {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// The modules that a `lib.rs` declares, in order.
pub(super) fn modules(lib: &str) -> Vec<&str> {
    lib.lines()
        .map(|line| line.strip_prefix("pub ").unwrap_or(line))
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect()
}

/// The modules of this crate that `code` names, with the line of each.
pub(super) fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        if continues_a_word(&code[..start]) {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => heads(group),
            None => vec![word(rest)],
        };
        let line = line_of(code, start);
        found.extend(names.into_iter().map(|name| (line, name.to_owned())));
    }
    found
}

/// The first names of paths in `code`, such as `tokio` in `tokio::sync`, with the line of each.
pub(super) fn roots(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (end, _) in code.match_indices("::") {
        let before = &code[..end];
        let start = before
            .rfind(|c: char| !is_of_word(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        let root = &before[start..];
        if !root.is_empty() && !before[..start].ends_with("::") {
            found.push((line_of(code, start), root.to_owned()));
        }
    }
    found
}

/// The first name of each member of a `{…}` group, of which `group` is all after the opening brace.
fn heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && is_of_word(c) => {
                heads.push(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> &str {
    text.split(|c: char| !is_of_word(c)).next().unwrap_or_default()
}

fn continues_a_word(before: &str) -> bool {
    before.chars().next_back().is_some_and(is_of_word)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}
