//! The reader of diff texts.

use super::path::{prefixed, read, split_git_header, strip};
use super::{Change, Diff, DiffError, DiffErrorKind, FileDiff, Hunk, Line, LineKind};

/// Reads a unified diff with git's extended headers. Text before a file header (a commit message) is passed
/// over; an empty text is an empty diff. Refuses what cannot be reviewed line by line, naming the place.
pub fn parse(text: &str) -> Result<Diff, DiffError> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let mut parser = Parser { lines, at: 0 };
    let mut files = Vec::new();
    while let Some(line) = parser.peek() {
        if let Some(file) = parser.file(line)? {
            files.push(file);
        }
    }
    if files.is_empty() && !text.trim().is_empty() {
        return Err(DiffError {
            line: 1,
            kind: DiffErrorKind::NotADiff,
        });
    }
    Ok(Diff { files })
}

struct Parser<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

/// The names in the headers of one file, as far as they have been read.
#[derive(Default)]
struct Names {
    old: Option<String>,
    new: Option<String>,
    prefixed: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    fn error(&self, kind: DiffErrorKind) -> DiffError {
        DiffError {
            line: u32::try_from(self.at + 1).unwrap_or(u32::MAX),
            kind,
        }
    }

    /// Reads a file that starts at `line`, or passes over a line that starts none.
    fn file(&mut self, line: &'a str) -> Result<Option<FileDiff>, DiffError> {
        if let Some(rest) = line.strip_prefix("diff --git ") {
            return self.git_file(rest).map(Some);
        }
        if line.starts_with("diff --cc ") || line.starts_with("diff --combined ") || line.starts_with("@@@ ")
        {
            return Err(self.error(DiffErrorKind::Combined));
        }
        if line.starts_with("--- ")
            && self
                .lines
                .get(self.at + 1)
                .is_some_and(|next| next.starts_with("+++ "))
        {
            return self.plain_file().map(Some);
        }
        if line.starts_with("@@ -") {
            return Err(self.error(DiffErrorKind::HunkWithoutFile));
        }
        let binary = plain_binary(line);
        self.at += 1;
        Ok(binary)
    }

    fn git_file(&mut self, header: &str) -> Result<FileDiff, DiffError> {
        let (old, new) = split_git_header(header).ok_or_else(|| self.error(DiffErrorKind::Path))?;
        let mut names = Names {
            prefixed: prefixed(&old, &new),
            old: Some(old),
            new: Some(new),
        };
        let mut file = empty_file();
        self.at += 1;
        self.extended_headers(&mut file, &mut names)?;
        if file.change != Change::Renamed && file.change != Change::Copied {
            for name in [&mut names.old, &mut names.new] {
                if names.prefixed {
                    *name = name.as_deref().map(|name| strip(name).to_owned());
                }
            }
        }
        self.content(&mut file, &mut names)?;
        finish(file, names).ok_or_else(|| self.error(DiffErrorKind::Path))
    }

    fn extended_headers(&mut self, file: &mut FileDiff, names: &mut Names) -> Result<(), DiffError> {
        while let Some(line) = self.peek() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if let Some(mode) = line.strip_prefix("old mode ") {
                file.old_mode = Some(mode.to_owned());
            } else if let Some(mode) = line.strip_prefix("new mode ") {
                file.new_mode = Some(mode.to_owned());
            } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
                file.change = Change::Deleted;
                file.old_mode = Some(mode.to_owned());
            } else if let Some(mode) = line.strip_prefix("new file mode ") {
                file.change = Change::Added;
                file.new_mode = Some(mode.to_owned());
            } else if let Some((copied, name)) = moved(line, "from ") {
                file.change = if copied { Change::Copied } else { Change::Renamed };
                names.old = Some(self.whole_path(name)?);
            } else if let Some((copied, name)) = moved(line, "to ") {
                file.change = if copied { Change::Copied } else { Change::Renamed };
                names.new = Some(self.whole_path(name)?);
            } else if let Some(percent) = line.strip_prefix("similarity index ") {
                file.similarity = percent.trim_end_matches('%').parse().ok();
            } else if let Some(rest) = line.strip_prefix("index ") {
                let mode = rest.split_once(' ').map(|(_, mode)| mode.to_owned());
                if mode.is_some() && file.new_mode.is_none() && file.old_mode.is_none() {
                    file.old_mode = mode.clone();
                    file.new_mode = mode;
                }
            } else if !line.starts_with("dissimilarity index ") {
                break;
            }
            self.at += 1;
        }
        Ok(())
    }

    /// A name in a `rename from` line: quoted or not, and a tab belongs to nothing but quoted names.
    fn whole_path(&self, name: &str) -> Result<String, DiffError> {
        if name.starts_with('"') {
            read(name)
                .map(|(path, _)| path)
                .ok_or_else(|| self.error(DiffErrorKind::Path))
        } else {
            Ok(name.to_owned())
        }
    }

    /// What follows the extended headers: a binary note, a binary patch, hunks, or nothing.
    fn content(&mut self, file: &mut FileDiff, names: &mut Names) -> Result<(), DiffError> {
        let Some(line) = self.peek() else { return Ok(()) };
        if line.starts_with("Binary files ") || line.starts_with("Files ") {
            file.binary = true;
            self.at += 1;
        } else if line.trim_end() == "GIT binary patch" {
            file.binary = true;
            self.at += 1;
            // The lines of a binary patch hold no space, so a header always ends it.
            while self.peek().is_some_and(|line| !line.starts_with("diff --")) {
                self.at += 1;
            }
        } else if line.starts_with("--- ") {
            self.names(file, names)?;
            self.hunks(file)?;
        } else if line.starts_with("@@@") {
            return Err(self.error(DiffErrorKind::Combined));
        }
        Ok(())
    }

    fn plain_file(&mut self) -> Result<FileDiff, DiffError> {
        let mut file = empty_file();
        let mut names = Names::default();
        let (old, new) = (self.header_path(0, "--- ")?, self.header_path(1, "+++ ")?);
        names.prefixed = prefixed(&old, &new)
            || (old == "/dev/null" && new.starts_with("b/"))
            || (new == "/dev/null" && old.starts_with("a/"));
        self.names(&mut file, &mut names)?;
        self.hunks(&mut file)?;
        finish(file, names).ok_or_else(|| self.error(DiffErrorKind::Path))
    }

    fn header_path(&self, ahead: usize, marker: &str) -> Result<String, DiffError> {
        let line = self
            .lines
            .get(self.at + ahead)
            .and_then(|line| line.strip_prefix(marker));
        line.and_then(read)
            .map(|(path, _)| path)
            .ok_or_else(|| self.error(DiffErrorKind::Path))
    }

    /// The `---` and `+++` lines.
    fn names(&mut self, file: &mut FileDiff, names: &mut Names) -> Result<(), DiffError> {
        let (old, new) = (self.header_path(0, "--- ")?, self.header_path(1, "+++ ")?);
        let moved = matches!(file.change, Change::Renamed | Change::Copied);
        let clean = |path: &str| {
            if names.prefixed {
                strip(path).to_owned()
            } else {
                path.to_owned()
            }
        };
        if old == "/dev/null" {
            file.change = Change::Added;
        } else if !moved {
            names.old = Some(clean(&old));
        }
        if new == "/dev/null" {
            file.change = Change::Deleted;
        } else if !moved {
            names.new = Some(clean(&new));
        }
        self.at += 2;
        Ok(())
    }

    fn hunks(&mut self, file: &mut FileDiff) -> Result<(), DiffError> {
        while let Some(line) = self.peek() {
            if line.starts_with("@@@") {
                return Err(self.error(DiffErrorKind::Combined));
            }
            if !line.starts_with("@@") {
                break;
            }
            let mut hunk = hunk_header(line).ok_or_else(|| self.error(DiffErrorKind::HunkHeader))?;
            self.at += 1;
            self.hunk_lines(&mut hunk)?;
            file.hunks.push(hunk);
        }
        // `-- ` opens the signature of `git format-patch`.
        match self.peek() {
            Some(line) if line.starts_with("--- ") || line.trim_end() == "--" => Ok(()),
            Some(line) if line.starts_with(['+', '-', ' ']) && !file.hunks.is_empty() => {
                Err(self.error(DiffErrorKind::HunkTooLong))
            }
            _ => Ok(()),
        }
    }

    fn hunk_lines(&mut self, hunk: &mut Hunk) -> Result<(), DiffError> {
        let (mut old_left, mut new_left) = (hunk.old_lines, hunk.new_lines);
        let (mut old_line, mut new_line) = (hunk.old_start, hunk.new_start);
        loop {
            let line = self.peek();
            if let (Some(note), Some(last)) = (line, hunk.lines.last_mut())
                && note.starts_with('\\')
            {
                last.newline = false;
                self.at += 1;
                continue;
            }
            if old_left == 0 && new_left == 0 {
                return Ok(());
            }
            let line = line.ok_or_else(|| self.error(DiffErrorKind::HunkTooShort))?;
            let (kind, text) = match line.as_bytes().first() {
                Some(b'+') => (LineKind::Added, &line[1..]),
                Some(b'-') => (LineKind::Removed, &line[1..]),
                Some(b' ') => (LineKind::Context, &line[1..]),
                // Mail programs take the space off an empty context line.
                None | Some(b'\r') if line.len() <= 1 => (LineKind::Context, line),
                _ => return Err(self.error(DiffErrorKind::HunkTooShort)),
            };
            let (on_old, on_new) = (kind != LineKind::Added, kind != LineKind::Removed);
            if (on_old && old_left == 0) || (on_new && new_left == 0) {
                return Err(self.error(DiffErrorKind::HunkTooLong));
            }
            hunk.lines.push(Line {
                kind,
                text: text.to_owned(),
                old_line: on_old.then_some(old_line),
                new_line: on_new.then_some(new_line),
                newline: true,
            });
            old_left -= u32::from(on_old);
            new_left -= u32::from(on_new);
            old_line = old_line.saturating_add(u32::from(on_old));
            new_line = new_line.saturating_add(u32::from(on_new));
            self.at += 1;
        }
    }
}

fn empty_file() -> FileDiff {
    FileDiff {
        old_path: None,
        new_path: None,
        change: Change::Modified,
        old_mode: None,
        new_mode: None,
        binary: false,
        similarity: None,
        hunks: Vec::new(),
    }
}

/// Puts the names into the file, as its kind of change has them.
fn finish(mut file: FileDiff, names: Names) -> Option<FileDiff> {
    file.old_path = names.old.filter(|_| file.change != Change::Added);
    file.new_path = names.new.filter(|_| file.change != Change::Deleted);
    (!file.path().is_empty()).then_some(file)
}

/// Reads `rename from X` or `copy from X` (`word` is `from ` or `to `): whether it is a copy, and the name.
fn moved<'a>(line: &'a str, word: &str) -> Option<(bool, &'a str)> {
    if let Some(rest) = line.strip_prefix("rename ") {
        return rest.strip_prefix(word).map(|name| (false, name));
    }
    line.strip_prefix("copy ")?
        .strip_prefix(word)
        .map(|name| (true, name))
}

/// `Binary files X and Y differ`, as `diff -r` writes it without a header.
fn plain_binary(line: &str) -> Option<FileDiff> {
    let names = line
        .trim_end()
        .strip_prefix("Binary files ")?
        .strip_suffix(" differ")?;
    let (old, new) = names.split_once(" and ")?;
    let mut file = empty_file();
    file.binary = true;
    let prefixed = prefixed(old, new);
    let clean = |path: &str| {
        if prefixed {
            strip(path).to_owned()
        } else {
            path.to_owned()
        }
    };
    match (old, new) {
        ("/dev/null", _) => file.change = Change::Added,
        (_, "/dev/null") => file.change = Change::Deleted,
        _ => {}
    }
    finish(
        file,
        Names {
            old: Some(clean(old)),
            new: Some(clean(new)),
            prefixed,
        },
    )
}

/// Reads `@@ -1,2 +1,3 @@ section`; a count that is left out is 1.
fn hunk_header(line: &str) -> Option<Hunk> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let rest = line.strip_prefix("@@ -")?;
    let (old, rest) = rest.split_once(" +")?;
    let (new, section) = rest.split_once(" @@")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, count)) => Some((number(start)?, number(count)?)),
            None => Some((number(text)?, 1)),
        }
    };
    let ((old_start, old_lines), (new_start, new_lines)) = (range(old)?, range(new)?);
    let section = section.strip_prefix(' ').unwrap_or(section).to_owned();
    Some(Hunk {
        old_start,
        old_lines,
        new_start,
        new_lines,
        section,
        lines: Vec::new(),
    })
}

/// A plain decimal number: `u32::from_str` alone would also take a plus sign.
fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
