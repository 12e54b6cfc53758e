//! Writing a diff as git writes it.

use std::fmt;

use super::path::quote;
use super::{Change, Diff, FileDiff, LineKind};

impl fmt::Display for Diff {
    /// Writes the diff in git's format; [`super::parse`] reads it back to an equal value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| write!(f, "{file}"))
    }
}

impl fmt::Display for FileDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old = self.old_path.as_deref().unwrap_or(self.path());
        let new = self.path();
        writeln!(f, "diff --git {} {}", quote("a/", old), quote("b/", new))?;
        self.write_headers(f, old, new)?;
        if self.binary {
            return writeln!(
                f,
                "Binary files {} and {} differ",
                quote("a/", old),
                quote("b/", new)
            );
        }
        if self.hunks.is_empty() {
            return Ok(());
        }
        // Git ends a name with a tab when it holds a space, so that a time stamp cannot be mistaken for it.
        let name = |prefix: &str, path: &Option<String>| match path {
            Some(path) if path.contains(' ') => format!("{}\t", quote(prefix, path)),
            Some(path) => quote(prefix, path),
            None => "/dev/null".to_owned(),
        };
        writeln!(
            f,
            "--- {}\n+++ {}",
            name("a/", &self.old_path),
            name("b/", &self.new_path)
        )?;
        for hunk in &self.hunks {
            write!(
                f,
                "@@ -{},{} +{},{} @@",
                hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
            )?;
            let gap = if hunk.section.is_empty() { "" } else { " " };
            writeln!(f, "{gap}{}", hunk.section)?;
            for line in &hunk.lines {
                let marker = match line.kind {
                    LineKind::Context => ' ',
                    LineKind::Added => '+',
                    LineKind::Removed => '-',
                };
                writeln!(f, "{marker}{}", line.text)?;
                if !line.newline {
                    writeln!(f, "\\ No newline at end of file")?;
                }
            }
        }
        Ok(())
    }
}

impl FileDiff {
    fn write_headers(&self, f: &mut fmt::Formatter<'_>, old: &str, new: &str) -> fmt::Result {
        let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "100644".to_owned());
        match self.change {
            Change::Added => return writeln!(f, "new file mode {}", mode(&self.new_mode)),
            Change::Deleted => return writeln!(f, "deleted file mode {}", mode(&self.old_mode)),
            Change::Modified | Change::Renamed | Change::Copied => {}
        }
        if let (Some(before), Some(after)) = (&self.old_mode, &self.new_mode) {
            if before == after {
                writeln!(f, "index 0000000..1111111 {after}")?;
            } else {
                writeln!(f, "old mode {before}\nnew mode {after}")?;
            }
        }
        let word = match self.change {
            Change::Renamed => "rename",
            Change::Copied => "copy",
            _ => return Ok(()),
        };
        if let Some(percent) = self.similarity {
            writeln!(f, "similarity index {percent}%")?;
        }
        writeln!(f, "{word} from {}\n{word} to {}", quote("", old), quote("", new))
    }
}
