//! Values that a file hands through to the program.

use super::tree::{Member, Node, Value};

/// A value of a file that is the program's to read, such as a fallback's answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Data {
    /// Nothing: `null`.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A table, in the order of the file.
    Table(Vec<(String, Self)>),
}

impl Data {
    /// None where the file is not clear about the value, with the reason.
    pub(super) fn of(node: &Node) -> Result<Self, (&Node, &'static str)> {
        Ok(match &node.value {
            Value::Null => Self::Null,
            Value::Flag(flag) => Self::Flag(*flag),
            Value::Integer(whole) => Self::Integer(*whole),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text.to_string()),
            Value::Doubtful(why) => return Err((node, why)),
            Value::List(list) => {
                Self::List(list.iter().map(Self::of).collect::<Result<Vec<_>, _>>()?)
            }
            Value::Table(members) => {
                let mut table = Vec::with_capacity(members.len());
                for Member { key, node, .. } in members {
                    table.push((key.to_string(), Self::of(node)?));
                }
                Self::Table(table)
            }
        })
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[cfg(feature = "serde")]
mod words {
    use super::Data;
    use serde::{Serialize, Serializer};

    impl Serialize for Data {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Null => serializer.serialize_unit(),
                Self::Flag(flag) => serializer.serialize_bool(*flag),
                Self::Integer(whole) => match i64::try_from(*whole) {
                    Ok(whole) => serializer.serialize_i64(whole),
                    Err(_) => serializer.serialize_i128(*whole),
                },
                Self::Number(number) => serializer.serialize_f64(*number),
                Self::Text(text) => serializer.serialize_str(text),
                Self::List(list) => serializer.collect_seq(list),
                Self::Table(members) => {
                    serializer.collect_map(members.iter().map(|(key, value)| (key, value)))
                }
            }
        }
    }
}
