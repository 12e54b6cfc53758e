//! Tables that stay readable at 80 columns: all columns are as wide as their content, the last one gets what is left.

use crate::output::{Output, Tone};

/// A cell: its text, and perhaps a colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell { text, tone: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell {
            text: text.into(),
            tone: None,
        }
    }
}

impl Cell {
    /// A coloured cell.
    pub fn toned(text: impl Into<String>, tone: Option<Tone>) -> Self {
        Cell {
            text: text.into(),
            tone,
        }
    }
}

/// Draws a table with headings; empty text when there are no rows.
pub fn draw(output: &Output, headings: &[&str], rows: &[Vec<Cell>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heading: Vec<Cell> = headings
        .iter()
        .map(|text| Cell::toned(*text, Some(Tone::Strong)))
        .collect();
    let all: Vec<&Vec<Cell>> = std::iter::once(&heading).chain(rows).collect();
    draw_rows(output, &all)
}

/// Draws aligned rows without headings.
pub fn draw_plain(output: &Output, rows: &[Vec<Cell>]) -> String {
    draw_rows(output, &rows.iter().collect::<Vec<_>>())
}

fn draw_rows(output: &Output, rows: &[&Vec<Cell>]) -> String {
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| length(&cell.text))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let before_last: usize = widths
        .iter()
        .take(columns.saturating_sub(1))
        .map(|width| width + 2)
        .sum();
    let last_room = output.columns().saturating_sub(before_last).max(20);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == columns;
            let shown = if last {
                shorten(&cell.text, last_room)
            } else {
                cell.text.clone()
            };
            let padding = if last {
                0
            } else {
                widths[column] + 2 - length(&shown)
            };
            line.push_str(&cell.tone.map_or(shown.clone(), |tone| output.paint(tone, &shown)));
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text on one line of at most `room` characters; an ellipsis says that something is missing.
pub fn shorten(text: &str, room: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if length(&flat) <= room {
        return flat;
    }
    let kept: String = flat.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Output = Output {
        json: false,
        colour: false,
        terminal: false,
    };

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [
            vec!["a".into(), "long enough".into()],
            vec!["wider".into(), "x".into()],
        ];
        assert_eq!(
            draw(&PLAIN, &["ID", "TEXT"], &rows),
            "ID     TEXT\na      long enough\nwider  x\n"
        );
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let colour = Output {
            colour: true,
            ..PLAIN
        };
        let rows = [vec![Cell::toned("ok", Some(Tone::Good)), "x".into()]];
        let drawn = draw_plain(&colour, &rows);
        assert_eq!(drawn, "\u{1b}[32mok\u{1b}[0m  x\n");
    }

    #[test]
    fn text_is_cut_at_characters_not_bytes() {
        assert_eq!(shorten("größer\nals  gedacht", 8), "größer…");
        assert_eq!(shorten("größer\nals", 10), "größer als");
    }
}
