//! Request bodies: read piece by piece up to a limit, and parsed with errors that say where.

use bytes::{Bytes, BytesMut};
use guildhall_domain::{
    Code, Problem,
    nesting::{MAX_NESTING, too_deep},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

/// Most bytes that a request body may have: 1 MiB.
pub const MAX_BODY: usize = 1024 * 1024;

/// How much of a body that is too large is still read and thrown away, so that a client which sends before it reads
/// gets to see the 413 instead of a reset connection.
const DISCARD: usize = 8 * 1024 * 1024;

/// Reads a whole body of at most [`MAX_BODY`] bytes; never holds more than that in memory.
pub async fn read<B>(body: B) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let mut body = body;
    let mut whole = BytesMut::new();
    let mut seen = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(
                Code::InvalidBody,
                format!("The request body broke off after {seen} bytes: {error:?}."),
            )
            .hint("Send the request again.")
        })?;
        if let Ok(data) = frame.into_data() {
            seen += data.len();
            if seen <= MAX_BODY {
                whole.extend_from_slice(&data);
            } else {
                whole = BytesMut::new();
                if seen > DISCARD {
                    break;
                }
            }
        }
    }
    if seen > MAX_BODY {
        Err(too_large())
    } else {
        Ok(whole.freeze())
    }
}

fn too_large() -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("The request body is larger than {MAX_BODY} bytes."),
    )
    .hint("Send less, or refer to a branch or file instead of its content.")
}

/// Parses a JSON body; the problem names the line and column at which it stops making sense.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(
            Code::InvalidBody,
            "The request body is empty; this route takes a JSON object.",
        )
        .hint("docs/api.md shows what each route takes."));
    }
    if has_huge_number(body) {
        return Err(Problem::new(
            Code::InvalidBody,
            "The request body has a number with more than 300 digits before the point, which cannot be kept exactly.",
        )
        .hint("Write it as a string."));
    }
    if too_deep(body) {
        return Err(Problem::new(
            Code::InvalidBody,
            format!("The request body is nested deeper than {MAX_NESTING} levels."),
        )
        .hint("Send flatter data, or send the deep part as text."));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            Code::InvalidBody,
            format!("The request body cannot be used: {error}."),
        )
        .hint("docs/api.md shows what each route takes.")
    })
}

/// Whether a number outside strings has an exponent of 300 or more, or as many digits: Postgres keeps such a number with
/// all its digits, and who reads it back as a double finds it out of range.
fn has_huge_number(body: &[u8]) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    // Digits of the number so far, and of its exponent once that has begun.
    let (mut digits, mut exponent): (usize, Option<u32>) = (0, None);
    for &byte in body {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'0'..=b'9' => match &mut exponent {
                Some(exponent) => {
                    *exponent = exponent.saturating_mul(10).saturating_add(u32::from(byte - b'0'))
                }
                None => digits += 1,
            },
            b'e' | b'E' if digits > 0 => exponent = Some(0),
            b'+' | b'-' | b'.' if digits > 0 => {}
            _ => {
                in_string = byte == b'"';
                (digits, exponent) = (0, None);
            }
        }
        if digits > 300 || exponent.is_some_and(|exponent| exponent >= 300) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, executor::block_on, stream};
    use http_body_util::StreamBody;
    use proptest::prelude::*;
    use std::convert::Infallible;

    #[test]
    fn numbers_that_cannot_be_kept_are_refused() {
        let digits = "9".repeat(301);
        for (body, refused) in [
            ("{\"a\": 1e308}", true),
            ("[1, -2.5E+400]", true),
            (digits.as_str(), true),
            ("{\"a\": \"1e308\", \"b\\\"\": 1e299}", false),
            ("{\"deadline\": 1e5, \"tree\": [true, 12]}", false),
        ] {
            assert_eq!(has_huge_number(body.as_bytes()), refused, "{body}");
        }
    }

    fn read_chunks(sizes: &[usize]) -> (Result<Bytes, Problem>, usize) {
        let taken = std::cell::Cell::new(0);
        let frames = stream::iter(sizes).map(|size| {
            taken.set(taken.get() + size);
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![b'x'; *size])))
        });
        let result = block_on(read(StreamBody::new(frames)));
        (result, taken.get())
    }

    #[test]
    fn a_problem_says_where() {
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "only its presence is parsed")]
            title: String,
        }
        let missing = parse::<Wanted>(b"{\n \"titel\": 1}").expect_err("no title");
        assert_eq!((missing.code.as_str(), missing.status), ("invalid_body", 400));
        assert!(
            missing.detail.contains("missing field `title` at line 2 column"),
            "{}",
            missing.detail
        );
        assert!(
            parse::<Wanted>(b"{\"title\": }")
                .expect_err("broken")
                .detail
                .contains("line 1 column 11")
        );
        assert!(parse::<Wanted>(b" ").expect_err("empty").detail.contains("empty"));
    }

    proptest! {
        #[test]
        fn up_to_the_limit_is_taken_and_more_is_not(sizes in prop::collection::vec(0usize..400_000, 0..40)) {
            let total: usize = sizes.iter().sum();
            let (result, taken) = read_chunks(&sizes);
            if total <= MAX_BODY {
                prop_assert_eq!(result.expect("fits").len(), total);
            } else {
                prop_assert_eq!(result.expect_err("too large").status, 413);
                prop_assert!(taken <= DISCARD + 400_000, "an endless body is not read to its end");
            }
        }
    }
}
