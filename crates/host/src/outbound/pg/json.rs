//! JSON on its way between guests and Postgres, which both have it as text.
//!
//! Spin makes a value of it and text of that again, each way. Hardened mode hands the text on, so that numbers keep
//! all their digits and nothing is taken apart only to be put together.

use serde::de::IgnoredAny;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// The version of the binary form of `jsonb`: text follows.
const TEXT: u8 = 1;

/// JSON text as a parameter.
#[derive(Debug)]
pub(super) struct JsonText(Vec<u8>);

impl JsonText {
    /// Takes text that is JSON; the error says where it is not.
    pub fn new(text: &[u8]) -> Result<Self, String> {
        // What is skipped over is not looked at byte by byte, so UTF-8 is a question of its own.
        let text = std::str::from_utf8(text).map_err(|e| format!("invalid JSON: {e}"))?;
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(IgnoredAny) => Ok(Self(text.as_bytes().to_vec())),
            Err(e) => Err(format!("invalid JSON: {e}")),
        }
    }
}

impl ToSql for JsonText {
    to_sql_checked!();

    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        if *ty == Type::JSONB {
            out.extend_from_slice(&[TEXT]);
        }
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }
}

/// The text of a `jsonb` value.
pub(super) struct JsonbText(pub Vec<u8>);

impl FromSql<'_> for JsonbText {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        match raw.split_first() {
            Some((&TEXT, text)) => Ok(Self(text.to_vec())),
            _ => Err("unsupported encoding of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back_as_it_is() {
        let text = br#"{"big": 123456789012345678901234567890.10, "a": [1, null]}"#;
        let mut out = BytesMut::new();
        JsonText::new(text)
            .unwrap()
            .to_sql(&Type::JSONB, &mut out)
            .unwrap();
        assert_eq!(out[0], TEXT);
        assert_eq!(JsonbText::from_sql(&Type::JSONB, &out).unwrap().0, text);
        let mut out = BytesMut::new();
        JsonText::new(text)
            .unwrap()
            .to_sql(&Type::JSON, &mut out)
            .unwrap();
        assert_eq!(&out[..], text);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [&b""[..], b"{", b"{} {}", b"\xff", b"\"\xff\"", b"nul"] {
            assert!(JsonText::new(text).is_err(), "{text:?}");
        }
        assert!(JsonbText::from_sql(&Type::JSONB, &[2, b'1']).is_err());
        assert!(JsonbText::from_sql(&Type::JSONB, &[]).is_err());
    }
}
