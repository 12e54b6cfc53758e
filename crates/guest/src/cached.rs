//! Answers that a client may keep: `ETag`, `Last-Modified`, `Cache-Control` and 304 (RFC 9110, section 13).

use crate::{auth::sha256_hex, ctx::Ctx, reply::Reply};
use http::{StatusCode, header};

/// A JSON document with what tells its versions apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    body: Vec<u8>,
    etag: String,
    changed: Option<String>,
}

impl Cached {
    /// A document that changed last at `changed`, an HTTP date.
    pub fn new(body: Vec<u8>, changed: Option<String>) -> Cached {
        let etag = format!("\"{}\"", &sha256_hex(&body)[..32]);
        Cached { body, etag, changed }
    }
}

/// The document, or 304 when the caller has this version.
pub fn reply(ctx: &Ctx, document: &Cached) -> Reply {
    let texts = |name: &header::HeaderName| {
        let values = ctx.headers().get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/").to_owned())
            .collect::<Vec<_>>()
    };
    let tags = texts(&header::IF_NONE_MATCH);
    let known = if tags.is_empty() {
        // Dates are compared as they were given: a client sends back what it was told.
        let since = ctx
            .headers()
            .get(header::IF_MODIFIED_SINCE)
            .and_then(|value| value.to_str().ok());
        since.is_some() && since == document.changed.as_deref()
    } else {
        tags.iter().any(|tag| tag == "*" || *tag == document.etag)
    };
    let reply = if known {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply::bytes(StatusCode::OK, "application/json", document.body.clone())
    };
    let reply = reply
        .header(header::ETAG, document.etag.as_str())
        .header(header::CACHE_CONTROL, "public, max-age=60");
    match &document.changed {
        Some(changed) => reply.header(header::LAST_MODIFIED, changed.as_str()),
        None => reply,
    }
}

/// A time as Postgres spells it in JSON (`2030-01-01T12:00:00.5+00:00`, UTC) as an HTTP date.
pub fn http_date(time: &str) -> Option<String> {
    let (date, clock) = time.split_once('T')?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let clock = clock.get(..8)?;
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let name = months.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    // Zeller's congruence, with January and February as months of the year before; 0 is Saturday.
    let (m, y) = if month < 3 {
        (month + 12, year - 1)
    } else {
        (month, year)
    };
    let weekday = (day + 13 * (m + 1) / 5 + y + y / 4 - y / 100 + y / 400).rem_euclid(7);
    let weekday = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"][weekday as usize];
    Some(format!("{weekday}, {day:02} {name} {year:04} {clock} GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        for (time, wanted) in [
            ("1994-11-06T08:49:37+00:00", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("2030-01-01T12:00:00.5+00:00", "Tue, 01 Jan 2030 12:00:00 GMT"),
            (
                "2024-02-29T23:59:59.999999+00:00",
                "Thu, 29 Feb 2024 23:59:59 GMT",
            ),
        ] {
            assert_eq!(http_date(time).as_deref(), Some(wanted));
        }
        for bad in [
            "",
            "2024",
            "2024-13-01T00:00:00",
            "x-y-zT00:00:00",
            "2024-01-01T00",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
