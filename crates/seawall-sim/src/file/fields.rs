//! Values by name, checked: what a table may hold, of which type, within which range.

use seawall::config::{
    Place, ProblemKind,
    door::{Problems, Told, Value},
};
use std::time::Duration;

/// The members of a table whose names are known.
pub(super) struct Fields<'a> {
    path: String,
    place: &'a Place,
    given: Vec<(&'a str, Value<'a>)>,
}

/// The numbers that a field takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    least: f64,
    most: f64,
    /// `least` itself is refused.
    above: bool,
}

impl Numbers {
    pub(super) const fn within(least: f64, most: f64) -> Self {
        Self { least, most, above: false }
    }

    pub(super) const fn above_zero(most: f64) -> Self {
        Self { least: 0.0, most, above: true }
    }

    /// Never true of NaN.
    fn contains(self, number: f64) -> bool {
        number <= self.most && (if self.above { number > self.least } else { number >= self.least })
    }

    fn allowed(self) -> String {
        match self.above {
            true => format!("a number above {} and at most {}", self.least, self.most),
            false => format!("a number within {}..={}", self.least, self.most),
        }
    }
}

/// What a length of time is written like.
pub(super) const LENGTH: &str = "a duration such as \"250ms\" or \"1m30s\", or a number of seconds";

impl<'a> Fields<'a> {
    /// None where it is no table. Names that are not known are told of, with the nearest one that is.
    pub(super) fn of(
        value: Value<'a>,
        path: &str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(members) = value.members() else {
            let message = format!("`{path}` must be a table, but is {}", value.described());
            problems.add(Told::new(ProblemKind::WrongType, value.place(), message).field(path));
            return None;
        };
        let prefix = format!("{path}.");
        Some(Self::of_members(members, &prefix, value.place(), known, problems))
    }

    /// `path` is what stands before each name.
    pub(super) fn of_members(
        members: impl Iterator<Item = (&'a str, &'a Place, Value<'a>)>,
        path: &str,
        place: &'a Place,
        known: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let mut given = Vec::new();
        for (key, at, value) in members {
            if known.contains(&key) {
                given.push((key, value));
                continue;
            }
            let message = format!("unknown field `{key}`: there is {}", known.join(", "));
            let told = Told::new(ProblemKind::UnknownName, at, message);
            problems.add(told.field(format!("{path}{key}")).nearest(key, known.iter().copied()));
        }
        Self { path: path.to_owned(), place, given }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.given.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// The value's place, or the table's.
    pub(super) fn place(&self, name: &str) -> &'a Place {
        self.get(name).map_or(self.place, Value::place)
    }

    /// A problem with a value.
    pub(super) fn refuse(&self, name: &str, message: impl Into<String>, problems: &mut Problems) {
        let told = Told::new(ProblemKind::InvalidValue, self.place(name), message);
        let told = told.field(self.path(name));
        problems.add(match self.get(name) {
            Some(value) => told.value(value.shown()),
            None => told,
        });
    }

    /// Something that must be there, and is not.
    pub(super) fn missing(&self, name: &str, why: &str, problems: &mut Problems) {
        let message = format!("`{name}` must be given: {why}");
        let told = Told::new(ProblemKind::Missing, self.place, message);
        problems.add(told.field(self.path(name)));
    }

    /// One given field of these, which exclude one another.
    pub(super) fn only_one(
        &self,
        names: &[&'static str],
        problems: &mut Problems,
    ) -> Option<&'static str> {
        let mut given = names.iter().copied().filter(|name| self.has(name));
        let one = given.next()?;
        for other in given {
            let message = format!("`{other}` stands in place of `{one}`: give one of them");
            let told = Told::new(ProblemKind::Conflict, self.place(other), message);
            let note = format!("the other at {}", self.place(one));
            problems.add(told.field(self.path(other)).note(note));
        }
        Some(one)
    }

    /// Fields that mean nothing beside `kind`.
    pub(super) fn none_of(&self, names: &[&str], kind: &str, problems: &mut Problems) {
        for name in names.iter().filter(|name| self.has(name)) {
            let message = format!("`{name}` means nothing for {kind}");
            let told = Told::new(ProblemKind::Conflict, self.place(name), message);
            problems.add(told.field(self.path(name)));
        }
    }

    pub(super) fn whole(
        &self,
        name: &str,
        (least, most): (u64, u64),
        problems: &mut Problems,
    ) -> Option<u64> {
        let value = self.get(name)?;
        let whole = value.whole().filter(|whole| (least..=most).contains(whole));
        if whole.is_none() {
            let wanted = match most {
                u64::MAX => format!("a whole number, {least} or more"),
                _ => format!("a whole number within {least}..={most}"),
            };
            wrong(value, &self.path(name), name, &wanted, problems);
        }
        whole
    }

    /// As [`whole`](Self::whole), for what is counted in 32 bits.
    pub(super) fn count(
        &self,
        name: &str,
        (least, most): (u32, u32),
        problems: &mut Problems,
    ) -> Option<u32> {
        let whole = self.whole(name, (least.into(), most.into()), problems)?;
        u32::try_from(whole).ok()
    }

    pub(super) fn number(
        &self,
        name: &str,
        allowed: Numbers,
        problems: &mut Problems,
    ) -> Option<f64> {
        let value = self.get(name)?;
        let number = value.number().filter(|number| allowed.contains(*number));
        if number.is_none() {
            wrong(value, &self.path(name), name, &allowed.allowed(), problems);
        }
        number
    }

    pub(super) fn length(
        &self,
        name: &str,
        (least, most): (Duration, Duration),
        problems: &mut Problems,
    ) -> Option<Duration> {
        let value = self.get(name)?;
        let length = length(value, &self.path(name), name, problems)?;
        if (least..=most).contains(&length) {
            return Some(length);
        }
        let message =
            format!("`{name}` must be within {least:?}..={most:?}, but is {}", value.shown());
        self.refuse(name, message, problems);
        None
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.get(name)?;
        let flag = value.flag();
        if flag.is_none() {
            wrong(value, &self.path(name), name, "true or false", problems);
        }
        flag
    }

    /// Text of one line, not too long.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        const LONGEST: usize = 500;
        let value = self.get(name)?;
        let text = value.text().filter(|text| {
            !text.trim().is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
        });
        if text.is_none() {
            let wanted = format!("text in one line, of 1 to {LONGEST} bytes");
            wrong(value, &self.path(name), name, &wanted, problems);
        }
        text
    }
}

/// A length of time of any size.
pub(super) fn length(
    value: Value<'_>,
    path: &str,
    name: &str,
    problems: &mut Problems,
) -> Option<Duration> {
    let length = value.length();
    if length.is_none() {
        wrong(value, path, name, LENGTH, problems);
    }
    length
}

/// A value that is not what is wanted.
pub(super) fn wrong(
    value: Value<'_>,
    path: &str,
    name: &str,
    wanted: &str,
    problems: &mut Problems,
) {
    let is_number = value.text().is_none() && value.number().is_some();
    let (kind, is) = match is_number || value.is_loose() {
        true => (ProblemKind::InvalidValue, value.shown()),
        false => (ProblemKind::WrongType, value.described()),
    };
    let message = format!("`{name}` must be {wanted}, but is {is}");
    problems.add(Told::new(kind, value.place(), message).field(path).value(value.shown()));
}
