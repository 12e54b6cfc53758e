//! Paths and query strings: matching route patterns and undoing percent encoding. Pure.

/// The values that a route pattern captured from a path, in the order of the pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// The value captured as `{name}`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why a path does not give parameters although it has a pattern's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEncoding {
    /// The pattern's name for the segment.
    pub name: &'static str,
    /// The segment as it was sent.
    pub segment: String,
}

/// Matches `path` against a pattern such as `/v1/locks/{resource}/acquire`. A `{name}` takes exactly one
/// non-empty segment, which is percent-decoded after the split, so `%2F` can be part of a name. A trailing slash is
/// another path. `None` means that the pattern does not fit; `Some(Err)` that it fits but a segment is not
/// percent-encoded UTF-8.
pub fn match_path(pattern: &'static str, path: &str) -> Option<Result<Params, BadEncoding>> {
    let mut wanted = pattern.split('/');
    let mut given = path.split('/');
    let mut captured = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => break,
            (Some(want), Some(have)) => match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(name) if !have.is_empty() => captured.push((name, have)),
                None if want == have => {}
                _ => return None,
            },
            _ => return None,
        }
    }
    let decoded = captured
        .into_iter()
        .map(|(name, segment)| match percent_decode(segment) {
            Some(value) => Ok((name, value)),
            None => Err(BadEncoding {
                name,
                segment: segment.to_owned(),
            }),
        });
    Some(decoded.collect::<Result<Vec<_>, _>>().map(Params))
}

/// Undoes percent encoding. `None` for a `%` without two hex digits, or when the result is not UTF-8 or holds NUL
/// (which Postgres text cannot).
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = (bytes.next()? as char).to_digit(16)?;
            let low = (bytes.next()? as char).to_digit(16)?;
            out.push((high * 16 + low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that the result is one path segment or one
/// query value.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The first value of `name` in a query string. `None` when absent, `Some(None)` when its encoding is broken.
pub fn query_value(query: &str, name: &str) -> Option<Option<String>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(&key.replace('+', " "))? == name).then(|| percent_decode(&value.replace('+', " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn captured(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
        match_path(pattern, path).map(|found| found.expect("valid encoding").0)
    }

    #[test]
    fn literal_and_captured_segments_fit_exactly() {
        assert_eq!(captured("/v1/locks", "/v1/locks"), Some(vec![]));
        assert_eq!(
            captured(
                "/v1/locks/{resource}/renew",
                "/v1/locks/deployment%3Aprod%2Feu/renew"
            ),
            Some(vec![("resource", "deployment:prod/eu".into())])
        );
        for other in [
            "/v1/locks/",
            "/v1/lock",
            "/v1",
            "/v1/locks/x",
            "/",
            "",
            "//v1/locks",
        ] {
            assert_eq!(match_path("/v1/locks", other), None, "{other}");
        }
        assert_eq!(
            match_path("/v1/locks/{resource}", "/v1/locks/"),
            None,
            "an empty name is no name"
        );
    }

    #[test]
    fn broken_encoding_is_told_apart_from_another_path() {
        for segment in ["%", "%2", "%zz", "%ff", "%00"] {
            let path = format!("/v1/locks/{segment}");
            let found = match_path("/v1/locks/{resource}", &path).expect("the shape fits");
            assert_eq!(
                found,
                Err(BadEncoding {
                    name: "resource",
                    segment: segment.into()
                })
            );
        }
    }

    #[test]
    fn queries_give_the_first_value() {
        assert_eq!(query_value("a=1&b=x%20y+z&b=2", "b"), Some(Some("x y z".into())));
        assert_eq!(query_value("a", "a"), Some(Some(String::new())));
        assert_eq!(query_value("", "a"), None);
        assert_eq!(query_value("a=%f", "a"), Some(None));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[^\0]*") {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(text));
        }

        #[test]
        fn an_encoded_name_is_one_segment(text in "[^\0]+") {
            let path = format!("/v1/locks/{}", percent_encode(&text));
            let found = match_path("/v1/locks/{resource}", &path).expect("fits").expect("decodes");
            prop_assert_eq!(found.get("resource"), Some(text.as_str()));
        }

        #[test]
        fn no_path_panics(path in "\\PC*") {
            let _ = match_path("/v1/locks/{resource}/acquire", &path);
            let _ = query_value(&path, "a");
        }
    }
}
