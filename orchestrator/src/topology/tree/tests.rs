//! Places, spellings, aliases, and what is not YAML.

use super::{Entry, Kind, Node, Value, parse};

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Scalar(_) | Value::List(_) => panic!("not a map: {node:?}"),
    }
}

fn scalar(node: &Node) -> (&str, Kind) {
    match &node.value {
        Value::Scalar(scalar) => (&scalar.text, scalar.kind),
        Value::Map(_) | Value::List(_) => panic!("not a scalar: {node:?}"),
    }
}

#[test]
fn scalars_keep_their_spelling_and_place() {
    let text = "a: 1.20\nb: 0x10\nc: no\nd: \"20\"\ne: ~\nf: true\nü: {g: -5, h: [1e3]}\n";
    let tree = parse(text).unwrap();
    let read: Vec<_> = entries(&tree)[..6].iter().map(|entry| scalar(&entry.value)).collect();
    let kinds = [Kind::Number, Kind::Number, Kind::Text, Kind::Text, Kind::Nothing, Kind::Boolean];
    assert_eq!(read.iter().map(|(text, _)| *text).collect::<Vec<_>>(), ["1.20", "0x10", "no", "20", "~", "true"]);
    assert_eq!(read.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), kinds);
    let inner = &entries(&entries(&tree)[6].value)[0];
    assert_eq!((inner.key.as_str(), inner.place.line, inner.place.column), ("g", 7, 5));
    assert_eq!(&text[inner.place.start..inner.place.end], "g");
    assert_eq!(scalar(&inner.value), ("-5", Kind::Number));
    assert_eq!((inner.value.place.line, inner.value.place.column), (7, 8));
}

#[test]
fn a_key_written_twice_is_kept_twice_with_both_places() {
    let tree = parse("a: 1\nb: 2\na: 3\n").unwrap();
    let keys: Vec<_> = entries(&tree).iter().map(|entry| (entry.key.as_str(), entry.place.line)).collect();
    assert_eq!(keys, [("a", 1), ("b", 2), ("a", 3)]);
}

#[test]
fn merged_and_aliased_values_stand_where_they_are_written() {
    let tree =
        parse("x-base: &base {delay: 5ms, loss: 1%}\nhome: {<<: *base, loss: 2%}\nrate: &r 20\nb: *r\n").unwrap();
    let home = entries(&entries(&tree)[1].value);
    let mut read: Vec<_> =
        home.iter().map(|entry| (entry.key.as_str(), scalar(&entry.value).0, entry.value.place.line)).collect();
    read.sort_unstable();
    assert_eq!(read, [("delay", "5ms", 1), ("loss", "2%", 2)]);
    assert_eq!(scalar(&entries(&tree)[3].value), ("20", Kind::Number));
    assert_eq!(entries(&tree)[3].value.place.line, 3);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("x-0: &a0 [1,1,1,1,1,1,1,1,1]\n");
    for level in 1..9 {
        let before = level - 1;
        text += &format!("x-{level}: &a{level} [*a{before},*a{before},*a{before},*a{before},*a{before},*a{before}]\n");
    }
    let problem = parse(&text).unwrap_err();
    assert!(problem.message.contains("more than a topology needs"), "{problem:?}");
}

#[test]
fn what_is_not_yaml_is_refused_where_it_stands() {
    for (text, line) in [("a: [1, 2\nb: 3\n", 2), ("a:\n\t- b\n", 2), ("a: *nowhere\n", 1), ("--- a\n--- b\n", 2)] {
        let problem = parse(text).unwrap_err();
        assert!(problem.place.line == line, "{text:?}: {problem:?}");
    }
    parse("").unwrap();
}
