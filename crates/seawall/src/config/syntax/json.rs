//! JSON, by the crate `jsonc-parser` with everything beyond JSON switched off.

use super::{DEEPEST, Lines, Members};
use crate::config::{
    problem::Problems,
    tree::{Node, Value},
};
use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{self, ObjectPropName},
    common::Ranged,
    parse_to_ast,
};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &str, lines: &Lines<'_>, problems: &mut Problems) -> Option<Node> {
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => match parsed.value {
            Some(value) => Some(node(value, lines, problems, &mut String::new(), 0)),
            None => {
                let place = lines.place(text.len());
                problems.add(lines.syntax(&place, "the file is empty: no policies are `{}`"));
                None
            }
        },
        Err(error) => {
            let place = lines.place(error.range().start);
            let mut message = error.kind().to_string();
            // Messages begin with a small letter here.
            if let Some(first) = message.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            problems.add(lines.syntax(&place, message));
            None
        }
    }
}

fn node(
    value: ast::Value<'_>,
    lines: &Lines<'_>,
    problems: &mut Problems,
    path: &mut String,
    depth: usize,
) -> Node {
    let range = value.range();
    let place = lines.place(range.start);
    if depth > DEEPEST {
        problems.add(lines.too_deep(&place));
        return Node::holding(Value::Null, place);
    }
    let written = lines.text.get(range.start..range.end).unwrap_or_default();
    match value {
        ast::Value::NullKeyword(_) => Node::scalar(Value::Null, place, written),
        ast::Value::BooleanLit(flag) => Node::scalar(Value::Flag(flag.value), place, written),
        ast::Value::StringLit(text) => {
            Node::scalar(Value::Text(text.value.as_ref().into()), place, &text.value)
        }
        ast::Value::NumberLit(number) => {
            let whole = number.value.parse().map(Value::Integer);
            let value =
                whole.unwrap_or_else(|_| Value::Number(number.value.parse().unwrap_or(f64::NAN)));
            Node::scalar(value, place, written)
        }
        ast::Value::Array(list) => {
            let list = list.elements.into_iter();
            let list = list.map(|value| node(value, lines, problems, path, depth + 1)).collect();
            Node::holding(Value::List(list), place)
        }
        ast::Value::Object(object) => {
            let mut members = Members::default();
            for property in object.properties {
                let place = lines.place(property.range.start);
                let key = match &property.name {
                    ObjectPropName::String(text) => &*text.value,
                    ObjectPropName::Word(word) => word.value,
                };
                let outside = path.len();
                path.extend([key, "."]);
                let node = node(property.value, lines, problems, path, depth + 1);
                path.truncate(outside);
                members.add(path, key, place, node, problems);
            }
            Node::holding(Value::Table(members.table), place)
        }
    }
}
