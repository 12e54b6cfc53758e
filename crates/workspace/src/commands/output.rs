//! What a command says, within a limit: the beginning and the end, which are what people look for.

const HEAD_MAX: usize = 8 << 10;
const TAIL_MAX: usize = 24 << 10;

/// Keeps the first 8 KiB and the last 24 KiB.
#[derive(Default)]
pub struct Output {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    bytes: u64,
}

impl Output {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD_MAX - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(TAIL_MAX)..];
        self.tail.extend(rest);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_MAX));
    }

    /// How much there was, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether something in the middle is missing.
    pub fn truncated(&self) -> bool {
        self.dropped() > 0
    }

    fn dropped(&self) -> u64 {
        self.bytes - (self.head.len() + self.tail.len()) as u64
    }

    /// The text for people: valid UTF-8, no terminal sequences, and a line that counts what was dropped.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        match self.dropped() {
            0 => printable(&[self.head.as_slice(), &tail].concat()),
            dropped => format!(
                "{}\n[... {dropped} bytes left out ...]\n{}",
                printable(&self.head),
                printable(&tail)
            ),
        }
    }
}

/// Text that is safe in JSON columns and on terminals: invalid UTF-8 is replaced, colour and cursor sequences are
/// taken out, carriage returns become line ends, and other control characters are replaced.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' => safe.push('\n'),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next_if(|c| matches!(c, '[' | ']')) {
        Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        Some(_) => {
            // An operating-system command ends with BEL or ESC \.
            while let Some(c) = rest.next() {
                if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) || c == '\n' {
                    break;
                }
            }
        }
        None => drop(rest.next()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_sequences_and_controls_are_made_harmless() {
        assert_eq!(
            printable(b"\x1b[31mred\x1b[0m\r\nok\x00\x07"),
            "red\nok\u{fffd}\u{fffd}"
        );
        assert_eq!(printable(b"\x1b]0;title\x07done\x1b]8;;x\x1b\\!"), "done!");
        assert_eq!(printable(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(printable(b"10%\r20%"), "10%\n20%");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_below_the_limit_and_all_is_counted_above(
            pieces in prop::collection::vec((0u8..26, 0usize..20_000), 0..12)
        ) {
            let mut output = Output::default();
            let mut all = Vec::new();
            for (letter, length) in pieces {
                let piece = vec![b'a' + letter; length];
                output.push(&piece);
                all.extend(piece);
            }
            let all = String::from_utf8(all).unwrap();
            prop_assert_eq!(output.bytes(), all.len() as u64);
            prop_assert_eq!(output.truncated(), all.len() > HEAD_MAX + TAIL_MAX);
            let text = output.text();
            if output.truncated() {
                prop_assert!(text.starts_with(&all[..HEAD_MAX]));
                prop_assert!(text.ends_with(&all[all.len() - TAIL_MAX..]));
                let note = format!("[... {} bytes left out ...]", all.len() - HEAD_MAX - TAIL_MAX);
                prop_assert!(text.contains(&note));
            } else {
                prop_assert_eq!(text, all);
            }
        }
    }
}
