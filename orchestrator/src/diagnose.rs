//! Problems found in a file: where, what, and what to do about it, all of them at once.
//!
//! Finding them lives with the readers (`topology/`), this file only holds and renders them.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// Path of the value in the file, such as `links.home.loss`; empty for the file as a whole.
    pub path: String,
    /// The offending text.
    pub text: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Everything that is wrong with one file; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Problems {
    /// Name of the file as its reader was given it.
    pub file: String,
    /// The file's text, for the snippets.
    source: Arc<str>,
    /// The problems in order of place, each once; at most [`PROBLEMS_MAX`].
    pub items: Vec<Problem>,
    /// How many more were found and left out.
    pub left_out: usize,
}

/// Whether the rendered text may contain terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI escapes.
    On,
}

/// Most problems shown of one file; the rest is counted. More than a screenful or two helps nobody.
pub const PROBLEMS_MAX: usize = 50;

impl Problem {
    /// A problem without a hint; its path and offending text are filled in by [`Problems::new`].
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, path: String::new(), text: String::new(), message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Problems {
    /// Orders the problems of a file, drops repetitions and fills in the offending texts, and the paths with what
    /// `path` knows of a place.
    #[must_use]
    pub fn new(file: &str, source: Arc<str>, mut items: Vec<Problem>, path: impl Fn(Place) -> String) -> Self {
        items.sort();
        items.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let left_out = items.len().saturating_sub(PROBLEMS_MAX);
        items.truncate(PROBLEMS_MAX);
        for problem in &mut items {
            let range = snippet_range(&source, problem.place);
            problem.text = source.get(range).unwrap_or_default().to_owned();
            problem.path = path(problem.place);
        }
        Self { file: file.to_owned(), source, items, left_out }
    }

    /// Renders every problem with the lines it is about.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Off => Renderer::plain(),
            Colour::On => Renderer::styled(),
        };
        let mut out = String::new();
        for problem in &self.items {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        let count = self.items.len() + self.left_out;
        let shown = if self.left_out == 0 { String::new() } else { format!(", {} of them shown", self.items.len()) };
        let plural = if count == 1 { "problem" } else { "problems" };
        out.push_str(&format!("{}: {count} {plural}{shown}; nothing was created\n", self.file));
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let label = if problem.path.is_empty() { None } else { Some(problem.path.as_str()) };
        let range = snippet_range(&self.source, problem.place);
        let snippet = Snippet::source(&*self.source)
            .path(self.file.as_str())
            .annotation(AnnotationKind::Primary.span(range).label(label));
        let group = Level::ERROR.primary_title(problem.message.as_str()).element(snippet);
        match &problem.hint {
            Some(hint) => group.element(Level::HELP.message(hint.as_str())),
            None => group,
        }
    }
}

/// One line per problem: `file:line:column: message (hint)`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.items.iter().enumerate() {
            let Place { line, column, .. } = problem.place;
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{line}:{column}: {}", self.file, problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, " ({hint})")?;
            }
        }
        if self.left_out > 0 {
            write!(f, "\n{}: {} more", self.file, self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Problems {}

/// The bytes a snippet marks: the place, cut at the end of its first line and moved onto character boundaries.
fn snippet_range(source: &str, place: Place) -> Range<usize> {
    let start = source.floor_char_boundary(place.start.min(source.len()));
    let end = source.floor_char_boundary(place.end.min(source.len())).max(start);
    let line = source[start..end].find(['\n', '\r']).map_or(end, |newline| start + newline);
    start..line
}

/// The known name nearest to a mistyped one, if any is near enough to be meant.
///
/// Near means: equal but for case and separators, or at most a third of its characters to change, insert, drop or
/// swap with the neighbour.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '.'], "-");
    let wrong = plain(wrong);
    let most = (wrong.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&wrong, &plain(name)), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// "did you mean `x`?", or the list of what exists.
#[must_use]
pub fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    if let Some(name) = nearest(wrong, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    // A dozen fits on a line or two; longer lists help less than the documentation.
    let listed: Vec<_> = known.iter().take(12).map(|name| format!("`{name}`")).collect();
    let more = if known.len() > listed.len() { ", …" } else { "" };
    match listed.as_slice() {
        [] => None,
        [only] => Some(format!("there is only {only}")),
        several => Some(format!("one of {}{more}", several.join(", "))),
    }
}

/// Edits between two words, a swap of neighbours counting once (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    // Longer words than any key or name here are never meant as one of them; this bounds the table.
    const LENGTH_MAX: usize = 80;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LENGTH_MAX || b.len() > LENGTH_MAX {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{Place, Problem, Problems, nearest, suggestion};

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        assert_eq!(nearest("hoem", ["home", "server"]), Some("home"));
        assert_eq!(nearest("Client_Server", ["client-server", "swarm"]), Some("client-server"));
        assert_eq!(nearest("banana", ["home", "server"]), None);
        assert_eq!(suggestion("banana", ["home", "server"]).unwrap(), "one of `home`, `server`");
    }

    #[test]
    fn problems_are_ordered_deduplicated_and_quote_their_text() {
        let place = |line, start, end| Place { line, column: 1, start, end };
        let problem = |place| Problem::new(place, "is wrong");
        let items = vec![problem(place(2, 4, 7)), problem(place(1, 0, 3)), problem(place(2, 4, 7))];
        let problems = Problems::new("a.yaml", "one\ntwo\n".into(), items, |_| String::new());
        let texts: Vec<_> = problems.items.iter().map(|problem| problem.text.as_str()).collect();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(problems.to_string(), "a.yaml:1:1: is wrong\na.yaml:2:1: is wrong");
    }
}
