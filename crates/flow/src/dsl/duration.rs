//! Durations (dsl-reference.md, "Duration"): an object, or ISO 8601.

use serde_json::Value;

/// Longest duration: ten years, in milliseconds. Beyond it a wait is rather a mistake.
pub const MAX_MS: i64 = 10 * 366 * 86_400_000;

/// A duration's milliseconds.
///
/// Of ISO 8601, weeks to seconds are read (`P1W`, `P1DT2H3M4.5S`); years and months are refused, as they have no fixed
/// length.
pub fn parse_duration(value: &Value) -> Result<i64, String> {
    let ms = match value {
        Value::String(text) => parse_iso(text)?,
        Value::Object(map) if map.is_empty() => return Err("the duration is empty".into()),
        Value::Object(map) => {
            let mut total: i64 = 0;
            for (unit, amount) in map {
                let factor = match unit.as_str() {
                    "days" => 86_400_000,
                    "hours" => 3_600_000,
                    "minutes" => 60_000,
                    "seconds" => 1_000,
                    "milliseconds" => 1,
                    _ => return Err(format!("a duration has no `{unit}`")),
                };
                let amount = amount.as_i64().filter(|amount| *amount >= 0);
                let amount =
                    amount.ok_or_else(|| format!("`{unit}` must be a whole number, not negative"))?;
                total = amount
                    .checked_mul(factor)
                    .and_then(|ms| total.checked_add(ms))
                    .ok_or("the duration is too long")?;
            }
            total
        }
        _ => return Err("a duration is an object like `seconds: 10`, or ISO 8601 like `PT10S`".into()),
    };
    if ms > MAX_MS {
        return Err("the duration is longer than ten years".into());
    }
    Ok(ms)
}

fn parse_iso(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not an ISO 8601 duration like `PT10S` or `P1DT12H`");
    let rest = text.strip_prefix('P').ok_or_else(wrong)?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err(wrong()),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return Err(wrong());
    }
    if date.contains(['Y', 'M']) {
        return Err(format!(
            "`{text}` has years or months, which have no fixed length; use days"
        ));
    }
    let days = parse_units(date, &[('W', 604_800_000.0), ('D', 86_400_000.0)]).ok_or_else(wrong)?;
    let times =
        parse_units(time, &[('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)]).ok_or_else(wrong)?;
    let ms = (days + times).round();
    // Far beyond the longest duration; the caller says so.
    Ok(if ms > 1e15 { i64::MAX } else { ms as i64 })
}

/// The sum of `12H30M`-like amounts, whose units come in this order.
fn parse_units(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let (mut rest, mut total, mut units) = (text, 0.0, units.iter());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?;
        let unit = rest[end..].chars().next()?;
        let factor = units.find(|(name, _)| *name == unit)?.1;
        let amount: f64 = rest[..end].replace(',', ".").parse().ok()?;
        total += amount * factor;
        rest = &rest[end + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_are_read() {
        let ms = |value: Value| parse_duration(&value);
        assert_eq!(
            ms(json!({"days": 1, "hours": 2, "minutes": 3, "seconds": 4, "milliseconds": 5})),
            Ok(93_784_005)
        );
        assert_eq!(ms(json!("P1DT2H3M4.005S")), Ok(93_784_005));
        assert_eq!(ms(json!("P2W")), Ok(1_209_600_000));
        assert_eq!(ms(json!("PT0S")), Ok(0));
        for wrong in [
            "",
            "P",
            "PT",
            "10s",
            "P1Y",
            "P1M",
            "PT1D",
            "PT5",
            "PT1S1H",
            "P1DT",
            "PTS",
            "PT1.2.3S",
            "P9999999D",
        ] {
            assert!(ms(json!(wrong)).is_err(), "{wrong}");
        }
        assert!(ms(json!({"days": 1_000_000})).is_err());
        assert!(ms(json!({"seconds": -1})).is_err());
        assert!(ms(json!({"seconds": i64::MAX})).is_err());
        assert!(ms(json!({})).is_err());
        assert!(ms(json!(5)).is_err());
    }
}
