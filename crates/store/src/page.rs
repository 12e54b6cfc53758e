//! Lists are read a page at a time.

use serde::Serialize;

/// Most items in a page.
pub const MAX_PAGE: u32 = 200;

/// Part of a list; serialises as the body of a list route: `{"items": […], "next": CURSOR or null}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Give this as `after` to read on; `None` when this was the last page.
    pub next: Option<String>,
}

/// How many rows to ask for to learn whether there is a next page: one more than wanted.
pub(crate) fn rows_wanted(limit: u32) -> i64 {
    i64::from(limit.clamp(1, MAX_PAGE)) + 1
}

impl<T> Page<T> {
    /// Cuts off the row that [`rows_wanted`] asked for on top; `cursor` names an item in the list.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let wanted = limit.clamp(1, MAX_PAGE) as usize;
        let more = items.len() > wanted;
        items.truncate(wanted);
        let next = if more { items.last().map(cursor) } else { None };
        Page { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_only_when_there_is_more() {
        let cursor = |n: &i32| n.to_string();
        assert_eq!(Page::cut(vec![1, 2, 3], 2, cursor).next.as_deref(), Some("2"));
        assert_eq!(Page::cut(vec![1, 2], 2, cursor).next, None);
        assert_eq!(Page::cut(Vec::new(), 2, cursor).next, None);
        assert_eq!(rows_wanted(0), 2);
        assert_eq!(rows_wanted(100_000), i64::from(MAX_PAGE) + 1);
    }
}
