//! Settings of policies: their values, their names, and what is wrong with them.

use std::{borrow::Cow, error, fmt, sync::Arc, time::Duration};

/// A value of a setting, as it is printed, compared in tests and named in errors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SettingValue {
    /// A whole number, such as a number of attempts.
    Integer(u64),
    /// A ratio or factor.
    Number(f64),
    /// A length of time.
    Duration(Duration),
    /// Whether something is on.
    Flag(bool),
    /// A word, such as the name of a strategy.
    Text(Cow<'static, str>),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Flag(value) => value.fmt(f),
            Self::Duration(value) => write!(f, "{value:?}"),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// A setting that makes no sense, refused where it is made.
///
/// `try_build` gives it for values that come from outside. The const `build` panics with
/// [`rule`](Self::rule), which names the field: const evaluation cannot print the value.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidSetting {
    field: &'static str,
    value: SettingValue,
    rule: &'static str,
}

impl InvalidSetting {
    pub(crate) fn new(field: &'static str, value: SettingValue, rule: &'static str) -> Self {
        Self { field, value, rule }
    }

    /// The setting's name, as its setter is called.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The value that was refused.
    pub const fn value(&self) -> &SettingValue {
        &self.value
    }

    /// What is allowed, as a sentence that begins with the field.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, but is {}", self.rule, self.value)
    }
}

impl error::Error for InvalidSetting {}

/// [`InvalidSetting`] in the making: without a destructor, so that const evaluation can hold it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    field: &'static str,
    value: Value,
    rule: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Integer(u64),
    Number(f64),
    Duration(Duration),
}

impl Refusal {
    pub(crate) const fn integer(field: &'static str, value: u64, rule: &'static str) -> Self {
        Self { field, value: Value::Integer(value), rule }
    }

    pub(crate) const fn number(field: &'static str, value: f64, rule: &'static str) -> Self {
        Self { field, value: Value::Number(value), rule }
    }

    pub(crate) const fn duration(field: &'static str, value: Duration, rule: &'static str) -> Self {
        Self { field, value: Value::Duration(value), rule }
    }

    /// Ends const evaluation, or the thread that builds a policy from nonsense.
    #[track_caller]
    #[expect(clippy::panic, reason = "refused where it is made; `try_build` is the other way")]
    pub(crate) const fn panic(self) -> ! {
        panic!("{}", self.rule)
    }
}

impl From<Refusal> for InvalidSetting {
    fn from(Refusal { field, value, rule }: Refusal) -> Self {
        let value = match value {
            Value::Integer(value) => SettingValue::Integer(value),
            Value::Number(value) => SettingValue::Number(value),
            Value::Duration(value) => SettingValue::Duration(value),
        };
        Self::new(field, value, rule)
    }
}

/// What a policy is called in events, errors and logs.
///
/// Free to copy where it is a literal, counted where it was made at run time.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    Literal(&'static str),
    Shared(Arc<str>),
}

impl Name {
    /// A name known at compile time.
    pub const fn literal(name: &'static str) -> Self {
        Self(Text::Literal(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Literal(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::literal(name)
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(Text::Shared(name.into()))
    }
}

impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self(Text::Shared(name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Whether `duration` is longer than `other`, in const evaluation too.
pub(crate) const fn longer(duration: Duration, other: Duration) -> bool {
    duration.as_nanos() > other.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_setting_names_field_value_and_rule() {
        let invalid = InvalidSetting::new(
            "max_attempts",
            SettingValue::Integer(0),
            "`max_attempts` must be 1 or more",
        );
        assert_eq!(invalid.to_string(), "`max_attempts` must be 1 or more, but is 0");
        assert_eq!((invalid.field(), invalid.value()), ("max_attempts", &SettingValue::Integer(0)));
    }

    #[test]
    fn names_compare_by_text_however_they_were_made() {
        let made = Name::from(String::from("payments"));
        assert_eq!(made, Name::literal("payments"));
        assert_eq!(made, "payments");
        assert_eq!(format!("{made} {made:?}"), "payments \"payments\"");
    }
}
