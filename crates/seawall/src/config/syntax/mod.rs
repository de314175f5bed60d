//! Text to tree. What the parsers leave open is decided alike for all three syntaxes: the top is a
//! table, keys are text and unique, depth and size are bounded.

mod json;
mod toml;
mod yaml;

use super::{
    Place,
    problem::{Problem, ProblemKind, Problems},
    tree::{Member, Node, Table, Value},
};
use std::{collections::HashMap, fmt, path::Path, sync::Arc};

/// The syntax of a policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1: `.toml`.
    Toml,
    /// YAML 1.2: `.yaml`, `.yml`.
    Yaml,
    /// JSON: `.json`.
    Json,
}

impl Format {
    /// The syntax of files with this file's extension.
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let extension = path.as_ref().extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The syntax in a word: `toml`, `yaml`, `json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How deep values may nest. The parsers' own limits are higher.
const DEEPEST: usize = 32;

/// What messages call a policy file.
pub(super) const POLICY_FILE: &str = "policy file";

/// The tree of `text`; what of it can be read where there are problems, for TOML knows how to go on.
pub(super) fn parse(
    text: &str,
    format: Format,
    file: &Arc<str>,
    what: &str,
    problems: &mut Problems,
) -> Option<Table> {
    let lines = Lines::new(text, file);
    let root = match format {
        Format::Toml => toml::parse(text, &lines, problems),
        Format::Yaml => yaml::parse(text, &lines, problems),
        Format::Json => json::parse(text, &lines, problems),
    }?;
    match root.value {
        Value::Table(table) => Some(table),
        _ => {
            let holds = if what == POLICY_FILE { " of policies" } else { "" };
            let message = format!("a {what} is a table{holds}, but this is {}", root.kind());
            problems.add(Problem::new(ProblemKind::WrongType, &root.place, message));
            None
        }
    }
}

/// Byte offsets to lines and columns.
struct Lines<'a> {
    text: &'a str,
    file: &'a Arc<str>,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, file: &'a Arc<str>) -> Self {
        let after =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, file, starts: [0].into_iter().chain(after).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        // A line of a megabyte costs its length once for each value on it: bounded, for columns far
        // to the right are all the same to a reader.
        let column = match offset - start {
            far if far > 1000 => far,
            _ => self.text[start..offset].chars().count(),
        };
        Place::in_file(self.file, line, column + 1)
    }

    fn at(&self, line: usize, column: usize) -> Place {
        Place::in_file(self.file, line, column)
    }

    fn syntax(&self, place: &Place, message: impl Into<String>) -> Problem {
        Problem::new(ProblemKind::Syntax, place, message)
    }

    fn too_deep(&self, place: &Place) -> Problem {
        self.syntax(place, format!("values may nest {DEEPEST} deep, no deeper"))
    }
}

/// A table in the making: no key twice.
#[derive(Default)]
struct Members {
    table: Table,
    seen: HashMap<Arc<str>, usize>,
}

impl Members {
    /// `path` is the table's, with a point behind it.
    fn add(&mut self, path: &str, key: &str, place: Place, node: Node, problems: &mut Problems) {
        if let Some(first) = self.seen.get(key) {
            let first = &self.table[*first].place;
            let message = format!("`{key}` is given twice");
            let problem = Problem::new(ProblemKind::Conflict, &place, message);
            problems.add(problem.field(format!("{path}{key}")).note(format!("first at {first}")));
            return;
        }
        let key: Arc<str> = key.into();
        self.seen.insert(Arc::clone(&key), self.table.len());
        self.table.push(Member { key, place, node });
    }
}
