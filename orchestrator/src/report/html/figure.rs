//! A figure on the page: a drawing with a name, words for those who do not see it, a legend, and its table.

use std::fmt::Write;

use super::markup::{Table, at, escape};

/// A finished figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// Unique on the page.
    pub(super) id: String,
    pub(super) title: String,
    /// What there is to see, in a sentence or two, for those who cannot.
    pub(super) description: String,
    /// What it shows and how to read it, below the title; plain text.
    pub(super) caption: String,
    pub(super) legend: Vec<Key>,
    /// The inside of the drawing, as SVG.
    pub(super) drawing: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) table: Option<Table>,
}

/// An entry of a legend.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Class of the colour: `s0`, `l3`, …
    pub(super) class: String,
    pub(super) shape: Shape,
    pub(super) words: String,
}

/// How an entry of a legend is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Line,
    Dashes,
    Area,
    Dot,
}

impl Figure {
    /// The figure as HTML.
    pub(super) fn html(&self) -> String {
        let breadth = if self.width > BROAD { "whole" } else { "half" };
        let (id, title) = (escape(&self.id), escape(&self.title));
        let mut out = format!("<figure id=\"{id}\" class=\"{breadth}\"><figcaption><h3>{title}</h3>");
        if !self.caption.is_empty() {
            let _ = write!(out, "<p>{}</p>", escape(&self.caption));
        }
        out.push_str("</figcaption>");
        self.legend(&mut out);
        let _ = write!(
            out,
            "<div class=\"drawing\"><svg role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" viewBox=\"0 0 {} {}\">\n\
             <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{}</desc>\n{}</svg></div>\n",
            at(self.width),
            at(self.height),
            escape(&self.description),
            self.drawing
        );
        if let Some(table) = self.table.as_ref().filter(|table| !table.is_empty()) {
            let _ = write!(
                out,
                "<details><summary>The same as a table<span class=\"hidden\">: {title}</span></summary>{}</details>",
                table.html()
            );
        }
        out.push_str("</figure>\n");
        out
    }

    fn legend(&self, out: &mut String) {
        if self.legend.is_empty() {
            return;
        }
        out.push_str("<ul class=\"legend\">");
        for key in &self.legend {
            let shape = match key.shape {
                Shape::Line => "<path class=\"line\" d=\"M1 6H23\"/>",
                Shape::Dashes => "<path class=\"bound\" d=\"M1 6H23\"/>",
                Shape::Area => "<rect class=\"fill\" x=\"4\" width=\"16\" height=\"12\"/>",
                Shape::Dot => "<circle class=\"fill\" cx=\"12\" cy=\"6\" r=\"4.5\"/>",
            };
            let _ = write!(
                out,
                "<li><svg class=\"{}\" width=\"24\" height=\"12\" aria-hidden=\"true\">{shape}</svg> {}</li>",
                escape(&key.class),
                escape(&key.words)
            );
        }
        out.push_str("</ul>");
    }
}

impl Key {
    /// An entry of series number `series`.
    pub(super) fn series(series: usize, shape: Shape, words: &str) -> Self {
        Self { class: series_class(series), shape, words: words.to_owned() }
    }
}

/// The class that gives series number `series` its colour; colours come again after [`SERIES`].
pub(super) fn series_class(series: usize) -> String {
    format!("s{}", series % SERIES)
}

/// Colours of series in `page.css`.
pub(super) const SERIES: usize = 6;
/// Drawings wider than this take the page's whole width.
const BROAD: f64 = 700.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_names_itself_to_those_who_do_not_see_it() {
        let figure = Figure {
            id: "a".into(),
            title: "Peers <3".into(),
            description: "They \"grow\".".into(),
            width: 10.0,
            height: 10.0,
            ..Figure::default()
        };
        let html = figure.html();
        assert!(html.contains("aria-labelledby=\"a-title a-desc\""), "{html}");
        assert!(html.contains("<title id=\"a-title\">Peers &lt;3</title>"), "{html}");
        assert!(html.contains("<desc id=\"a-desc\">They &quot;grow&quot;.</desc>"), "{html}");
    }
}
