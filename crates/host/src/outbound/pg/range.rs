//! Ranges and intervals, in Postgres's binary format.

use bytes::{Buf as _, BufMut as _};
use postgres_protocol::types::{Range as WireRange, RangeBound as WireBound, range_from_sql, range_to_sql};
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::bindings::spin::postgres::postgres::{Interval as WitInterval, RangeBoundKind};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// One end of a range: its value, and whether it belongs to the range.
pub(super) type Bound<T> = Option<(T, RangeBoundKind)>;

/// A range. An empty one reads as one without ends, because the interface cannot tell it apart.
#[derive(Debug)]
pub(super) struct Range<T>(pub Bound<T>, pub Bound<T>);

fn element(ty: &Type) -> Result<&Type, BoxError> {
    match ty.kind() {
        Kind::Range(element) => Ok(element),
        _ => Err(format!("{ty} is not a range type").into()),
    }
}

impl<T: ToSql> ToSql for Range<T> {
    to_sql_checked!();

    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        let element = element(ty)?;
        let write = |bound: &Bound<T>,
                     out: &mut BytesMut|
         -> Result<WireBound<postgres_protocol::IsNull>, BoxError> {
            let Some((value, kind)) = bound else {
                return Ok(WireBound::Unbounded);
            };
            let null = match value.to_sql(element, out)? {
                IsNull::Yes => postgres_protocol::IsNull::Yes,
                IsNull::No => postgres_protocol::IsNull::No,
            };
            Ok(match kind {
                RangeBoundKind::Inclusive => WireBound::Inclusive(null),
                RangeBoundKind::Exclusive => WireBound::Exclusive(null),
            })
        };
        range_to_sql(|out| write(&self.0, out), |out| write(&self.1, out), out)?;
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        element(ty).is_ok_and(T::accepts)
    }
}

impl<'a, T: FromSql<'a>> FromSql<'a> for Range<T> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        let element = element(ty)?;
        let read = |bound: WireBound<Option<&'a [u8]>>| -> Result<Bound<T>, BoxError> {
            let (raw, kind) = match bound {
                WireBound::Inclusive(raw) => (raw, RangeBoundKind::Inclusive),
                WireBound::Exclusive(raw) => (raw, RangeBoundKind::Exclusive),
                WireBound::Unbounded => return Ok(None),
            };
            Ok(Some((T::from_sql_nullable(element, raw)?, kind)))
        };
        match range_from_sql(raw)? {
            WireRange::Empty => Ok(Self(None, None)),
            WireRange::Nonempty(lower, upper) => Ok(Self(read(lower)?, read(upper)?)),
        }
    }

    fn accepts(ty: &Type) -> bool {
        element(ty).is_ok_and(T::accepts)
    }
}

/// An `INTERVAL`.
#[derive(Debug)]
pub(super) struct Interval(pub WitInterval);

impl ToSql for Interval {
    to_sql_checked!();

    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

impl FromSql<'_> for Interval {
    fn from_sql(_: &Type, mut raw: &[u8]) -> Result<Self, BoxError> {
        if raw.len() != 16 {
            return Err(format!("an interval has 16 bytes, not {}", raw.len()).into());
        }
        Ok(Self(WitInterval {
            micros: raw.get_i64(),
            days: raw.get_i32(),
            months: raw.get_i32(),
        }))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}
