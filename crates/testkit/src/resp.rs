//! Redis's protocol, as far as the fault proxy needs it to find pub/sub messages, and a test to publish one.

/// A command as it is sent.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Takes the first complete reply off `buffer`; `None` when more bytes are needed.
pub(crate) fn take_reply(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = reply_length(buffer, 0)?;
    Some(buffer.drain(..length).collect())
}

/// Whether a reply is a message of a subscription (not its confirmation).
pub(crate) fn is_message(reply: &[u8]) -> bool {
    let Some(end) = reply.windows(2).position(|pair| pair == b"\r\n") else {
        return false;
    };
    matches!(reply.first(), Some(b'*' | b'>'))
        && (reply[end + 2..].starts_with(b"$7\r\nmessage\r\n")
            || reply[end + 2..].starts_with(b"$8\r\npmessage\r\n"))
}

/// Where the reply that begins at `at` ends.
fn reply_length(buffer: &[u8], at: usize) -> Option<usize> {
    let line_end = at + buffer.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
    let after_line = line_end + 2;
    let count = || {
        std::str::from_utf8(&buffer[at + 1..line_end])
            .ok()?
            .parse::<i64>()
            .ok()
    };
    match buffer[at] {
        b'$' | b'!' | b'=' => match count() {
            Some(bytes) if bytes >= 0 => {
                let end = after_line + bytes as usize + 2;
                (buffer.len() >= end).then_some(end)
            }
            _ => Some(after_line),
        },
        b'*' | b'>' | b'~' | b'%' => {
            let items = count().unwrap_or(0).max(0) * if buffer[at] == b'%' { 2 } else { 1 };
            (0..items).try_fold(after_line, |position, _| reply_length(buffer, position))
        }
        _ => Some(after_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n";
    const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";

    #[test]
    fn replies_are_taken_whole_however_they_arrive() {
        let stream = [b"+OK\r\n".as_slice(), SUBSCRIBED, MESSAGE, b"$-1\r\n", b"*0\r\n"].concat();
        for cut in 0..stream.len() {
            let mut buffer = stream[..cut].to_vec();
            let mut replies = Vec::new();
            while let Some(reply) = take_reply(&mut buffer) {
                replies.push(reply);
            }
            buffer.extend(&stream[cut..]);
            while let Some(reply) = take_reply(&mut buffer) {
                replies.push(reply);
            }
            assert_eq!(replies.concat(), stream, "cut at {cut}");
            assert_eq!(replies.len(), 5, "cut at {cut}");
            assert_eq!(
                replies.iter().filter(|reply| is_message(reply)).count(),
                1,
                "cut at {cut}"
            );
        }
    }
}
