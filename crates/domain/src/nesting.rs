//! How deeply JSON from outside may be nested.
//!
//! Whatever is taken in comes back wrapped in a few more levels (an event in an inbox in a claim), and serde_json reads
//! 128 of them. What was let in deeper could be stored and never be read again.

/// Most levels of objects and lists in JSON that is taken in.
pub const MAX_NESTING: usize = 64;

/// Whether a JSON text has more than [`MAX_NESTING`] levels. Of what is not JSON the answer means nothing.
pub fn too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_outside_texts() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!too_deep(nested(MAX_NESTING).as_bytes()));
        assert!(too_deep(nested(MAX_NESTING + 1).as_bytes()));
        let beside = format!("[{}]", vec!["{}"; 1_000].join(","));
        assert!(!too_deep(beside.as_bytes()));
        let text = format!(r#"["\"{}", 1]"#, "[".repeat(1_000));
        assert!(!too_deep(text.as_bytes()));
    }
}
