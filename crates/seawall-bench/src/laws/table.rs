//! The table: a row for each law, a column for each crate.

use crate::{
    asked::Contender,
    findings::{self, Finding},
};
use seawall::testing::laws::{Checked, Law, Violation};
use std::fmt::Write;

/// Those that are about breakers.
const LAWS: [Law; 9] = [
    Law::NoWedge,
    Law::NoStampede,
    Law::NoStaleResult,
    Law::OneEvent,
    Law::PermitsConserved,
    Law::Edges,
    Law::Clocks,
    Law::NoHerd,
    Law::Panics,
];

/// What was locked, versions and all.
const LOCK: &str = include_str!("../../Cargo.lock");

/// What came of one crate.
pub(crate) struct Column {
    package: &'static str,
    checked: Vec<Checked>,
    broken: Vec<(&'static str, Violation)>,
}

enum Cell {
    Holds,
    Breaks(&'static Finding),
    CannotBeAsked(&'static str),
}

impl Column {
    pub(crate) fn of(contender: &Contender) -> Self {
        let (checked, broken) = contender.ask();
        Self { package: contender.package, checked, broken }
    }

    /// How each law was broken.
    pub(crate) fn tell(&self) {
        for (setting, violation) in &self.broken {
            println!("{}, {setting}: {violation}\n", self.package);
        }
    }

    /// Broken if it was in one setting; asked if it was in one.
    fn cell(&self, law: Law) -> Result<Cell, String> {
        let package = self.package;
        let finding = findings::of(package, law);
        let broken = self.broken.iter().find(|(_, violation)| violation.law == law);
        match (broken, finding) {
            (Some(_), Some(finding)) => return Ok(Cell::Breaks(finding)),
            (Some((setting, violation)), None) => {
                let told = "findings.rs tells nothing of it";
                return Err(format!("{package}, {setting}, {told}:\n{violation}"));
            }
            (None, Some(_)) => {
                return Err(format!("findings.rs says that {package} breaks {law}; it does not"));
            }
            (None, None) => {}
        }
        let mut asked = self.checked.iter().filter(|checked| checked.law == law);
        if asked.any(|checked| checked.not_asked.is_none()) {
            return Ok(Cell::Holds);
        }
        let reason = findings::not_asked(package, law);
        reason.map(Cell::CannotBeAsked).ok_or_else(|| {
            format!("findings.rs does not say why {package} cannot be asked for {law}")
        })
    }

    fn version(&self) -> Result<&'static str, String> {
        let start = format!("name = \"{}\"\nversion = \"", self.package);
        LOCK.split_once(&start)
            .and_then(|(_, rest)| rest.split('"').next())
            .ok_or_else(|| format!("{} is not in Cargo.lock", self.package))
    }
}

/// The table and what its notes say.
pub(crate) fn markdown(columns: &[Column]) -> Result<String, String> {
    let mut head = "| law |".to_owned();
    for column in columns {
        let _ = write!(head, " {} {} |", column.package, column.version()?);
    }
    // What is said of several crates is said once.
    let mut notes: Vec<(Law, &str, Vec<&str>)> = Vec::new();
    let mut text = format!("{head}\n|---|{}", "---|".repeat(columns.len()));
    for law in LAWS {
        let _ = write!(text, "\n| {}, {} |", law.number(), law.as_str());
        for column in columns {
            let (word, note) = match column.cell(law)? {
                Cell::Holds => ("holds", None),
                Cell::Breaks(finding) => ("breaks", Some(finding.seen)),
                Cell::CannotBeAsked(reason) => ("cannot be asked", Some(reason)),
            };
            let Some(note) = note else {
                let _ = write!(text, " {word} |");
                continue;
            };
            let known = notes.iter().position(|(of, said, _)| (*of, *said) == (law, note));
            let at = known.unwrap_or_else(|| {
                notes.push((law, note, Vec::new()));
                notes.len() - 1
            });
            notes[at].2.push(column.package);
            let _ = write!(text, " {word} ({}) |", at + 1);
        }
    }
    text.push('\n');
    for (n, (law, note, packages)) in (1..).zip(notes) {
        let _ = write!(text, "\n{n}. {}, law {}: {note}", packages.join(", "), law.number());
    }
    Ok(text)
}
