//! The page around the figures: head, style, navigation, sections.

use std::fmt::Write;

use super::{figure::Figure, markup::escape};

/// A page as it grows.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    subtitle: String,
    badge: String,
    /// Ids and titles of the sections so far.
    sections: Vec<(String, String)>,
    body: String,
}

/// A word that says it all, in a colour that means the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Badge {
    pub(super) word: &'static str,
    pub(super) mood: Mood,
}

/// What a badge means to whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Doubtful,
    Bad,
    /// Neither: nothing has been decided.
    Open,
}

impl Page {
    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        Self {
            title: title.to_owned(),
            subtitle: subtitle.to_owned(),
            badge: String::new(),
            sections: Vec::new(),
            body: String::new(),
        }
    }

    /// Puts words of these moods beside the title.
    pub(super) fn badge(&mut self, badges: &[Badge]) {
        for badge in badges {
            let (class, sign) = match badge.mood {
                Mood::Good => ("good", "✓"),
                Mood::Doubtful => ("doubtful", "?"),
                Mood::Bad => ("bad", "✗"),
                Mood::Open => ("open", "●"),
            };
            let _ = write!(
                self.badge,
                "<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign} </span>{}</span>",
                escape(badge.word)
            );
        }
    }

    /// Begins a section; `lead` is its first paragraph.
    pub(super) fn section(&mut self, id: &str, title: &str, lead: &str) {
        if !self.sections.is_empty() {
            self.body.push_str("</section>\n");
        }
        self.sections.push((id.to_owned(), title.to_owned()));
        let _ = writeln!(
            self.body,
            "<section aria-labelledby=\"at-{0}\"><h2 id=\"at-{0}\">{1}</h2>",
            escape(id),
            escape(title)
        );
        if !lead.is_empty() {
            let _ = writeln!(self.body, "<p class=\"lead\">{}</p>", escape(lead));
        }
    }

    /// Puts figures side by side, as many as the width takes; a section without any says so.
    pub(super) fn figures(&mut self, figures: impl IntoIterator<Item = Option<Figure>>) {
        self.cards(figures.into_iter().flatten().map(|figure| figure.html()));
    }

    /// The same for anything that is HTML already.
    pub(super) fn cards(&mut self, cards: impl IntoIterator<Item = String>) {
        let cards: Vec<String> = cards.into_iter().collect();
        if cards.is_empty() {
            self.body.push_str("<p class=\"none\">Nothing was recorded that could be drawn here.</p>\n");
        } else {
            let _ = write!(self.body, "<div class=\"figures\">\n{}</div>\n", cards.concat());
        }
    }

    /// Adds HTML as it is; whoever makes it has escaped what it quotes.
    pub(super) fn raw(&mut self, html: &str) {
        self.body.push_str(html);
    }

    /// The whole page as a file of its own.
    pub(super) fn html(self) -> String {
        let drawn = self.drawn();
        let footer = "Made by <code>peerbed report --html</code> from the files of the run alone. No script, nothing loaded from \
                      elsewhere.";
        whole(&drawn, "", "default-src 'none'; style-src 'unsafe-inline'; img-src data:", footer)
    }

    /// The parts of the page that differ from run to run.
    pub(super) fn drawn(mut self) -> Drawn {
        if !self.sections.is_empty() {
            self.body.push_str("</section>\n");
        }
        let mut links = String::new();
        for (id, title) in &self.sections {
            let _ = write!(links, "<li><a href=\"#at-{}\">{}</a></li>", escape(id), escape(title));
        }
        let (title, subtitle) = (escape(&self.title), escape(&self.subtitle));
        let head = format!(
            "<h1>{title} {}</h1><p>{subtitle}</p><nav aria-label=\"Sections\"><ul>{links}</ul></nav>",
            self.badge
        );
        Drawn { title, head, main: self.body }
    }
}

/// What differs from run to run, as HTML.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) title: String,
    /// The inside of the header, below the brand.
    pub(crate) head: String,
    pub(crate) main: String,
}

/// A page that asks for its inside again and again, by the script at `/live.js`.
pub(super) fn live(drawn: &Drawn) -> String {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'self'; connect-src 'self'";
    let more = "<p><span id=\"live-state\" class=\"badge\" role=\"status\">live</span></p>\
                <script src=\"/live.js\" defer=\"defer\"></script>";
    whole(
        drawn,
        more,
        policy,
        "Made by <code>peerbed run --watch</code> as the run goes on; nothing is loaded from elsewhere.",
    )
}

fn whole(drawn: &Drawn, more: &str, policy: &str, footer: &str) -> String {
    let Drawn { title, head, main } = drawn;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{title} · peerbed</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the figures</a>\n\
         <header><p class=\"brand\">peerbed</p>{more}<div id=\"head\">{head}</div></header>\n<main id=\"main\">\n{main}</main>\n\
         <footer><p>{footer}</p></footer>\n</body>\n</html>\n"
    )
}

/// The style of all pages.
const CSS: &str = include_str!("page.css");
