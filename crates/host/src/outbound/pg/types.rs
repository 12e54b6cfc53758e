//! Values between the interface and Postgres. Which Postgres types match which cases is Spin's choice,
//! including that it cannot read `timestamptz` (cast it in the statement).

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc};
use rust_decimal::Decimal;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};
use uuid::Uuid;

use super::{
    json::{JsonText, JsonbText},
    null::{Null, Raw},
    range::{Bound, Interval, Range},
};
use crate::{
    bindings::spin::postgres::postgres::{Column, DbDataType, DbValue, ParameterValue},
    options::Mode,
};

/// A parameter ready to be sent.
pub(super) type Parameter = Box<dyn ToSql + Send + Sync>;

/// Makes parameters of what a guest gave; the error names the value that is not one.
pub(super) fn parameters(values: &[ParameterValue], mode: Mode) -> Result<Vec<Parameter>, String> {
    values.iter().map(|value| parameter(value, mode)).collect()
}

fn parameter(value: &ParameterValue, mode: Mode) -> Result<Parameter, String> {
    Ok(match value {
        ParameterValue::Boolean(v) => Box::new(*v),
        ParameterValue::Int8(v) => Box::new(*v),
        ParameterValue::Int16(v) => Box::new(*v),
        ParameterValue::Int32(v) => Box::new(*v),
        ParameterValue::Int64(v) => Box::new(*v),
        ParameterValue::Floating32(v) => Box::new(*v),
        ParameterValue::Floating64(v) => Box::new(*v),
        ParameterValue::Str(v) => Box::new(v.clone()),
        ParameterValue::Binary(v) => Box::new(v.clone()),
        ParameterValue::Date(v) => Box::new(date(v)?),
        ParameterValue::Time(v) => Box::new(time(v)?),
        ParameterValue::Datetime((y, mo, d, h, mi, s, ns)) => Box::new(NaiveDateTime::new(
            date(&(*y, *mo, *d))?,
            time(&(*h, *mi, *s, *ns))?,
        )),
        ParameterValue::Timestamp(v) => Box::new(
            DateTime::<Utc>::from_timestamp(*v, 0).ok_or_else(|| format!("invalid epoch timestamp {v}"))?,
        ),
        ParameterValue::Uuid(v) => {
            Box::new(Uuid::parse_str(v).map_err(|e| format!("invalid UUID {v:?}: {e}"))?)
        }
        ParameterValue::Jsonb(v) if mode == Mode::Hardened => Box::new(JsonText::new(v)?),
        ParameterValue::Jsonb(v) => Box::new(
            serde_json::from_slice::<serde_json::Value>(v).map_err(|e| format!("invalid JSON: {e}"))?,
        ),
        ParameterValue::Decimal(v) => Box::new(decimal(v)?),
        ParameterValue::RangeInt32((lower, upper)) => Box::new(Range(*lower, *upper)),
        ParameterValue::RangeInt64((lower, upper)) => Box::new(Range(*lower, *upper)),
        ParameterValue::RangeDecimal((lower, upper)) => {
            Box::new(Range(decimal_bound(lower)?, decimal_bound(upper)?))
        }
        ParameterValue::ArrayInt32(v) => Box::new(v.clone()),
        ParameterValue::ArrayInt64(v) => Box::new(v.clone()),
        ParameterValue::ArrayDecimal(v) => Box::new(
            v.iter()
                .map(|d| d.as_deref().map(decimal).transpose())
                .collect::<Result<Vec<_>, _>>()?,
        ),
        ParameterValue::ArrayStr(v) => Box::new(v.clone()),
        ParameterValue::Interval(v) => Box::new(Interval(*v)),
        ParameterValue::DbNull => Box::new(Null),
    })
}

fn date((y, m, d): &(i32, u8, u8)) -> Result<NaiveDate, String> {
    NaiveDate::from_ymd_opt(*y, u32::from(*m), u32::from(*d))
        .ok_or_else(|| format!("invalid date y={y}, m={m}, d={d}"))
}

fn time((h, m, s, ns): &(u8, u8, u8, u32)) -> Result<NaiveTime, String> {
    NaiveTime::from_hms_nano_opt(u32::from(*h), u32::from(*m), u32::from(*s), *ns)
        .ok_or_else(|| format!("invalid time {h}:{m}:{s}:{ns}"))
}

fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::from_str_exact(text).map_err(|e| format!("invalid decimal {text:?}: {e}"))
}

fn decimal_bound(bound: &Bound<String>) -> Result<Bound<Decimal>, String> {
    bound
        .as_ref()
        .map(|(text, kind)| Ok((decimal(text)?, *kind)))
        .transpose()
}

/// What a row's columns are called and hold.
pub(super) fn columns(row: &Row) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().into(),
            data_type: data_type(column.type_()),
        })
        .collect()
}

fn data_type(ty: &Type) -> DbDataType {
    match *ty {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(ty.name().into()),
    }
}

/// A row's values; the error says which column cannot be read.
pub(super) fn values(row: &Row, mode: Mode) -> Result<Vec<DbValue>, String> {
    (0..row.len()).map(|i| value(row, i, mode)).collect()
}

fn value(row: &Row, i: usize, mode: Mode) -> Result<DbValue, String> {
    fn get<'a, T: FromSql<'a>>(
        row: &'a Row,
        i: usize,
        make: impl FnOnce(T) -> DbValue,
    ) -> Result<DbValue, String> {
        let value: Option<T> = row.try_get(i).map_err(|e| format!("{e:?}"))?;
        Ok(value.map_or(DbValue::DbNull, make))
    }
    let text = |d: Decimal| d.to_string();
    match *row.columns()[i].type_() {
        Type::BOOL => get(row, i, DbValue::Boolean),
        Type::BYTEA => get(row, i, DbValue::Binary),
        Type::FLOAT4 => get(row, i, DbValue::Floating32),
        Type::FLOAT8 => get(row, i, DbValue::Floating64),
        Type::INT2 => get(row, i, DbValue::Int16),
        Type::INT4 => get(row, i, DbValue::Int32),
        Type::INT8 => get(row, i, DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get(row, i, DbValue::Str),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => get(row, i, |v: NaiveDateTime| {
            let (y, mo, d) = ymd(v.date());
            let (h, mi, s, ns) = hms(v.time());
            DbValue::Datetime((y, mo, d, h, mi, s, ns))
        }),
        Type::DATE => get(row, i, |v| DbValue::Date(ymd(v))),
        Type::TIME => get(row, i, |v| DbValue::Time(hms(v))),
        Type::UUID => get(row, i, |v: Uuid| DbValue::Uuid(v.to_string())),
        Type::JSONB if mode == Mode::Hardened => get(row, i, |v: JsonbText| DbValue::Jsonb(v.0)),
        Type::JSONB => get(row, i, |v: serde_json::Value| {
            DbValue::Jsonb(v.to_string().into_bytes())
        }),
        Type::NUMERIC => get(row, i, |v| DbValue::Decimal(text(v))),
        Type::INT4_RANGE => get(row, i, |Range(l, u)| DbValue::RangeInt32((l, u))),
        Type::INT8_RANGE => get(row, i, |Range(l, u)| DbValue::RangeInt64((l, u))),
        Type::NUM_RANGE => get(row, i, |Range(l, u): Range<Decimal>| {
            let bound = |b: Bound<Decimal>| b.map(|(d, kind)| (text(d), kind));
            DbValue::RangeDecimal((bound(l), bound(u)))
        }),
        Type::INT4_ARRAY => get(row, i, DbValue::ArrayInt32),
        Type::INT8_ARRAY => get(row, i, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get(row, i, |v: Vec<Option<Decimal>>| {
            DbValue::ArrayDecimal(v.into_iter().map(|d| d.map(text)).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => get(row, i, DbValue::ArrayStr),
        Type::INTERVAL => get(row, i, |v: Interval| DbValue::Interval(v.0)),
        _ => get(row, i, |v: Raw| DbValue::Unsupported(v.0)),
    }
}

/// Month, day, hour, minute and second all fit a byte.
fn ymd(v: NaiveDate) -> (i32, u8, u8) {
    (v.year(), v.month() as u8, v.day() as u8)
}

fn hms(v: NaiveTime) -> (u8, u8, u8, u32) {
    (v.hour() as u8, v.minute() as u8, v.second() as u8, v.nanosecond())
}

/// About how many bytes a row takes in memory.
pub(super) fn size(row: &[DbValue]) -> usize {
    let heap = |value: &DbValue| match value {
        DbValue::Str(v) | DbValue::Uuid(v) | DbValue::Decimal(v) => v.len(),
        DbValue::Binary(v) | DbValue::Jsonb(v) | DbValue::Unsupported(v) => v.len(),
        DbValue::RangeDecimal((l, u)) => [l, u]
            .iter()
            .filter_map(|b| b.as_ref())
            .map(|(v, _)| v.len())
            .sum(),
        DbValue::ArrayInt32(v) => v.len() * size_of::<Option<i32>>(),
        DbValue::ArrayInt64(v) => v.len() * size_of::<Option<i64>>(),
        DbValue::ArrayDecimal(v) | DbValue::ArrayStr(v) => v
            .iter()
            .map(|s| size_of::<Option<String>>() + s.as_ref().map_or(0, String::len))
            .sum(),
        _ => 0,
    };
    row.iter().map(|value| size_of::<DbValue>() + heap(value)).sum()
}
