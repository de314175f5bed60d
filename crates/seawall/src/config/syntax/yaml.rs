//! YAML 1.2, by the events of the crate `saphyr-parser`. What they mean is decided here: plain words
//! that YAML 1.1 and 1.2 read differently are refused, and anchors may be used within bounds.

use super::{DEEPEST, Lines, Members};
use crate::config::{
    Place,
    problem::{Problem, Problems},
    tree::{Node, Value},
};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use std::{collections::HashMap, fmt::Write as _};

/// What aliases may add up to, in values and bytes of text: more is a bomb, not a policy.
const MOST_COPIED: usize = 100_000;

pub(super) fn parse(text: &str, lines: &Lines<'_>, problems: &mut Problems) -> Option<Node> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        lines,
        problems,
        anchors: HashMap::new(),
        copied: 0,
        path: String::new(),
    };
    match reader.document() {
        Ok(root) => root,
        Err(problem) => {
            problems.add(*problem);
            None
        }
    }
}

struct Reader<'a, 'p> {
    events: Parser<'a, StrInput<'a>>,
    lines: &'p Lines<'a>,
    problems: &'p mut Problems,
    /// What an anchor stands for; none while that is still being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    copied: usize,
    /// Of the table that is being read, with a point behind it.
    path: String,
}

type Step<T> = Result<T, Box<Problem>>;

impl<'a> Reader<'a, '_> {
    fn place(&self, marker: Marker) -> Place {
        self.lines.at(marker.line(), marker.col() + 1)
    }

    fn fail<T>(&self, place: &Place, message: impl Into<String>) -> Step<T> {
        Err(Box::new(self.lines.syntax(place, message)))
    }

    fn next(&mut self) -> Step<(Event<'a>, Span)> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => self.fail(&self.place(*error.marker()), error.info()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    let place = self.place(span.start);
                    return self
                        .fail(&place, "one file is one document: `---` begins a second one");
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?.0);
                }
                _ => {}
            }
        }
        if root.is_none() {
            let place = self.lines.place(0);
            return self.fail(&place, "the file is empty: no policies are `{}`");
        }
        Ok(root)
    }

    /// A value, and what it weighs.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Step<(Node, usize)> {
        let place = self.place(span.start);
        if depth > DEEPEST {
            return Err(self.lines.too_deep(&place).into());
        }
        let anchor = match &event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) => *anchor,
            _ => 0,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        let (node, weight) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                let weight = 1 + text.len();
                let value = match style {
                    ScalarStyle::Plain => plain(&text),
                    _ => Value::Text(text.as_ref().into()),
                };
                (Node::scalar(value, place, &text), weight)
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                let (mut list, mut weight) = (Vec::new(), 1);
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break (Node::holding(Value::List(list), place), weight);
                    }
                    let (node, more) = self.node(event, span, depth + 1)?;
                    list.push(node);
                    weight += more;
                }
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                self.mapping(place, depth)?
            }
            _ => return self.fail(&place, "a value is missing"),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Some((node.clone(), weight)));
            // The copy that is kept for its aliases is one, too: nested anchors would be quadratic.
            self.copied += weight;
            self.refuse_bombs(&node.place)?;
        }
        Ok((node, weight))
    }

    fn mapping(&mut self, place: Place, depth: usize) -> Step<(Node, usize)> {
        let (mut members, mut weight) = (Members::default(), 1);
        loop {
            let (event, span) = self.next()?;
            let at = self.place(span.start);
            let key = match event {
                Event::MappingEnd => {
                    return Ok((Node::holding(Value::Table(members.table), place), weight));
                }
                Event::Scalar(key, style, _, tag) => {
                    self.refuse_tag(tag.as_deref(), &at)?;
                    if key == "<<" && style == ScalarStyle::Plain {
                        return self.fail(
                            &at,
                            "`<<` is not of YAML 1.2: write `extends: ..` in its place",
                        );
                    }
                    // Keys are names: text in any case, unless readers disagree.
                    if let (ScalarStyle::Plain, Value::Doubtful(why)) = (style, plain(&key)) {
                        return self.fail(&at, format!("`{key}` is {why}"));
                    }
                    key
                }
                _ => return self.fail(&at, "a key must be text"),
            };
            weight += key.len();
            let outside = self.path.len();
            let _ = write!(self.path, "{key}.");
            let (event, span) = self.next()?;
            let (node, more) = self.node(event, span, depth + 1)?;
            weight += more;
            self.path.truncate(outside);
            members.add(&self.path, &key, at, node, self.problems);
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Step<(Node, usize)> {
        match self.anchors.get(&anchor) {
            Some(Some((node, weight))) => {
                // Messages name where the value is written, not where it is used.
                let copy = (node.clone(), *weight);
                self.copied += copy.1;
                self.refuse_bombs(&place)?;
                Ok(copy)
            }
            Some(None) => self.fail(&place, "an alias may not stand inside its own anchor"),
            None => self.fail(&place, "an alias needs its anchor before it"),
        }
    }

    fn refuse_bombs(&self, place: &Place) -> Step<()> {
        if self.copied > MOST_COPIED {
            return self
                .fail(place, "aliases make this file too large: write `extends` in their place");
        }
        Ok(())
    }

    fn refuse_tag(&self, tag: Option<&Tag>, place: &Place) -> Step<()> {
        match tag {
            None => Ok(()),
            Some(tag) => self.fail(place, format!("tags such as `{tag}` mean nothing here")),
        }
    }
}

/// What a word without quotes is in YAML 1.2 (core schema), or why it is doubtful.
fn plain(text: &str) -> Value {
    const BOOLS_OF_1_1: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Flag(true),
        "false" | "False" | "FALSE" => return Value::Flag(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Number(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Number(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Number(f64::NAN),
        _ => {}
    }
    if BOOLS_OF_1_1.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Value::Doubtful(
            "a bool to some readers of YAML and text to others: write `true` or `false`, or put it in quotes",
        );
    }
    let digits = text.trim_start_matches(['+', '-']);
    let signs = text.len() - digits.len();
    if signs > 1 || !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Value::Text(text.into());
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Value::Doubtful(
            "octal to some readers of YAML and decimal to others: write it without the leading zero, or put it in quotes",
        );
    }
    if digits.contains(':') && digits.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
    {
        return Value::Doubtful(
            "a number to the base of 60 to some readers of YAML: write a duration such as 1m30s",
        );
    }
    // Digits only: the parser of numbers would take a second sign.
    let radix = |radix: u32| {
        let rest = digits.get(2..).filter(|rest| rest.chars().all(|c| c.is_digit(radix)))?;
        i128::from_str_radix(rest, radix).ok()
    };
    let whole = match (signs, digits.get(..2)) {
        (0, Some("0x")) => radix(16),
        (0, Some("0o")) => radix(8),
        _ => text.parse().ok(),
    };
    if let Some(whole) = whole {
        return Value::Integer(whole);
    }
    let number = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    match text.parse() {
        Ok(value) if number => Value::Number(value),
        _ => Value::Text(text.into()),
    }
}
