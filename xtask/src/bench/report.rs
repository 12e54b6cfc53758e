//! How results are printed.

use super::load::Sample;
use serde::Serialize;

/// One measurement; serialises to exactly the line that `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The case.
    pub name: &'static str,
    /// `strict`, `hardened` or `external`.
    pub mode: &'static str,
    /// Connections that worked at once.
    pub connections: usize,
    /// Successful operations per second.
    pub ops_per_s: f64,
    /// Half of the operations took at most this long; `None` when none succeeded.
    pub p50_ms: Option<f64>,
    /// 99 of 100 operations took at most this long; `None` when none succeeded.
    pub p99_ms: Option<f64>,
    /// Operations per second of the floor; `None` when it cannot be measured here.
    pub floor_ops_per_s: Option<f64>,
    /// `ops_per_s` by `floor_ops_per_s`.
    pub ratio: Option<f64>,
    /// Operations that failed.
    pub errors: u64,
}

impl Line {
    /// The line for what was measured, and the floor's sample if there is one.
    pub fn new(
        name: &'static str,
        mode: &'static str,
        connections: usize,
        sample: &Sample,
        floor: Option<&Sample>,
    ) -> Self {
        let floor_rate = floor.map(Sample::rate).filter(|rate| *rate > 0.0);
        Line {
            name,
            mode,
            connections,
            ops_per_s: rounded(sample.rate(), 1),
            p50_ms: sample.percentile_ms(50.0).map(|ms| rounded(ms, 3)),
            p99_ms: sample.percentile_ms(99.0).map(|ms| rounded(ms, 3)),
            floor_ops_per_s: floor_rate.map(|rate| rounded(rate, 1)),
            ratio: floor_rate.map(|rate| rounded(sample.rate() / rate, 4)),
            errors: sample.errors + floor.map_or(0, |floor| floor.errors),
        }
    }

    /// The line as `--json` prints it, without the line end.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("strings and finite numbers always serialise")
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

const HEADINGS: [&str; 9] = [
    "name",
    "mode",
    "connections",
    "ops/s",
    "p50 ms",
    "p99 ms",
    "floor/s",
    "ratio",
    "errors",
];

/// All lines as a table: text to the left, numbers to the right, `-` for what was not measurable.
pub fn table(lines: &[Line]) -> String {
    let mut rows = vec![HEADINGS.map(String::from)];
    rows.extend(lines.iter().map(cells));
    let mut widths = [0; HEADINGS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            text += &if column < 2 {
                format!("{gap}{cell:<width$}")
            } else {
                format!("{gap}{cell:>width$}")
            };
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

fn cells(line: &Line) -> [String; 9] {
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "-".into(),
    };
    [
        line.name.into(),
        line.mode.into(),
        line.connections.to_string(),
        number(Some(line.ops_per_s), 0),
        number(line.p50_ms, 2),
        number(line.p99_ms, 2),
        number(line.floor_ops_per_s, 0),
        number(line.ratio, 3),
        line.errors.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(count: u64, errors: u64) -> Sample {
        Sample {
            latencies: (1..=count).map(|n| Duration::from_micros(n * 10)).collect(),
            elapsed: Duration::from_secs(1),
            errors,
            example: None,
        }
    }

    #[test]
    fn the_json_line_is_exactly_this() {
        let line = Line::new(
            "registry-read",
            "strict",
            16,
            &sample(100, 0),
            Some(&sample(300, 0)),
        );
        assert_eq!(
            line.json(),
            r#"{"name":"registry-read","mode":"strict","connections":16,"ops_per_s":100.0,"p50_ms":0.5,"p99_ms":0.99,"floor_ops_per_s":300.0,"ratio":0.3333,"errors":0}"#
        );
    }

    #[test]
    fn what_was_not_measured_is_null_and_never_zero() {
        let line = Line::new("registry-read", "external", 1, &sample(0, 7), None);
        assert_eq!(
            line.json(),
            r#"{"name":"registry-read","mode":"external","connections":1,"ops_per_s":0.0,"p50_ms":null,"p99_ms":null,"floor_ops_per_s":null,"ratio":null,"errors":7}"#
        );
        let dead_floor = Line::new("registry-read", "external", 1, &sample(5, 0), Some(&sample(0, 2)));
        assert_eq!(
            (dead_floor.floor_ops_per_s, dead_floor.ratio, dead_floor.errors),
            (None, None, 2)
        );
    }

    #[test]
    fn the_table_is_aligned() {
        let lines = [
            Line::new(
                "bare-component",
                "hardened",
                1,
                &sample(1234, 0),
                Some(&sample(10_000, 0)),
            ),
            Line::new("lock-acquire-release", "strict", 16, &sample(9, 3), None),
        ];
        assert_eq!(
            table(&lines),
            "name                  mode      connections  ops/s  p50 ms  p99 ms  floor/s  ratio  errors\n\
             bare-component        hardened            1   1234    6.17   12.22    10000  0.123       0\n\
             lock-acquire-release  strict             16      9    0.05    0.09        -      -       3\n"
        );
    }
}
