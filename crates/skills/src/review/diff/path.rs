//! Paths in diff headers: git's quoting, time stamps after a tab, and the `a/` and `b/` prefixes.

/// Reads one path from the start of `text`. A quoted path ends at its closing quote, another one at a tab
/// or at the end. Gives the path and the rest after it, or none for a quote that never closes.
pub(super) fn read(text: &str) -> Option<(String, &str)> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => {
            let end = text.find('\t').unwrap_or(text.len());
            Some((text[..end].to_owned(), &text[end..]))
        }
    }
}

/// Undoes C quoting up to the closing quote. Bytes that are not UTF-8 become replacement characters.
fn unquote(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return Some((String::from_utf8_lossy(&out).into_owned(), &text[at + 1..])),
            b'\\' => {
                at += 1;
                let escaped = *bytes.get(at)?;
                match escaped {
                    b'a' => out.push(7),
                    b'b' => out.push(8),
                    b't' => out.push(b'\t'),
                    b'n' => out.push(b'\n'),
                    b'v' => out.push(11),
                    b'f' => out.push(12),
                    b'r' => out.push(b'\r'),
                    b'0'..=b'3' => {
                        let digits = bytes.get(at..at + 3)?;
                        let mut value: u32 = 0;
                        for digit in digits {
                            value = value * 8 + char::from(*digit).to_digit(8)?;
                        }
                        out.push(u8::try_from(value).ok()?);
                        at += 2;
                    }
                    b'"' | b'\\' => out.push(escaped),
                    _ => return None,
                }
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    None
}

/// Writes a path as git does: quoted when it holds a quote, a backslash or a control character.
pub(super) fn quote(prefix: &str, path: &str) -> String {
    let plain = |c: char| c != '"' && c != '\\' && !c.is_ascii_control();
    if path.chars().all(plain) {
        return format!("{prefix}{path}");
    }
    let mut out = format!("\"{prefix}");
    for c in path.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The prefix letter of a path such as `a/x`, when git may have put it there.
fn prefix_letter(path: &str) -> Option<u8> {
    match path.as_bytes() {
        [letter @ (b'a' | b'b' | b'c' | b'i' | b'o' | b'w'), b'/', ..] => Some(*letter),
        _ => None,
    }
}

/// True when the two names carry git's prefixes: both have a prefix letter and the letters differ. Names
/// written by `--no-prefix` begin alike, so a folder that happens to be called `a` is left alone.
pub(super) fn prefixed(old: &str, new: &str) -> bool {
    matches!((prefix_letter(old), prefix_letter(new)), (Some(x), Some(y)) if x != y)
}

/// Takes the prefix off a path that has one.
pub(super) fn strip(path: &str) -> &str {
    if prefix_letter(path).is_some() {
        &path[2..]
    } else {
        path
    }
}

/// Splits the names of a `diff --git` line. Gives them with their prefixes, or none if that is impossible.
/// Without quotes a name may hold spaces, so the split is where both halves name the same file; a rename
/// says its names again in its own lines, so there any split serves.
pub(super) fn split_git_header(rest: &str) -> Option<(String, String)> {
    let rest = rest.strip_suffix('\r').unwrap_or(rest);
    if rest.starts_with('"') {
        let (old, after) = read(rest)?;
        let (new, _) = read(after.strip_prefix(' ')?)?;
        return Some((old, new));
    }
    if rest.ends_with('"') {
        let at = rest.find(" \"")?;
        let (new, _) = read(&rest[at + 1..])?;
        return Some((rest[..at].to_owned(), new));
    }
    let middle = rest.len() / 2;
    if rest.len() % 2 == 1 && rest.as_bytes().get(middle) == Some(&b' ') {
        let (old, new) = (&rest[..middle], &rest[middle + 1..]);
        if old == new || (prefixed(old, new) && strip(old) == strip(new)) {
            return Some((old.to_owned(), new.to_owned()));
        }
    }
    let at = rest.rfind(" b/").or_else(|| rest.find(' '))?;
    Some((rest[..at].to_owned(), rest[at + 1..].to_owned()))
}
