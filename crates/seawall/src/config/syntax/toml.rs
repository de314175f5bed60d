//! TOML, by the crate `toml`.

use super::{DEEPEST, Lines};
use crate::config::{
    Place,
    problem::{Problem, ProblemKind, Problems},
    tree::{Member, Node, Value},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(super) fn parse(text: &str, lines: &Lines<'_>, problems: &mut Problems) -> Option<Node> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = !errors.is_empty();
    for error in errors {
        let span = error.span().unwrap_or_default();
        let place = lines.place(span.start);
        if error.message() == "duplicate key" {
            let key = lines.text.get(span).unwrap_or_default();
            let message = format!("`{key}` is given twice");
            problems.add(Problem::new(ProblemKind::Conflict, &place, message).field(key));
            continue;
        }
        problems.add(lines.syntax(&place, error.message().trim().replace('\n', ", ")));
    }
    // What stands behind a mistake may have lost its place: only the mistakes are sure.
    if broken {
        return None;
    }
    let place = lines.place(0);
    Some(Node::holding(table(root.into_inner(), lines, problems, 0), place))
}

fn table(table: DeTable<'_>, lines: &Lines<'_>, problems: &mut Problems, depth: usize) -> Value {
    let mut members: Vec<_> = table.into_iter().collect();
    // The parser sorts by name; problems and lists go by the order of the file.
    members.sort_by_key(|(key, _)| key.span().start);
    let members = members.into_iter().map(|(key, value)| {
        let place = lines.place(key.span().start);
        // A table that is only named by its parts has no place of its own.
        let node = match value.get_ref() {
            DeValue::Table(_) => node(value, Some(&place), lines, problems, depth + 1),
            _ => node(value, None, lines, problems, depth + 1),
        };
        Member { key: key.into_inner().into(), place, node }
    });
    Value::Table(members.collect())
}

fn node(
    value: Spanned<DeValue<'_>>,
    place: Option<&Place>,
    lines: &Lines<'_>,
    problems: &mut Problems,
    depth: usize,
) -> Node {
    let span = value.span();
    let place = place.cloned().unwrap_or_else(|| lines.place(span.start));
    if depth > DEEPEST {
        problems.add(lines.too_deep(&place));
        return Node::holding(Value::Null, place);
    }
    let written = lines.text.get(span).unwrap_or_default();
    match value.into_inner() {
        DeValue::String(text) => Node::scalar(Value::Text(text.as_ref().into()), place, &text),
        DeValue::Integer(number) => {
            let whole = i128::from_str_radix(number.as_str(), number.radix());
            let value = whole.map_or(Value::Number(f64::INFINITY), Value::Integer);
            Node::scalar(value, place, written)
        }
        DeValue::Float(number) => {
            let value = Value::Number(number.as_str().parse().unwrap_or(f64::NAN));
            Node::scalar(value, place, written)
        }
        DeValue::Boolean(flag) => Node::scalar(Value::Flag(flag), place, written),
        DeValue::Datetime(_) => Node::scalar(
            Value::Doubtful("a date: put it in quotes if text is meant"),
            place,
            written,
        ),
        DeValue::Array(list) => {
            let list = list.into_iter().map(|value| node(value, None, lines, problems, depth + 1));
            Node::holding(Value::List(list.collect()), place)
        }
        DeValue::Table(inner) => Node::holding(table(inner, lines, problems, depth), place),
    }
}
