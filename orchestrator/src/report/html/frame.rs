//! The frame of a plot: axes, grid, and paths through points within it.
//!
//! What is drawn inside lives with each figure.

use std::fmt::Write;

use super::{
    markup::{at, escape},
    scale::Scale,
};

/// The place of a plot in its drawing, with a scale for each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Frame {
    /// A plot in a drawing of half the page's width: x from zero to `x_high`, y from zero to a round value above `y_high`.
    pub(super) fn half(x_high: f64, y_high: f64) -> Self {
        Self::sized(HALF_WIDTH, HALF_HEIGHT, x_high, y_high)
    }

    /// A plot in a drawing of the page's width.
    pub(super) fn whole(height: f64, x_high: f64, y_high: f64) -> Self {
        Self::sized(WHOLE_WIDTH, height, x_high, y_high)
    }

    fn sized(width: f64, height: f64, x_high: f64, y_high: f64) -> Self {
        let x = Scale::new(0.0, x_high, LEFT, width - RIGHT);
        let y = Scale::from_zero(y_high, height - BOTTOM, TOP);
        Self { x, y, width, height }
    }

    /// Grid, ticks and names of both axes.
    pub(super) fn axes(&self, x_name: &str, y_name: &str) -> String {
        let ((left, right), (bottom, top)) = (self.x.places(), self.y.places());
        let mut out = String::from("<g class=\"axis\">");
        for (value, text) in self.y.ticks() {
            let y = at(self.y.at(value));
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{} {y}H{}\"/><text x=\"{}\" y=\"{y}\" dy=\".32em\" text-anchor=\"end\">{text}</text>",
                at(left),
                at(right),
                at(left - 6.0)
            );
        }
        for (value, text) in self.x.ticks() {
            let x = at(self.x.at(value));
            let _ = write!(
                out,
                "<path class=\"tick\" d=\"M{x} {}v5\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                at(bottom),
                at(bottom + 18.0)
            );
        }
        let _ = write!(out, "<path class=\"base\" d=\"M{} {}H{}\"/>", at(left), at(bottom), at(right));
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            at(right),
            at(bottom + 34.0),
            escape(x_name)
        );
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text></g>",
            at(left - 40.0),
            at(top - 12.0),
            escape(y_name)
        );
        out
    }

    /// The path of a line through `points`.
    pub(super) fn line(&self, points: &[(f64, f64)]) -> String {
        self.path(points, |out, _, x, y| {
            let _ = write!(out, "{x} {y}");
        })
    }

    /// The path of stairs through `points`: each value holds until the next.
    pub(super) fn stairs(&self, points: &[(f64, f64)]) -> String {
        self.path(points, |out, is_first, x, y| {
            if is_first {
                let _ = write!(out, "{x} {y}");
            } else {
                let _ = write!(out, "H{x}V{y}");
            }
        })
    }

    /// The path around what lies between two lines over the same places.
    pub(super) fn area(&self, upper: &[(f64, f64)], lower: &[(f64, f64)]) -> String {
        let back: Vec<(f64, f64)> = lower.iter().rev().copied().collect();
        let ahead = self.line(upper);
        let back = self.line(&back);
        format!("{ahead}L{}Z", back.trim_start_matches('M'))
    }

    /// A dashed vertical line at `value` with words left of it, so many lines down.
    pub(super) fn marker(&self, value: f64, class: &str, words: &str, row: usize) -> String {
        let ((left, _), (bottom, top)) = (self.x.places(), self.y.places());
        let x = self.x.at(value);
        // What is bounded happens right of its bound, so words are mostly free of lines on the left.
        let (anchor, shift) = if x < left + 110.0 { ("start", 5.0) } else { ("end", -5.0) };
        format!(
            "<g class=\"{class}\"><path class=\"bound\" d=\"M{x} {}V{}\"/><text class=\"label\" x=\"{}\" y=\"{}\" \
             text-anchor=\"{anchor}\">{}</text></g>\n",
            at(bottom),
            at(top),
            at(x + shift),
            at(top + 40.0 + row as f64 * 16.0),
            escape(words),
            x = at(x),
        )
    }

    /// Leaves out points that fall on the place of their predecessor, but for the last.
    fn path(&self, points: &[(f64, f64)], mut write: impl FnMut(&mut String, bool, String, String)) -> String {
        let mut out = String::from("M");
        let mut last = f64::NEG_INFINITY;
        for (index, (x, y)) in points.iter().enumerate() {
            let x = self.x.at(*x);
            let is_last = index + 1 == points.len();
            let hides_next = points.get(index + 1).is_some_and(|(next, _)| (self.x.at(*next) - last).abs() < CLOSE);
            if index > 0 && !is_last && (x - last).abs() < CLOSE && hides_next {
                continue;
            }
            last = x;
            if index > 0 {
                out.push(' ');
            }
            write(&mut out, index == 0, at(x), at(self.y.at(*y)));
        }
        out
    }
}

/// Vertical lines at round values of `x` through what lies between these heights, with their texts and a name below: for
/// figures whose rows have no scale.
pub(super) fn ruler(x: &Scale, (top, bottom): (f64, f64), name: &str) -> String {
    let mut out = String::from("<g class=\"axis\">");
    for (value, text) in x.ticks() {
        let place = at(x.at(value));
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{place} {}V{}\"/><text x=\"{place}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            at(top),
            at(bottom),
            at(bottom + 17.0)
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text></g>",
        at(x.places().1),
        at(bottom + 33.0),
        escape(name)
    );
    out
}

pub(super) const WHOLE_WIDTH: f64 = 1160.0;
pub(super) const HALF_WIDTH: f64 = 560.0;
const HALF_HEIGHT: f64 = 320.0;
/// Margins of a plot within its drawing: room for ticks and names.
pub(super) const LEFT: f64 = 48.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 28.0;
pub(super) const BOTTOM: f64 = 42.0;
/// Points closer than this, in units of the drawing, are one to the eye.
const CLOSE: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stairs_hold_each_value_until_the_next() {
        let frame = Frame::half(10.0, 10.0);
        let (x0, y0) = (at(frame.x.at(0.0)), at(frame.y.at(0.0)));
        let (x5, y4) = (at(frame.x.at(5.0)), at(frame.y.at(4.0)));
        assert_eq!(frame.stairs(&[(0.0, 0.0), (5.0, 4.0)]), format!("M{x0} {y0} H{x5}V{y4}"));
    }

    #[test]
    fn many_points_at_one_place_become_few() {
        let frame = Frame::half(10.0, 1e6);
        let points: Vec<(f64, f64)> = (0..100_000).map(|n| (f64::from(n) / 1e4, f64::from(n))).collect();
        let path = frame.line(&points);
        assert!(path.len() < 40_000, "{}", path.len());
        assert!(path.ends_with(&at(frame.y.at(99_999.0))), "the last point is always there");
    }

    #[test]
    fn axes_name_and_count_what_they_show() {
        let axes = Frame::half(20.0, 1.0).axes("seconds <s>", "share");
        assert!(
            axes.contains("seconds &lt;s&gt;") && axes.contains(">0.4</text>") && axes.contains(">15</text>"),
            "{axes}"
        );
    }
}
