//! Pieces of HTML: figures of coordinates, lists of names, tables.
//!
//! Everything that comes from a topology or a file passes through [`escape`] on its way into a page. How a whole figure
//! is put together lives in `figure`, the page in `page`.

use std::fmt::Write;

pub(super) use crate::report::escape::escape;

/// A coordinate with one digit behind the point, and none where it is zero.
pub(super) fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.into(),
        None => text,
    }
}

/// `3 peers`, `1 peer`.
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Names in a row, cut off where it gets long.
pub(super) fn names(all: &[String]) -> String {
    let mut text = all.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > NAMES_MAX {
        let _ = write!(text, " and {} more", all.len() - NAMES_MAX);
    }
    text
}

/// A table of texts; everything in it is escaped when it is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How many of the first columns hold words, aligned to the left; figures are aligned to the right.
    words: usize,
}

impl Table {
    /// A table whose first `words` columns are text and all others figures.
    pub(super) fn new(caption: &str, header: &[&str], words: usize) -> Self {
        let header = header.iter().map(ToString::to_string).collect();
        Self { caption: caption.to_owned(), header, rows: Vec::new(), words }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as HTML, at most [`ROWS_MAX`] rows of it; the caption says when some are left out.
    pub(super) fn html(&self) -> String {
        let mut caption = escape(&self.caption);
        if self.rows.len() > ROWS_MAX {
            let _ = write!(caption, " (the first {ROWS_MAX} of {} rows)", self.rows.len());
        }
        let mut out = format!("<div class=\"scroll\"><table><caption>{caption}</caption><thead><tr>");
        for (index, name) in self.header.iter().enumerate() {
            let _ = write!(out, "<th scope=\"col\"{}>{}</th>", self.class(index), escape(name));
        }
        out.push_str("</tr></thead><tbody>\n");
        for row in self.rows.iter().take(ROWS_MAX) {
            out.push_str("<tr>");
            for (index, cell) in row.iter().enumerate() {
                let (tag, scope) = if index == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                let _ = write!(out, "<{tag}{scope}{}>{}</{tag}>", self.class(index), escape(cell));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        out
    }

    fn class(&self, column: usize) -> &'static str {
        if column < self.words { "" } else { " class=\"n\"" }
    }
}

/// Names listed in one sentence.
const NAMES_MAX: usize = 12;
/// Rows of a table; beyond are files to be read by programs.
const ROWS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_as_short_as_they_can_be() {
        assert_eq!([0.0, -0.01, 12.0, 12.34, -3.96].map(at), ["0", "0", "12", "12.3", "-4"]);
    }

    #[test]
    fn cells_of_a_table_are_escaped_and_aligned() {
        let mut table = Table::new("a < b", &["peer", "s"], 1);
        table.row(["<b>".to_owned(), "1".to_owned()]);
        let html = table.html();
        assert!(html.contains("<caption>a &lt; b</caption>"), "{html}");
        assert!(html.contains("<th scope=\"row\">&lt;b&gt;</th><td class=\"n\">1</td>"), "{html}");
    }

    #[test]
    fn long_tables_and_lists_say_what_they_leave_out() {
        let mut table = Table::new("many", &["n"], 0);
        (0..=ROWS_MAX).for_each(|n| table.row([n.to_string()]));
        assert!(table.html().contains("the first 1000 of 1001 rows"));
        let many: Vec<String> = (0..14).map(|n| n.to_string()).collect();
        assert!(names(&many).ends_with("10, 11 and 2 more"));
    }
}
