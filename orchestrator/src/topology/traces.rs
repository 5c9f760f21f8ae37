//! The form of `trace:`, and of the files it names: how a direction's figures change over time.
//!
//! A trace file is text of comma-separated values whose first line names the columns: `time` and `rate`, and `delay` and
//! `loss` where they change too. Every value has its unit; empty lines and lines that begin with `#` are skipped. The
//! files themselves are read by whoever reads the topology; here is only what they hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{
    keys::{Form, Key, optional, required},
    reader::{Reader, Written},
    tree::{Node, Value},
};
use crate::{
    diagnose::{Problem, suggestion},
    plan::{Trace, TracePoint},
    units::{QuantityError, Rate, Share, Span},
};

/// Texts of the files that a topology names, or why they could not be read, by the names it gives them.
pub(crate) type Attached = BTreeMap<String, Result<String, String>>;

pub(super) const FORM: Form = Form::Either(&[Form::Text, Form::Section(KEYS)]);

const KEYS: &[Key] = &[
    required("file", Form::Text, "a file of comma-separated values, relative to the topology file"),
    optional(
        "repeat",
        Form::Span,
        "the trace begins anew after this time, later than its last line (default: its last line stays in force)",
    ),
];

/// Largest trace file; its points are bounded below.
pub const BYTES_MAX: u64 = 1 << 20;
/// Most points of a trace: more than a quarter of an hour at ten a second. All of them are in the plan.
const POINTS_MAX: usize = 10_000;
/// Most problems shown of one trace. A wrong unit is wrong on every line.
const PROBLEMS_MAX: usize = 5;

/// Every trace file that a tree names, swept values included.
pub(super) fn mentioned(tree: &Node) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    collect(tree, &mut names);
    names
}

fn collect<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Map(entries) => {
            for entry in entries {
                match entry.key.strip_suffix(".file").unwrap_or(&entry.key).rsplit('.').next() {
                    Some("trace") => collect_files(&entry.value, names),
                    _ => collect(&entry.value, names),
                }
            }
        }
    }
}

/// The files that the value of a key `trace`, or a sweep's list of such values, names.
fn collect_files<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Scalar(scalar) => {
            names.insert(&scalar.text);
        }
        Value::List(items) => items.iter().for_each(|item| collect_files(item, names)),
        Value::Map(entries) => {
            let files = entries.iter().filter(|entry| entry.key == "file");
            files.for_each(|entry| collect_files(&entry.value, names));
        }
    }
}

/// Reads a trace: the name of its file, or a map with it.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Written<Trace>> {
    let (file, repeat) = if let Value::Map(_) = node.value {
        let section = reader.section(node, "`trace`", node.place, KEYS)?;
        let file = section.value("file").and_then(|node| reader.text(node, "the name of a trace file"));
        let repeat = section.value("repeat").map(|node| reader.quantity::<Span>(node));
        (file?, repeat.map_or(Some(None), |repeat| repeat.map(Some))?)
    } else {
        (reader.text(node, "the name of a trace file")?, None)
    };
    let points = read_file(reader, &file, parse)?;
    let last = points.last().map_or(Span::default(), |point| point.at);
    if let Some(repeat) = repeat.filter(|repeat| repeat.value <= last) {
        let message = format!("the trace is repeated after {}, before its last line at {last}", repeat.value);
        reader.problem(Problem::new(repeat.place, message).hint(format!("more than {last}")));
        return None;
    }
    Some(Written { value: Trace { repeat: repeat.map(|repeat| repeat.value), points }, place: file.place })
}

/// Reads a file of lengths, one a line: their seconds, all above zero.
pub(super) fn read_lengths(reader: &mut Reader, file: &Written<String>) -> Option<Vec<f64>> {
    read_file(reader, file, parse_lengths)
}

fn read_file<T>(
    reader: &mut Reader,
    file: &Written<String>,
    parse: impl Fn(&str) -> Result<Vec<T>, Vec<Wrong>>,
) -> Option<Vec<T>> {
    let attached = reader.attached.clone();
    match attached.get(&file.value) {
        Some(Ok(text)) => match parse(text) {
            Ok(points) => return Some(points),
            Err(wrong) => {
                for Wrong { line, message, hint } in wrong {
                    let problem = Problem::new(file.place, format!("`{}`, line {line}: {message}", file.value));
                    reader.problem(Problem { hint, ..problem });
                }
            }
        },
        Some(Err(why)) => {
            let problem = Problem::new(file.place, format!("cannot read the trace `{}`: {why}", file.value));
            reader.problem(problem.hint("its path is relative to the topology file"));
        }
        None => {
            let problem = Problem::new(file.place, format!("the trace `{}` was not read", file.value));
            reader.problem(problem.hint("a trace is named in the topology file itself"));
        }
    }
    None
}

/// Something wrong with a line of a trace.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    message: String,
    hint: Option<String>,
}

impl Wrong {
    fn new(line: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line, message: message.into(), hint: Some(hint.into()) }
    }
}

const COLUMNS: &[&str] = &["time", "rate", "delay", "loss"];

/// Reads a whole file, or tells the first few things that are wrong with it.
fn parse(text: &str) -> Result<Vec<TracePoint>, Vec<Wrong>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let Some((first, header)) = lines.next() else {
        return Err(vec![Wrong::new(1, "there is nothing in it", "the first line names the columns: time,rate")]);
    };
    let columns = parse_header(first, header)?;
    let (mut points, mut wrong) = (Vec::<TracePoint>::new(), Vec::new());
    for (number, line) in lines {
        match parse_line(&columns, number, line) {
            Ok(point) => match points.last().filter(|before| before.at >= point.at) {
                Some(before) => {
                    let message = format!("{} does not come after {}", point.at, before.at);
                    wrong.push(Wrong::new(number, message, "times increase from line to line"));
                }
                None => points.push(point),
            },
            Err(more) => wrong.extend(more),
        }
        if points.len() > POINTS_MAX {
            let message = format!("more than {POINTS_MAX} lines");
            wrong.push(Wrong::new(number, message, "take coarser steps, or a shorter trace and `repeat`"));
        }
        if points.len() > POINTS_MAX || wrong.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if points.is_empty() && wrong.is_empty() {
        wrong.push(Wrong::new(first, "no line follows the names of the columns", "such as 0s,10mbit"));
    }
    wrong.truncate(PROBLEMS_MAX);
    if wrong.is_empty() { Ok(points) } else { Err(wrong) }
}

fn parse_lengths(text: &str) -> Result<Vec<f64>, Vec<Wrong>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let (mut lengths, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        match line.parse::<Span>() {
            Ok(length) if !length.0.is_zero() => lengths.push(length.seconds()),
            Ok(_) => wrong.push(Wrong::new(number, "a length of nothing", "at least 1ms")),
            Err(error) => wrong.push(Wrong::new(number, error.message, error.hint)),
        }
        if lengths.len() > POINTS_MAX {
            wrong.push(Wrong::new(number, format!("more than {POINTS_MAX} lines"), "take some of them by chance"));
            break;
        }
    }
    if lengths.is_empty() && wrong.is_empty() {
        wrong.push(Wrong::new(1, "there is nothing in it", "one length a line, such as 95s"));
    }
    wrong.truncate(PROBLEMS_MAX);
    if wrong.is_empty() { Ok(lengths) } else { Err(wrong) }
}

/// Which column of a line is which.
fn parse_header(line: usize, header: &str) -> Result<Vec<&str>, Vec<Wrong>> {
    let columns: Vec<&str> = header.split(',').map(str::trim).collect();
    let mut wrong = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(column) {
            let hint = suggestion(column, COLUMNS.iter().copied());
            wrong.push(Wrong { line, message: format!("a trace has no column `{column}`"), hint });
        } else if columns[..index].contains(column) {
            wrong.push(Wrong::new(line, format!("column `{column}` is there twice"), "keep one of them"));
        }
    }
    for column in ["time", "rate"].into_iter().filter(|column| !columns.contains(column)) {
        wrong.push(Wrong::new(line, format!("the column `{column}` is missing"), "the first line names the columns"));
    }
    if wrong.is_empty() { Ok(columns) } else { Err(wrong) }
}

fn parse_line(columns: &[&str], line: usize, text: &str) -> Result<TracePoint, Vec<Wrong>> {
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    if cells.len() != columns.len() {
        let message = format!("{} values for {} columns", cells.len(), columns.len());
        return Err(vec![Wrong::new(line, message, format!("as the first line says: {}", columns.join(",")))]);
    }
    let cell = |name: &str| columns.iter().position(|column| *column == name).map(|index| cells[index]);
    let mut wrong = Vec::new();
    let at = quantity::<Span>(&mut wrong, line, cell("time"));
    let rate = quantity::<Rate>(&mut wrong, line, cell("rate"));
    let delay = quantity::<Span>(&mut wrong, line, cell("delay"));
    let loss = quantity::<Share>(&mut wrong, line, cell("loss"));
    if loss == Some(Share::WHOLE) {
        wrong.push(Wrong::new(line, "a loss of 100% lets nothing through", "write a rate of 0kbit for an outage"));
    }
    match (at, rate) {
        (Some(at), Some(rate)) if wrong.is_empty() => Ok(TracePoint { at, rate, delay, loss }),
        _ => Err(wrong),
    }
}

fn quantity<T: FromStr<Err = QuantityError>>(wrong: &mut Vec<Wrong>, line: usize, cell: Option<&str>) -> Option<T> {
    match cell?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            wrong.push(Wrong::new(line, error.message, error.hint));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_units_and_each_wrong_line_is_named() {
        assert_eq!(parse_lengths("# sessions\n95s\n\n1.5m\n").expect("good lengths"), [95.0, 90.0]);
        let wrong = parse_lengths("12\n0s\n5s\n").expect_err("a bare number and nothing");
        assert_eq!(wrong.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(parse_lengths("").expect_err("nothing")[0].message, "there is nothing in it");
    }

    #[test]
    fn a_trace_may_have_its_columns_in_any_order_and_comments_between() {
        let text = "# from a train\nrate, time, loss\n10mbit, 0s, 0%\n\n# tunnel\n0kbit, 1.5s, 2%\n";
        let points = parse(text).expect("a good trace");
        let second = "1.5s".parse().expect("a span");
        assert_eq!(points.len(), 2);
        assert_eq!(points[1], TracePoint { at: second, rate: Rate(0), delay: None, loss: Some(Share(20_000_000)) });
    }

    #[test]
    fn every_wrong_line_is_told_with_its_number() {
        let text = "time,rate,delay\n0s,10mbit,1ms\n0s,10mbit,1ms\n2s,10,1\n3s,1mbit\n";
        let wrong = parse(text).expect_err("four things are wrong");
        let told: Vec<(usize, &str)> = wrong.iter().map(|it| (it.line, it.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (3, "0s does not come after 0s"),
                (4, "`10` has no unit"),
                (4, "`1` has no unit"),
                (5, "2 values for 3 columns"),
            ]
        );
    }

    #[test]
    fn a_trace_names_its_columns_and_has_a_line() {
        let messages = |text: &str| -> Vec<String> {
            parse(text).expect_err("a bad trace").into_iter().map(|wrong| wrong.message).collect()
        };
        assert_eq!(messages(""), ["there is nothing in it"]);
        assert_eq!(messages("time,rate\n"), ["no line follows the names of the columns"]);
        assert_eq!(
            messages("time,speed,time\n")[..2],
            ["a trace has no column `speed`", "column `time` is there twice"]
        );
        let endless: String = (0..20_000).map(|second| format!("{second}ms,1mbit\n")).collect();
        assert_eq!(messages(&format!("time,rate\n{endless}")), ["more than 10000 lines"]);
        assert_eq!(messages(&format!("time,rate\n{}", "x,y\n".repeat(100))).len(), PROBLEMS_MAX);
    }
}
