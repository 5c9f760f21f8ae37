//! Text that stands in HTML and XML.

/// `text` as it may stand between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Characters that no document may hold, escaped or not.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_can_end_the_place_it_stands_in() {
        let text = escape("<script>\"a\" & 'b'\u{1b}[0m</script>");
        assert_eq!(text, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\u{fffd}[0m&lt;/script&gt;");
    }

    #[test]
    fn what_no_document_may_hold_is_replaced() {
        assert_eq!(escape("a\u{fffe}b\u{ffff}c\u{fffd}\0\n"), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\n");
    }
}
