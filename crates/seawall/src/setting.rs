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

/// Makes a value to compare with: `Some(&3.into())`. One type for each kind, so that a number needs
/// no suffix.
macro_rules! from {
    ($($kind:ident: $of:ty, |$value:ident| $as_held:expr;)*) => {$(
        impl From<$of> for SettingValue {
            fn from($value: $of) -> Self {
                Self::$kind($as_held)
            }
        }
    )*};
}

from! {
    Integer: u64, |value| value;
    Number: f64, |value| value;
    Duration: Duration, |value| value;
    Flag: bool, |value| value;
    Text: &'static str, |value| Cow::Borrowed(value);
    Text: String, |value| Cow::Owned(value);
}

/// A setting that makes no sense, refused where it is made.
///
/// `try_build` gives it for values that come from outside. The const `build` panics with the same
/// text.
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
        let line = Line::EMPTY.text(self.rule).text(", but is ");
        let line = match self.value {
            Value::Integer(value) => line.integer(value),
            Value::Number(value) => line.number(value),
            Value::Duration(value) => line.duration(value),
        };
        panic!("{}", line.as_str())
    }
}

/// A line of text made in const evaluation, which knows no `format!`. What does not fit is cut.
#[derive(Clone, Copy)]
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Line {
    const EMPTY: Self = Self { bytes: [0; 256], len: 0 };

    const fn byte(mut self, byte: u8) -> Self {
        if self.len < self.bytes.len() {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        self
    }

    const fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self = self.byte(bytes[at]);
            at += 1;
        }
        self
    }

    const fn integer(self, value: u64) -> Self {
        self.digits(value, 1)
    }

    /// At least `least` digits, padded by zeros.
    const fn digits(mut self, value: u64, least: u32) -> Self {
        let mut place = 19;
        let mut begun = false;
        loop {
            let digit = value / 10u64.pow(place) % 10;
            begun = begun || digit > 0 || place < least;
            if begun {
                self = self.byte(b'0' + digit.to_le_bytes()[0]);
            }
            if place == 0 {
                return self;
            }
            place -= 1;
        }
    }

    /// A point and `value` as that many decimals, without zeros at the end.
    const fn decimals(mut self, mut value: u64, mut places: u32) -> Self {
        if value == 0 {
            return self;
        }
        while value % 10 == 0 {
            value /= 10;
            places -= 1;
        }
        self = self.byte(b'.');
        self.digits(value, places)
    }

    const fn duration(self, value: Duration) -> Self {
        let nanos = value.subsec_nanos() as u64;
        self.integer(value.as_secs()).decimals(nanos, 9).byte(b's')
    }

    /// To six decimals; the very large and the very small with a power of ten.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    const fn number(self, value: f64) -> Self {
        if value.is_nan() {
            return self.text("NaN");
        }
        if value.is_sign_negative() {
            return self.byte(b'-').number(-value);
        }
        if value.is_infinite() {
            return self.text("inf");
        }
        let (mut value, mut up, mut down) = (value, 0, 0);
        while value >= 1e15 {
            value /= 10.0;
            up += 1;
        }
        while value > 0.0 && value < 1e-6 || down > 0 && value < 1.0 {
            value *= 10.0;
            down += 1;
        }
        let whole = value as u64;
        let millionths = ((value - whole as f64) * 1e6 + 0.5) as u64;
        let carry = millionths / 1_000_000;
        let line = self.integer(whole + carry).decimals(millionths % 1_000_000, 6);
        match (up, down) {
            (0, 0) => line,
            (0, _) => line.text("e-").integer(down),
            _ => line.byte(b'e').integer(up),
        }
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a setting makes no sense",
        }
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

    fn number(value: f64) -> String {
        Line::EMPTY.number(value).as_str().to_owned()
    }

    #[test]
    fn const_evaluation_writes_numbers_as_everyone_does() {
        for value in [0, 1, 9, 10, 1_000_000, u64::MAX] {
            assert_eq!(Line::EMPTY.integer(value).as_str(), value.to_string());
        }
        for value in [0.0, 1.0, -1.0, 0.5, 1.25, -0.000_001, 1234.5, f64::NAN, f64::INFINITY] {
            assert_eq!(number(value), value.to_string(), "{value}");
        }
        assert_eq!(number(0.999_999_9), "1");
        assert_eq!(number(1e20), "100000000000000e6");
        let ended = number(f64::MAX);
        assert_eq!([number(1e-7), number(-2.5e-300)], ["1e-7", "-2.5e-300"]);
        assert!(ended.starts_with("179769313486") && ended.ends_with("e294"), "{ended}");
    }

    #[test]
    fn const_evaluation_writes_durations_in_seconds() {
        let line = |millis| Line::EMPTY.duration(Duration::from_millis(millis)).as_str().to_owned();
        assert_eq!([line(0), line(30_000), line(1050), line(100)], ["0s", "30s", "1.05s", "0.1s"]);
        let longest = Line::EMPTY.duration(Duration::MAX);
        assert_eq!(longest.as_str(), "18446744073709551615.999999999s");
    }

    #[test]
    fn what_does_not_fit_in_a_line_is_cut() {
        assert_eq!(Line::EMPTY.text(&"x".repeat(300)).as_str().len(), 256);
    }

    #[test]
    fn names_compare_by_text_however_they_were_made() {
        let made = Name::from(String::from("payments"));
        assert_eq!(made, Name::literal("payments"));
        assert_eq!(made, "payments");
        assert_eq!(format!("{made} {made:?}"), "payments \"payments\"");
    }
}
