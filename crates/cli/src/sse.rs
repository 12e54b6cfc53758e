//! Reading server-sent events (WHATWG HTML, section 9.2), piece by piece as they come.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id, as the stream had it last.
    pub id: String,
    /// Its type; empty for a plain message.
    pub kind: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
}

/// Reads a stream.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    rest: Vec<u8>,
    id: String,
    kind: String,
    data: Vec<String>,
    begun: bool,
}

impl Reader {
    /// Takes a piece of the stream and gives the events that it completes. What is not finished waits for the next
    /// piece; what the stream ends in the midst of is no event.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some((line, used)) = next_line(&self.rest) {
            let line = String::from_utf8_lossy(line).into_owned();
            self.rest.drain(..used);
            let line = match self.begun {
                false => line.trim_start_matches('\u{feff}').to_owned(),
                true => line,
            };
            self.begun = true;
            if let Some(event) = self.line(&line) {
                events.push(event);
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            return (!data.is_empty()).then(|| Event {
                id: self.id.clone(),
                kind,
                data: data.join("\n"),
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "event" => self.kind = value.to_owned(),
            "data" => self.data.push(value.to_owned()),
            // Comments (signs of life), the pause between tries, and what is not known.
            _ => {}
        }
        None
    }
}

/// The first whole line without its end, and how many bytes it takes with it.
fn next_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let at = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    let used = match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => at + 2,
        // What follows may be the line feed that belongs to it.
        (b'\r', None) => return None,
        _ => at + 1,
    };
    Some((&bytes[..at], used))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}retry: 1000\n\n: still here\n\nid: 1\nevent: a.b\ndata: {\"x\":1}\n\nid: 2\r\ndata: one\r\n\
                          data:two\r\n\r\nid: 3\n\ndata: é\n\ndata: unfinished\n";

    #[test]
    fn events_come_out_however_the_stream_is_cut() {
        let event = |id: &str, kind: &str, data: &str| Event {
            id: id.into(),
            kind: kind.into(),
            data: data.into(),
        };
        let wanted = [
            event("1", "a.b", "{\"x\":1}"),
            event("2", "", "one\ntwo"),
            event("3", "", "é"),
        ];
        for size in 1..STREAM.len() {
            let mut reader = Reader::default();
            let found: Vec<Event> = STREAM
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| reader.take(piece))
                .collect();
            assert_eq!(found, wanted, "in pieces of {size} bytes");
        }
    }
}
