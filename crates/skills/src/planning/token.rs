//! Words, quoted words and breaks of a message.

use super::lexicon;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word.
    Word,
    /// A word or words in quotes: taken literally, never as a verb.
    Quoted,
    /// A comma: may separate the items of a list.
    Comma,
    /// The end of a clause: `.`, `;`, `!`, `?`, a dash or a line break.
    Stop,
    /// The end of a clause by a question mark.
    Question,
}

/// One token of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub kind: Kind,
    /// As written, without quotes and surrounding punctuation.
    pub text: String,
    /// `text` in lower case, for looking words up.
    pub lower: String,
}

impl Token {
    fn new(kind: Kind, text: &str) -> Token {
        Token {
            kind,
            text: text.to_owned(),
            lower: text.to_lowercase(),
        }
    }
}

/// Splits a message into tokens.
pub(super) fn tokens(message: &str) -> Vec<Token> {
    let message = message
        .replace(['’', '‘'], "'")
        .replace(['“', '”', '„', '«', '»'], "\"");
    let mut tokens = Vec::new();
    for line in message.lines() {
        line_tokens(line, &mut tokens);
        tokens.push(Token::new(Kind::Stop, ""));
    }
    tokens.pop();
    tokens
}

fn line_tokens(line: &str, tokens: &mut Vec<Token>) {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        rest = rest.trim_start_matches(['(', '[', '{', '<']);
        if let Some((quoted, after)) = quoted(rest) {
            tokens.push(Token::new(Kind::Quoted, quoted.trim()));
            rest = after.trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        word(&rest[..end], tokens);
        rest = rest[end..].trim_start();
    }
}

/// The inside of the quotes with which `rest` begins, and what follows them. An apostrophe inside of a word is no quote.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let mark = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inside = &rest[1..];
    let mut from = 0;
    while let Some(at) = inside[from..].find(mark) {
        let (text, after) = (&inside[..from + at], &inside[from + at + 1..]);
        let ends = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
        if ends && !text.trim().is_empty() {
            return Some((text, after));
        }
        from += at + 1;
    }
    None
}

fn word(chunk: &str, tokens: &mut Vec<Token>) {
    // A comma without a blank after it ("review,test") separates as well; no branch name of sense has one.
    for (index, part) in chunk.split(',').enumerate() {
        if index > 0 {
            tokens.push(Token::new(Kind::Comma, ","));
        }
        let body = part.trim_end_matches(['.', ';', ':', '!', '?', ')', ']', '}', '>', '"', '\'', '`']);
        let body = body.trim_start_matches(['"', '\'', '`', ';', ':', '!', '?', ')']);
        if body
            .chars()
            .all(|c| matches!(c, '-' | '–' | '—' | '>' | '=' | '*' | '•'))
        {
            if body.is_empty() {
                push_end(part, tokens);
            } else {
                tokens.push(Token::new(Kind::Stop, body));
            }
            continue;
        }
        if let Some(operations) = operations(body) {
            for (index, operation) in operations.into_iter().enumerate() {
                if index > 0 {
                    tokens.push(Token::new(Kind::Comma, ","));
                }
                tokens.push(Token::new(Kind::Word, operation));
            }
        } else {
            tokens.push(Token::new(Kind::Word, body));
        }
        push_end(&part[part.rfind(body).map_or(0, |at| at + body.len())..], tokens);
    }
}

/// The parts of `review/test/deploy` or `review+test` when each of them is an operation.
fn operations(body: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = body.split(['/', '+', '&']).collect();
    let all = parts.len() > 1
        && parts
            .iter()
            .all(|part| lexicon::operation(&part.to_lowercase()).is_some());
    all.then_some(parts)
}

fn push_end(trailing: &str, tokens: &mut Vec<Token>) {
    if trailing.contains('?') {
        tokens.push(Token::new(Kind::Question, "?"));
    } else if trailing.contains([';', '.', '!']) {
        tokens.push(Token::new(Kind::Stop, "."));
    }
}
