//! Splitting SQL into statements of words, enough to tell what a statement does.

use crate::review::source::NewLine;

/// A word, a quoted name, a literal or a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Upper case for plain words; as written for quoted names; `'` for any text literal.
    pub text: String,
    /// True for a plain or quoted name, so that a mark or literal is never taken for one.
    pub word: bool,
    /// Index of its line in the region.
    pub line: usize,
}

/// The tokens of one statement, without the semicolon. Bodies of `DO` are statements of their own; bodies of
/// functions run later and are left out.
pub(super) type Statement = Vec<Token>;

/// Splits one region (the new side of a hunk) into statements.
pub(super) fn statements(lines: &[NewLine<'_>]) -> Vec<Statement> {
    let mut scanner = Scanner::default();
    for (index, line) in lines.iter().enumerate() {
        scanner.line(line.text, index);
    }
    scanner.end_statement();
    scanner.statements
}

#[derive(Default)]
struct Scanner {
    statements: Vec<Statement>,
    current: Statement,
    state: State,
}

/// What the scanner is inside of at the end of a line.
#[derive(Default, Clone, PartialEq, Eq)]
enum State {
    #[default]
    Code,
    Comment,
    Text,
    /// A dollar-quoted body that is not looked into, with its closing tag.
    Body(String),
    /// A dollar-quoted body of `DO`, which runs now, with its closing tag.
    Do(String),
}

/// The deepest line that is looked at, in bytes: beyond it the line is data.
const LINE_BYTES_MAX: usize = 20_000;

impl Scanner {
    fn end_statement(&mut self) {
        if !self.current.is_empty() {
            self.statements.push(std::mem::take(&mut self.current));
        }
    }

    fn push(&mut self, text: String, word: bool, line: usize) {
        self.current.push(Token { text, word, line });
    }

    fn last_is(&self, word: &str) -> bool {
        self.current
            .last()
            .is_some_and(|token| token.word && token.text == word)
    }

    fn line(&mut self, text: &str, line: usize) {
        if text.len() > LINE_BYTES_MAX {
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            rest = match &self.state {
                State::Comment => self.until(rest, "*/", State::Code),
                State::Body(tag) => {
                    let tag = tag.clone();
                    self.until(rest, &tag, State::Code)
                }
                State::Text => match rest.find('\'') {
                    Some(at) => {
                        self.state = State::Code;
                        &rest[at + 1..]
                    }
                    None => "",
                },
                State::Code | State::Do(_) => self.code(rest, line),
            };
        }
    }

    fn until<'t>(&mut self, rest: &'t str, end: &str, next: State) -> &'t str {
        match rest.find(end) {
            Some(at) => {
                self.state = next;
                &rest[at + end.len()..]
            }
            None => "",
        }
    }

    /// Reads one token and gives the rest.
    fn code<'t>(&mut self, rest: &'t str, line: usize) -> &'t str {
        let Some(first) = rest.chars().next() else {
            return "";
        };
        let after = &rest[first.len_utf8()..];
        match first {
            '-' if after.starts_with('-') => "",
            '/' if after.starts_with('*') && self.state == State::Code => {
                self.state = State::Comment;
                &after[1..]
            }
            '\'' => {
                self.push("'".to_owned(), false, line);
                self.text(after)
            }
            '"' | '`' => {
                let length = after.find(first).unwrap_or(after.len());
                self.push(after[..length].to_owned(), true, line);
                after.get(length + 1..).unwrap_or("")
            }
            '$' => self.dollar(rest, line),
            ';' => {
                self.end_statement();
                after
            }
            c if c.is_alphanumeric() || c == '_' => {
                let length = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                let word = rest[..length].to_uppercase();
                // A block of PL/pgSQL has no semicolon after these.
                let opens = matches!(word.as_str(), "BEGIN" | "THEN" | "ELSE" | "LOOP" | "DECLARE");
                self.push(word, true, line);
                if opens && matches!(self.state, State::Do(_)) {
                    self.end_statement();
                }
                &rest[length..]
            }
            c if c.is_whitespace() => rest.trim_start(),
            mark => {
                self.push(mark.to_string(), false, line);
                after
            }
        }
    }

    /// A text literal; inside a `DO` body it has to end on its line, so that the state stays flat.
    fn text<'t>(&mut self, after: &'t str) -> &'t str {
        match after.find('\'') {
            Some(at) => &after[at + 1..],
            None => {
                if self.state == State::Code {
                    self.state = State::Text;
                }
                ""
            }
        }
    }

    /// A dollar quote: `$$` or `$name$`, which opens a body or closes the one of `DO`.
    fn dollar<'t>(&mut self, rest: &'t str, line: usize) -> &'t str {
        let name = rest[1..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len() - 1);
        if rest.as_bytes().get(1 + name) != Some(&b'$') {
            return &rest[1..];
        }
        let (tag, after) = rest.split_at(name + 2);
        if self.state == State::Do(tag.to_owned()) {
            self.state = State::Code;
            self.end_statement();
            return after;
        }
        if matches!(self.state, State::Do(_)) {
            // A nested body: its text is data until it closes, which it does on the same line or later.
            return after.find(tag).map_or("", |at| &after[at + tag.len()..]);
        }
        let following = after.trim_start();
        let closes = following.starts_with(';') || following.to_ascii_uppercase().starts_with("LANGUAGE");
        if closes && !self.last_is("AS") && !self.last_is("DO") {
            // The region began inside a body: what was read so far belongs to a function.
            self.statements.clear();
            self.current.clear();
            return after;
        }
        if self.last_is("DO") || self.current.first().is_some_and(|token| token.text == "DO") {
            self.current.clear();
            self.state = State::Do(tag.to_owned());
        } else {
            self.push("'".to_owned(), false, line);
            self.state = State::Body(tag.to_owned());
        }
        after
    }
}

/// True when the statement begins with these words.
pub(super) fn starts(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len()
        && tokens
            .iter()
            .zip(words)
            .all(|(token, word)| token.word && token.text == *word)
}

/// Where these words follow each other, if they do.
pub(super) fn position(tokens: &[Token], words: &[&str]) -> Option<usize> {
    (0..tokens.len()).find(|at| starts(&tokens[*at..], words))
}

/// True when these words follow each other somewhere.
pub(super) fn has(tokens: &[Token], words: &[&str]) -> bool {
    position(tokens, words).is_some()
}

/// The name that starts at `at` (`schema.name` or `name`): its last part in lower case.
pub(super) fn name(tokens: &[Token], mut at: usize) -> Option<String> {
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") && tokens.get(at + 2).is_some() {
        at += 2;
    }
    tokens
        .get(at)
        .filter(|token| token.word)
        .map(|token| token.text.to_lowercase())
}

/// Skips words such as `IF EXISTS` and `ONLY` and gives the place after them.
pub(super) fn skip(tokens: &[Token], mut at: usize, words: &[&str]) -> usize {
    while tokens
        .get(at)
        .is_some_and(|token| token.word && words.contains(&token.text.as_str()))
    {
        at += 1;
    }
    at
}

/// The parts between commas that no parenthesis encloses.
pub(super) fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !token.word) {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let lines: Vec<NewLine<'_>> = text
            .lines()
            .map(|text| NewLine {
                number: 1,
                added: true,
                in_tests: false,
                text,
            })
            .collect();
        let join = |statement: &Statement| {
            statement
                .iter()
                .map(|token| token.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        statements(&lines).iter().map(join).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_literals_and_comments() {
        assert_eq!(
            split("drop table a; -- x;\nselect ';' /* ;\n; */ from \"B c\";"),
            ["DROP TABLE A", "SELECT ' FROM B c"]
        );
        assert_eq!(
            split("select 'a\n;b' x; drop table c"),
            ["SELECT ' X", "DROP TABLE C"]
        );
    }

    #[test]
    fn bodies_of_functions_are_left_out_and_bodies_of_do_are_not() {
        assert_eq!(
            split("create function f() returns void as $$\n delete from t;\n$$ language sql; truncate t;"),
            [
                "CREATE FUNCTION F ( ) RETURNS VOID AS ' LANGUAGE SQL",
                "TRUNCATE T"
            ]
        );
        assert_eq!(
            split("do $x$ begin\n delete from t;\nend $x$; select 1"),
            ["BEGIN", "DELETE FROM T", "END", "SELECT 1"]
        );
    }

    #[test]
    fn a_region_that_begins_inside_a_function_is_not_taken_for_its_outside() {
        assert_eq!(
            split("  delete from t;\nend;\n$$ language plpgsql;\ndrop table a;"),
            ["LANGUAGE PLPGSQL", "DROP TABLE A"]
        );
    }
}
