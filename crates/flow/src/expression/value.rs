//! Between JSON and jaq's values.

use jaq_json::{Map, Num, Rc, Val};
use serde_json::{Number, Value};

/// Largest integer that a double holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// JSON as jaq has it. Keys are sorted, whatever order the JSON library keeps, so that every build agrees.
pub(super) fn to_val(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(number) => Val::Num(to_num(number)),
        Value::String(text) => Val::utf8_str(text.clone().into_bytes()),
        Value::Array(items) => Val::Arr(Rc::new(items.iter().map(to_val).collect())),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            let entries = entries.into_iter();
            Val::obj(
                entries
                    .map(|(key, value)| (Val::utf8_str(key.clone().into_bytes()), to_val(value)))
                    .collect::<Map>(),
            )
        }
    }
}

fn to_num(number: &Number) -> Num {
    if let Some(integer) = number.as_i64() {
        Num::from_integral(integer)
    } else if let Some(integer) = number.as_u64() {
        Num::from_integral(integer)
    } else {
        Num::Float(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// jaq's value as JSON. As in jq, whole numbers are integers however they came about, NaN is null and infinity is the
/// largest number.
pub(super) fn to_json(val: &Val) -> Result<Value, String> {
    Ok(match val {
        Val::Null => Value::Null,
        Val::Bool(flag) => Value::Bool(*flag),
        Val::Num(num) => to_number(num),
        Val::TStr(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        Val::BStr(_) => return Err("the result holds bytes, which JSON cannot".into()),
        Val::Arr(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Val::Obj(map) => {
            let entry = |(key, value): (&Val, &Val)| match key {
                Val::TStr(bytes) => Ok((String::from_utf8_lossy(bytes).into_owned(), to_json(value)?)),
                _ => Err("the result has a key that is not text".to_owned()),
            };
            Value::Object(map.iter().map(entry).collect::<Result<_, _>>()?)
        }
    })
}

fn to_number(num: &Num) -> Value {
    match num {
        Num::Int(integer) => Value::from(*integer as i64),
        Num::BigInt(big) => written(&big.to_string()),
        Num::Dec(text) => written(text),
        Num::Float(float) => from_float(*float),
    }
}

fn written(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        Value::from(integer)
    } else if let Ok(integer) = text.parse::<u64>() {
        Value::from(integer)
    } else {
        from_float(text.parse().unwrap_or(f64::NAN))
    }
}

fn from_float(float: f64) -> Value {
    if float.is_nan() {
        Value::Null
    } else if float.is_infinite() {
        Value::from(f64::MAX.copysign(float))
    } else if float.fract() == 0.0 && float.abs() < EXACT {
        Value::from(float as i64)
    } else {
        Value::from(float)
    }
}
