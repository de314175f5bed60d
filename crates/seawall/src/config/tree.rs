//! Values with positions: what all three syntaxes become, and the environment too.

use super::Place;
use std::sync::Arc;

/// A value, where it was written, and how.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// The text of a scalar, for messages. Empty for tables and lists.
    pub(super) written: Arc<str>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Integer(i128),
    Number(f64),
    Text(Arc<str>),
    /// Text without quotes, which other readers take for something else, and why.
    Doubtful(&'static str),
    List(Vec<Node>),
    Table(Table),
}

/// In the order of the file.
pub(super) type Table = Vec<Member>;

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: Arc<str>,
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn scalar(value: Value, place: Place, written: &str) -> Self {
        Self { value, place, written: written.into() }
    }

    pub(super) fn holding(value: Value, place: Place) -> Self {
        Self { value, place, written: "".into() }
    }

    /// What it is, in a word or two.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Flag(_) => "a bool",
            Value::Integer(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Text(_) | Value::Doubtful(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value for a message, cut where it is long.
    pub(super) fn shown(&self) -> String {
        const LONGEST: usize = 60;
        match self.value {
            Value::List(_) | Value::Table(_) => self.kind().to_owned(),
            _ => {
                let mut shown = String::new();
                shown.extend(self.written.chars().take(LONGEST));
                if self.written.chars().nth(LONGEST).is_some() {
                    shown.push_str("..");
                }
                match self.value {
                    Value::Text(_) => format!("\"{shown}\""),
                    _ => shown,
                }
            }
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}
