//! A strict reader of HTML: every element is closed in its turn, every attribute quoted, every `<` and `&` escaped.

/// An opening tag and its attributes.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All opening tags of a page, in order.
///
/// # Panics
///
/// When the page is not well-formed; the message quotes the place.
pub(crate) fn tags(page: &str) -> Vec<Tag> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a page begins with its type");
    let (mut open, mut found): (Vec<String>, Vec<Tag>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let is_style = open.last().is_some_and(|name| name == "style");
        assert!(is_style || is_text(&rest[..at]), "unescaped text: {:.80}", &rest[..at]);
        let end = rest[at..].find('>').expect("a tag ends") + at;
        let inside = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in the wrong order before {:.80}", rest);
            continue;
        }
        let is_empty = inside.ends_with('/');
        let tag = tag(inside.trim_end_matches('/'));
        assert!(is_empty || !VOID.contains(&tag.name.as_str()), "<{}> is never closed", tag.name);
        if !is_empty {
            open.push(tag.name.clone());
        }
        found.push(tag);
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    found
}

/// Whether every `&` begins a reference and no `>` stands alone.
fn is_text(text: &str) -> bool {
    let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
    !text.contains('>') && text.split('&').skip(1).all(|after| known.iter().any(|name| after.starts_with(name)))
}

fn tag(inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "no name of an element: {name:?}");
    let mut attributes: Vec<(String, String)> = Vec::new();
    while let Some((name, after)) = rest.trim_start().split_once("=\"") {
        let (value, after) = after.split_once('"').expect("a value ends with a quote");
        assert!(is_text(value), "unescaped value: {value}");
        assert!(attributes.iter().all(|(known, _)| known != name), "twice: {name}");
        attributes.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    assert!(rest.trim().is_empty(), "an attribute without a quoted value in <{inside:.100}>");
    Tag { name: name.to_owned(), attributes }
}

const VOID: &[&str] = &["meta", "link", "br", "img", "input", "hr"];
