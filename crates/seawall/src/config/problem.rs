//! What is wrong with a file, and where.

use std::{error, fmt, sync::Arc};

/// Where a value comes from: a line and column of a file, a variable of the environment, an option of
/// a command line, or a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    source: Source,
    /// Line and column from 1, the column in characters.
    at: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(Arc<str>),
    Variable(Arc<str>),
    #[cfg_attr(not(feature = "foreign"), expect(dead_code, reason = "for the door"))]
    Option(Arc<str>),
    Preset(&'static str),
}

impl Place {
    pub(super) fn in_file(file: &Arc<str>, line: usize, column: usize) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { source: Source::File(Arc::clone(file)), at: Some((number(line), number(column))) }
    }

    pub(super) fn file_as_a_whole(file: &Arc<str>) -> Self {
        Self { source: Source::File(Arc::clone(file)), at: None }
    }

    pub(super) fn in_variable(name: &str) -> Self {
        Self { source: Source::Variable(name.into()), at: None }
    }

    #[cfg(feature = "foreign")]
    pub(super) fn in_option(text: &str) -> Self {
        Self { source: Source::Option(text.into()), at: None }
    }

    pub(super) fn in_preset(name: &'static str) -> Self {
        Self { source: Source::Preset(name), at: None }
    }

    /// The file, as it was named; none where the value is not from a file.
    pub fn file(&self) -> Option<&str> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Variable(_) | Source::Option(_) | Source::Preset(_) => None,
        }
    }

    /// The line, counted from 1; none where the file as a whole is meant.
    pub fn line(&self) -> Option<u32> {
        self.at.map(|(line, _)| line)
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> Option<u32> {
        self.at.map(|(_, column)| column)
    }

    /// The variable of the environment, where the value is from one.
    pub fn variable(&self) -> Option<&str> {
        match &self.source {
            Source::Variable(name) => Some(name),
            Source::File(_) | Source::Option(_) | Source::Preset(_) => None,
        }
    }

    /// The preset, where the value is from one.
    pub fn preset(&self) -> Option<&str> {
        match &self.source {
            Source::Preset(name) => Some(name),
            Source::File(_) | Source::Variable(_) | Source::Option(_) => None,
        }
    }

    /// Whether values are text by nature: numbers and flags are read out of it.
    pub(super) fn is_loose(&self) -> bool {
        matches!(self.source, Source::Variable(_) | Source::Option(_))
    }

    pub(super) fn sort_key(&self) -> (u8, u32, u32, String) {
        let (line, column) = self.at.unwrap_or_default();
        match &self.source {
            Source::File(_) => (0, line, column, String::new()),
            Source::Variable(name) => (1, 0, 0, name.to_string()),
            Source::Option(text) => (2, 0, 0, text.to_string()),
            Source::Preset(name) => (3, 0, 0, (*name).to_owned()),
        }
    }
}

/// `policies.toml:7:16`, `variable SEAWALL__PAYMENTS__TIMEOUT`, `--set retry.max_attempts=0` or
/// `preset standard`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.at) {
            (Source::File(file), Some((line, column))) => write!(f, "{file}:{line}:{column}"),
            (Source::File(file), None) => f.write_str(file),
            (Source::Variable(name), _) => write!(f, "variable {name}"),
            (Source::Option(text), _) => f.write_str(text),
            (Source::Preset(name), _) => write!(f, "preset {name}"),
        }
    }
}

/// Names of a file are in messages too: control characters would garble the terminal or log that
/// shows them.
fn printable(text: String) -> String {
    const LONGEST: usize = 1000;
    if text.len() <= LONGEST && !text.chars().any(char::is_control) {
        return text;
    }
    let mut clean = String::new();
    for letter in text.chars().take(LONGEST) {
        match letter.is_control() {
            true => clean.extend(letter.escape_default()),
            false => clean.push(letter),
        }
    }
    clean
}

/// One thing that is wrong with a policy file or with a variable that overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) kind: ProblemKind,
    pub(super) place: Place,
    pub(super) field: Option<String>,
    pub(super) value: Option<String>,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    pub(super) notes: Vec<String>,
}

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file cannot be read.
    Unreadable,
    /// The text is not TOML, YAML or JSON, or needs more than a policy file may.
    Syntax,
    /// A name that means nothing here.
    UnknownName,
    /// Something is given twice, or beside what it excludes.
    Conflict,
    /// A value of the wrong type, such as text where a number belongs.
    WrongType,
    /// A value that makes no sense.
    InvalidValue,
    /// Something is left out that something else needs.
    Missing,
    /// An entry that extends itself, over however many others.
    CircularExtends,
}

impl ProblemKind {
    /// The kind in a word, as a stable id: `unknown-name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Syntax => "syntax",
            Self::UnknownName => "unknown-name",
            Self::Conflict => "conflict",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::Missing => "missing",
            Self::CircularExtends => "circular-extends",
        }
    }
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, place: &Place, message: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.clone(),
            field: None,
            value: None,
            message: printable(message.into()),
            suggestion: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn field(mut self, path: impl Into<String>) -> Self {
        self.field = Some(printable(path.into()));
        self
    }

    pub(super) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(printable(value.into()));
        self
    }

    pub(super) fn nearest<'a>(
        mut self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.suggestion = nearest(name, known).map(str::to_owned);
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(printable(note.into()));
        self
    }

    /// What kind of problem it is.
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Where it is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The field's full path, such as `payments.retry.max_attempts`.
    pub fn field_path(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The value, as it was written.
    pub fn written(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What is wrong, and what is allowed.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The nearest valid name, if one is near.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// What else there is to know, such as where the other value of a conflict stands.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// `policies.toml:7:16: payments.retry.max_attempts: ..`, in one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(near) = &self.suggestion {
            write!(f, "; did you mean `{near}`?")?;
        }
        for note in &self.notes {
            write!(f, " ({note})")?;
        }
        Ok(())
    }
}

/// What is wrong with a policy file: all that one run could find, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_cached_key(|problem| problem.place.sort_key());
        problems.dedup();
        Self { problems }
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// A line for each problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl error::Error for ConfigError {}

/// Problems as they are found; past so many, no more are kept: a file of nonsense has no end of them.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    const MOST: usize = 100;

    pub(super) fn add(&mut self, problem: Problem) {
        if !self.full() {
            self.found.push(problem);
        }
    }

    pub(super) fn full(&self) -> bool {
        self.found.len() >= Self::MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, ConfigError> {
        if self.found.is_empty() { Ok(value) } else { Err(ConfigError::new(self.found)) }
    }
}

/// The known name that is nearest to `name`, if it is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    const MOST: usize = 1000;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let word = name.to_lowercase().replace('-', "_");
    let distance = |known: &str| {
        let known = known.to_lowercase().replace('-', "_");
        match strsim::osa_distance(&word, &known) {
            near if near <= 2 || near <= known.len() / 3 => Some(near),
            // A part of the name, such as `attempts` or `breaker`.
            _ if word.len() > 3 && (known.contains(&word) || word.contains(&known)) => {
                Some(LONGEST)
            }
            _ => None,
        }
    };
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST)
        .take(MOST)
        .filter_map(|known| Some((distance(known)?, known)))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["max_attempts", "max_delay", "jitter", "circuit_breaker"];
        for (name, expected) in [
            ("max_atempts", Some("max_attempts")),
            ("max-attempts", Some("max_attempts")),
            ("Jitter", Some("jitter")),
            ("attempts", Some("max_attempts")),
            ("breaker", Some("circuit_breaker")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
