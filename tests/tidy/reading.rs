//! Rust source code read by its characters: rough, but enough to find functions, imports and what is said.
//! Comments, texts and character literals are blanked first, so that nothing in them is taken for code.

/// A function's name and its length in lines.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
}

/// The first names after `crate::`, in paths and in groups.
pub(super) fn crate_imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.extend(words(rest).next().map(str::to_owned)),
            Some(group) => names.extend(group_names(group)),
        }
    }
    names
}

/// The names at the top of `a::b, c::{d, e}}`.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut part) = (0_i32, Vec::new(), String::new());
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut part)),
            _ if depth == 0 => part.push(character),
            _ => {}
        }
    }
    names.push(part);
    names
        .iter()
        .filter_map(|name| words(name).next().map(str::to_owned))
        .collect()
}

pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
}

/// Every function with a body: from the line of its `fn` to the line of its closing brace.
pub(super) fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let is_whole_word = start == 0 || !is_word(bytes[start - 1]);
        let name = words(&code[start + 3..]).next().unwrap_or_default();
        if !is_whole_word || !code[start + 3..].starts_with(name) {
            continue;
        }
        if let Some(end) = body_start(bytes, start).and_then(|open| closing(bytes, open)) {
            let lines = 1 + code[start..end].matches('\n').count();
            found.push(Function {
                name: name.to_owned(),
                lines,
            });
        }
    }
    found
}

/// Where the body's brace is; `None` for a declaration without one.
fn body_start(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(offset);
        }
    }
    None
}

/// The code with every item under `#[cfg(test)]` blanked, line by line the same.
pub(super) fn without_tests(code: &str) -> String {
    let mut kept = code.as_bytes().to_vec();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let after = start + attribute.len();
        let Some(end) = body_start(code.as_bytes(), after).and_then(|open| closing(code.as_bytes(), open)) else {
            continue;
        };
        for byte in kept[start..=end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The text with comments, strings and character literals blanked, line by line the same.
pub(super) fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut place = 0;
    while place < bytes.len() {
        let end = place + literal_length(bytes, place);
        for byte in code[place..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        place = end.max(place + 1);
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The length of the comment, string or character that begins here; zero where none does.
fn literal_length(bytes: &[u8], place: usize) -> usize {
    let rest = &bytes[place..];
    let follows_word = place > 0 && (bytes[place - 1].is_ascii_alphanumeric() || bytes[place - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => find(rest, b"*/").map_or(rest.len(), |end| end + 2),
        [b'"', ..] => quoted_length(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !follows_word => raw_length(rest),
        [b'b', b'r', b'"' | b'#', ..] if !follows_word => 1 + raw_length(&rest[1..]),
        [b'\'', b'\\', ..] => quoted_length(rest, b'\''),
        [b'\'', ..] => character_length(rest),
        _ => 0,
    }
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut place = 1;
    while place < rest.len() && rest[place] != quote {
        place += if rest[place] == b'\\' { 2 } else { 1 };
    }
    (place + 1).min(rest.len())
}

/// `r"..."` or `r##"..."##`; zero for a raw identifier.
fn raw_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let start = 2 + hashes;
    find(&rest[start..], &close).map_or(rest.len(), |end| start + end + close.len())
}

/// `'x'`, of up to four bytes; zero for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    let end = (2..=5).find(|end| rest.get(*end) == Some(&b'\''));
    let is_one = |end: &usize| std::str::from_utf8(&rest[1..*end]).is_ok_and(|inner| inner.chars().count() == 1);
    end.filter(is_one).map_or(0, |end| end + 1)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn the_reading_itself_is_right() {
    let code =
        blanked("fn a() { let x = \"} fn b() {\"; /* { */ } // }\nfn c<'a>(d: &'a str) -> [u8; 2] {\n '{';\n}\n");
    let found: Vec<(String, usize)> = functions(&code)
        .into_iter()
        .map(|function| (function.name, function.lines))
        .collect();
    assert_eq!(found, [("a".to_owned(), 1), ("c".to_owned(), 3)]);
    let raw = blanked("let a = r#\"\" fn x() {} \"#; crate::http::b(); use crate::{app::c, domain::{d, e}};");
    assert_eq!(crate_imports(&raw), ["http", "app", "domain"]);
    assert!(functions(&raw).is_empty());
    let kept = without_tests("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c.unwrap() } }\nfn d() {}\n");
    assert!(!kept.contains("unwrap") && kept.contains("fn d"), "{kept}");
}
