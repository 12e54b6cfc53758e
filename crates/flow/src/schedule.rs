//! When a workflow runs by itself: the next time, as a pure function of the last.

use crate::dsl::Schedule;
use chrono::{DateTime, Datelike, Duration, TimeZone, Timelike, Utc};
use std::fmt;

/// How far ahead a next time is looked for: the 29th of February comes within eight years.
const HORIZON_DAYS: i64 = 8 * 366 + 1;

/// A CRON expression with five fields, in UTC.
///
/// Minute, hour, day of the month, month (1–12 or `jan`…), day of the week (0–7 or `sun`…, both 0 and 7 are Sunday);
/// each `*`, a number, a range, a list, with `/step`. If both days are restricted, either fits, as cron has it. The
/// macros `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// Reads an expression; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "`{text}` is not a CRON expression: it has {} fields, not minute, hour, day, month and weekday",
                fields.len()
            ));
        };
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, 0).map_err(|reason| format!("weekday: {reason}"))?;
        let cron = Self {
            text: text.trim().to_owned(),
            minutes: field(minute, 0, 59, &[], 0).map_err(|reason| format!("minute: {reason}"))?,
            hours: field(hour, 0, 23, &[], 0).map_err(|reason| format!("hour: {reason}"))?,
            days: field(day, 1, 31, &[], 0).map_err(|reason| format!("day: {reason}"))?,
            months: field(month, 1, 12, &MONTHS, 1).map_err(|reason| format!("month: {reason}"))?,
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        };
        let start = DateTime::UNIX_EPOCH;
        match cron.next_after(start) {
            Some(_) => Ok(cron),
            None => Err(format!("`{text}` never comes: there is no such day")),
        }
    }

    fn day_fits(&self, time: DateTime<Utc>) -> bool {
        let day = self.days & (1 << time.day()) != 0;
        let weekday = self.weekdays & (1 << time.weekday().num_days_from_sunday()) != 0;
        let days = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        days && self.months & (1 << time.month()) != 0
    }

    /// The first time strictly after `time`; none if there is none within eight years.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let midnight =
            |time: DateTime<Utc>| Utc.from_utc_datetime(&time.date_naive().and_time(chrono::NaiveTime::MIN));
        let mut day = midnight(time);
        for _ in 0..HORIZON_DAYS {
            if self.day_fits(day) {
                for hour in (0..24).filter(|hour| self.hours & (1 << hour) != 0) {
                    for minute in (0..60).filter(|minute| self.minutes & (1 << minute) != 0) {
                        let at = day.with_hour(hour)?.with_minute(minute)?;
                        if at > time {
                            return Some(at);
                        }
                    }
                }
            }
            day = day.checked_add_signed(Duration::days(1))?;
        }
        None
    }
}

/// A field as the bits of the numbers it allows.
fn field(text: &str, min: u32, max: u32, names: &[&str], offset: u32) -> Result<u64, String> {
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(index) = names.iter().position(|name| *name == lower) {
            return Ok(index as u32 + offset);
        }
        match text.parse::<u32>() {
            Ok(n) if (min..=max).contains(&n) && text.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
            _ => Err(format!("`{text}` is not between {min} and {max}")),
        }
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => match step.parse::<u32>() {
                Ok(step) if step > 0 && step <= max => (range, step),
                _ => return Err(format!("`{step}` is not a step")),
            },
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, max),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(format!("`{range}` ends before it begins"));
        }
        for n in (from..=to).step_by(step as usize) {
            bits |= 1_u64 << n;
        }
    }
    Ok(bits)
}

/// What is known of a workflow's runs.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// When it was scheduled, which is where a first time counts from.
    pub since: DateTime<Utc>,
    /// The last time it was due.
    pub last_due: Option<DateTime<Utc>>,
    /// When its last run ended; none while it is under way, or before the first.
    pub last_ended: Option<DateTime<Utc>>,
    /// Whether a run is under way.
    pub running: bool,
}

/// When a workflow is due next.
///
/// `every` and `cron` are due whatever a run under way does; times that passed while nobody looked are due once, not
/// each. `after` counts from the end of a run, and is due at once at first. None: it waits for events or a run's end.
pub fn next_due(schedule: &Schedule, past: Past, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match schedule {
        Schedule::Every(ms) => {
            let span = (*ms).max(1);
            let from = past.last_due.unwrap_or(past.since);
            let missed = (now - from).num_milliseconds().max(0) / span;
            from.checked_add_signed(Duration::milliseconds(span.checked_mul(missed.max(1))?))
        }
        Schedule::Cron(cron) => {
            // Of those that passed, the last stands for all; a day back at most is looked through for it.
            let from = past.last_due.unwrap_or(past.since);
            let mut due = cron.next_after(from)?;
            let recent = cron.next_after(from.max(now - Duration::days(1)))?;
            if recent <= now {
                due = recent;
            }
            while let Some(later) = cron.next_after(due).filter(|later| *later <= now) {
                due = later;
            }
            Some(due)
        }
        Schedule::After(_) if past.running => None,
        Schedule::After(ms) => match past.last_ended {
            Some(ended) => ended.checked_add_signed(Duration::milliseconds(*ms)),
            None => Some(past.since),
        },
        Schedule::On(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn next(cron: &str, after: &str) -> String {
        let cron = Cron::parse(cron).unwrap_or_else(|reason| panic!("{reason}"));
        cron.next_after(time(after))
            .expect("a time")
            .format("%Y-%m-%dT%H:%M")
            .to_string()
    }

    #[test]
    fn cron_is_understood() {
        assert_eq!(next("0 0 * * *", "2026-11-26T00:00:00Z"), "2026-11-27T00:00");
        assert_eq!(next("*/15 * * * *", "2026-11-26T10:14:59Z"), "2026-11-26T10:15");
        assert_eq!(
            next("30 9 * * mon-fri", "2026-11-27T09:30:00Z"),
            "2026-11-30T09:30"
        );
        assert_eq!(next("0 12 29 2 *", "2026-01-01T00:00:00Z"), "2028-02-29T12:00");
        assert_eq!(next("0 0 13 * 5", "2026-11-01T00:00:00Z"), "2026-11-06T00:00");
        assert_eq!(next("0 0 * * 7", "2026-11-26T00:00:00Z"), "2026-11-29T00:00");
        assert_eq!(
            next("5,10-12/2 3 1 JAN,jul *", "2026-01-01T03:10:00Z"),
            "2026-01-01T03:12"
        );
        assert_eq!(next("@weekly", "2026-11-26T00:00:00Z"), "2026-11-29T00:00");
        for wrong in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "0 0 31 2 *",
            "+5 * * * *",
        ] {
            assert!(Cron::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn schedules_come_due() {
        let since = time("2026-11-26T00:00:00Z");
        let past = Past {
            since,
            last_due: None,
            last_ended: None,
            running: false,
        };
        let minutes = |n| Some(since + Duration::minutes(n));
        let every = Schedule::Every(600_000);
        assert_eq!(next_due(&every, past, since), minutes(10));
        let ran = Past {
            last_due: minutes(10),
            running: true,
            ..past
        };
        assert_eq!(next_due(&every, ran, since + Duration::minutes(55)), minutes(50));
        let after = Schedule::After(60_000);
        assert_eq!(next_due(&after, past, since), Some(since));
        assert_eq!(next_due(&after, ran, since), None);
        let ended = Past {
            running: false,
            last_ended: minutes(7),
            ..ran
        };
        assert_eq!(next_due(&after, ended, since), minutes(8));
    }

    proptest! {
        #[test]
        fn next_is_later_and_the_first(minute in 0u32..60, hour in 0u32..24, start in 0i64..4_000_000_000) {
            let cron = Cron::parse(&format!("{minute} {hour} * * *")).map_err(TestCaseError::fail)?;
            let start = Utc.timestamp_opt(start, 0).single().ok_or(TestCaseError::fail("time"))?;
            let next = cron.next_after(start).ok_or(TestCaseError::fail("none"))?;
            prop_assert!(next > start && next - start <= Duration::days(1));
            prop_assert_eq!((next.minute(), next.hour()), (minute, hour));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-*/,0-9a-z @]{0,20}") {
            let _ = Cron::parse(&text);
        }
    }
}
