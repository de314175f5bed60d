//! Values to settings. Types are checked here, ranges by the builders: each refusal of theirs is
//! brought to the line that it is about.

use super::{
    Place,
    fields::{BREAKER, BUDGET_PRESETS, BreakerDraft, Kind, RETRY, Row, Set, one_of, retry_draft},
    problem::{Problem, ProblemKind, Problems},
    read::{Given, described, fields},
    tree::{Node, Value},
};
use crate::{
    breaker::CircuitBreakerBuilder,
    retry::{BackoffStrategy, RetryBudget, RetryPolicy, SharedBudget},
    setting::InvalidSetting,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// A value of the type that its field takes.
#[derive(Debug, Clone, PartialEq)]
enum Typed {
    Count(u32),
    Number(f64),
    Length(Duration),
    Flag(bool),
    Word(Arc<str>),
}

pub(super) fn retry(given: &[Given], problems: &mut Problems) -> Option<RetryPolicy> {
    let mut given: Vec<Given> = given.to_vec();
    let mut start = retry_draft();
    let jitter = given.iter().position(|one| one.field.name == "jitter");
    let selects = jitter.filter(|at| given[*at].node.text() == Some("decorrelated"));
    if let Some(at) = selects {
        let decorrelated = BackoffStrategy::Decorrelated;
        let other = given.iter().find(|one| one.field.name == "backoff_strategy");
        if let Some(other) = other.filter(|one| one.node.text() != Some(decorrelated.as_str())) {
            let message = format!(
                "`decorrelated` is a backoff strategy of its own, but `backoff_strategy` is {}",
                other.node.shown()
            );
            problems.add(
                refused(ProblemKind::Conflict, &given[at], message)
                    .note(format!("the other at {}", other.node.place)),
            );
        }
        start = start.backoff_strategy(decorrelated);
        given.remove(at);
    }
    build(start, &RETRY, &given, Vec::new(), |builder| builder.try_build(), problems)
}

pub(super) fn breaker(given: &[Given], problems: &mut Problems) -> Option<CircuitBreakerBuilder> {
    let mut left_out = Vec::new();
    for one in given {
        let Some(needed) = one.field.needs else { continue };
        if !given.iter().any(|other| other.field.name == needed) {
            let message = format!("`{}` needs `{needed}` beside it", one.field.name);
            problems.add(refused(ProblemKind::Missing, one, message));
            left_out.push(one.field.name);
        }
    }
    let finish = |draft: BreakerDraft| draft.builder().try_build().map(|_| draft.builder());
    build(BreakerDraft::new(), &BREAKER, given, left_out, finish, problems)
}

/// Sets what is given and asks the builder. What it refuses is told, left out, and asked again, so
/// that one run tells of all; a refusal that comes of leaving something out is none.
fn build<B: Copy, T>(
    start: B,
    rows: &'static [Row<B>],
    given: &[Given],
    mut left_out: Vec<&'static str>,
    finish: impl Fn(B) -> Result<T, InvalidSetting>,
    problems: &mut Problems,
) -> Option<T> {
    let mut typed: Vec<(&Row<B>, &Given, Typed)> = Vec::new();
    for one in given {
        let Some(row) = rows.iter().find(|row| row.field.name == one.field.name) else { continue };
        match read(one) {
            Ok(value) => typed.push((row, one, value)),
            Err(problem) => {
                problems.add(*problem);
                left_out.push(row.field.name);
                left_out.extend(row.field.needs);
            }
        }
    }
    loop {
        let mut draft = start;
        let refusal =
            typed.iter().find_map(|(row, _, value)| set(&mut draft, &row.set, value).err());
        let invalid = match refusal {
            Some(invalid) => invalid,
            None => match finish(draft) {
                Ok(built) => return left_out.is_empty().then_some(built),
                Err(invalid) => invalid,
            },
        };
        let field = invalid.field();
        let mentioned = |name: &&str| invalid.rule().contains(&format!("`{name}`"));
        let follows = left_out.iter().any(mentioned);
        let Some(at) = typed.iter().position(|(row, ..)| row.field.name == field) else {
            // A builder that refuses what nobody has set would be its own mistake: say it all the same.
            if let Some(one) = given.first().filter(|_| !follows) {
                let message = invalid.to_string();
                problems.add(Problem::new(ProblemKind::InvalidValue, &one.node.place, message));
            }
            return None;
        };
        let (row, one, _) = typed.remove(at);
        if !follows {
            problems.add(from_builder(&invalid, row.field.kind, one, given));
        }
        left_out.push(field);
    }
}

fn from_builder(invalid: &InvalidSetting, kind: Kind, one: &Given, given: &[Given]) -> Problem {
    let message = format!("{}, but is {}", invalid.rule(), one.node.shown());
    let mut problem = refused(ProblemKind::InvalidValue, one, message);
    if let Some(word) = one.node.text() {
        problem = problem.nearest(word, kind.words().iter().copied());
    }
    for other in given {
        let name = other.field.name;
        let related = name != one.field.name && invalid.rule().contains(&format!("`{name}`"));
        if related {
            problem =
                problem.note(format!("`{name}` is {} at {}", other.node.shown(), other.node.place));
        }
    }
    problem
}

fn set<B>(draft: &mut B, set: &Set<B>, value: &Typed) -> Result<(), InvalidSetting> {
    match (set, value) {
        (Set::Count(set), Typed::Count(count)) => set(draft, *count),
        (Set::Number(set), Typed::Number(number)) => set(draft, *number),
        (Set::Length(set), Typed::Length(length)) => set(draft, *length),
        (Set::Flag(set), Typed::Flag(flag)) => set(draft, *flag),
        (Set::Word(set), Typed::Word(word)) => return set(draft, word),
        // The table's kinds and setters agree: a test sets each of them.
        _ => debug_assert!(false, "a setter of another kind"),
    }
    Ok(())
}

pub(super) fn refused(kind: ProblemKind, one: &Given, message: impl Into<String>) -> Problem {
    Problem::new(kind, &one.node.place, message).field(&*one.path).value(one.node.shown())
}

fn read(one: &Given) -> Result<Typed, Box<Problem>> {
    let (node, kind) = (&*one.node, one.field.kind);
    let loose = node.place.is_loose();
    let typed = match kind {
        Kind::Count { most, .. } => count(node, loose, most).map(Typed::Count),
        Kind::Number { .. } => number(node, loose).map(Typed::Number),
        Kind::Length { .. } => length(node, loose).map(Typed::Length),
        Kind::Flag => flag(node, loose).map(Typed::Flag),
        Kind::Jitter => match flag(node, loose) {
            Some(true) => Some(Typed::Word("plus_minus".into())),
            Some(false) => Some(Typed::Word("none".into())),
            None => node.text().map(|word| Typed::Word(word.into())),
        },
        Kind::Word(_) => node.text().map(|word| Typed::Word(word.into())),
        Kind::Text | Kind::Budget | Kind::Anything => None,
    };
    typed.ok_or_else(|| Box::new(wrong_type(one)))
}

/// What a value must be, and is not.
pub(super) fn wrong_type(one: &Given) -> Problem {
    let (node, wanted) = (&*one.node, one.field.kind.wanted());
    let is_number = matches!(node.value, Value::Integer(_) | Value::Number(_));
    let is = if is_number { node.shown() } else { described(node) };
    let message = format!("`{}` must be {wanted}, but is {is}", key(one));
    let number_in_quotes = match (one.field.kind, node.text()) {
        (Kind::Count { .. } | Kind::Number { .. } | Kind::Length { .. }, Some(text)) => {
            text.trim().parse::<f64>().is_ok()
        }
        _ => false,
    };
    let kind = if is_number { ProblemKind::InvalidValue } else { ProblemKind::WrongType };
    let problem = refused(kind, one, message);
    match node.text() {
        Some(text) if number_in_quotes && !node.place.is_loose() => {
            problem.note(format!("without quotes it is a number: {}", text.trim()))
        }
        Some(word) => problem.nearest(word, one.field.kind.words().iter().copied()),
        None => problem,
    }
}

fn key(one: &Given) -> &str {
    one.path.rsplit('.').next().unwrap_or_default()
}

/// Up to what the setter's type holds. `most` counts only where that is below: the rest is the
/// builder's to refuse.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared before")]
fn count(node: &Node, loose: bool, most: u32) -> Option<u32> {
    let bound = if most == u32::from(u16::MAX) { most } else { u32::MAX };
    let whole = match &node.value {
        Value::Integer(whole) => u32::try_from(*whole).ok()?,
        // JSON knows no whole numbers: 5.0 is 5.
        Value::Number(number)
            if number.fract() == 0.0 && (0.0..=4_294_967_295.0).contains(number) =>
        {
            *number as u32
        }
        Value::Text(text) if loose => text.trim().parse().ok()?,
        _ => return None,
    };
    (whole <= bound).then_some(whole)
}

#[expect(clippy::cast_precision_loss, reason = "settings are compared with limits, not summed")]
pub(super) fn number(node: &Node, loose: bool) -> Option<f64> {
    match &node.value {
        Value::Integer(whole) => Some(*whole as f64),
        Value::Number(number) => Some(*number),
        Value::Text(text) if loose => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn flag(node: &Node, loose: bool) -> Option<bool> {
    match &node.value {
        Value::Flag(flag) => Some(*flag),
        Value::Text(text) if loose => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

/// A duration as people write it, or a number of seconds.
pub(super) fn length(node: &Node, loose: bool) -> Option<Duration> {
    match &node.value {
        Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::Number(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        Value::Text(text) => {
            let text = text.trim();
            let seconds = || text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
            humantime::parse_duration(text).ok().or_else(|| loose.then(seconds).flatten())
        }
        _ => None,
    }
}

pub(super) fn limit(one: &Given, problems: &mut Problems) -> Option<Duration> {
    match read(one) {
        Ok(Typed::Length(limit)) => Some(limit),
        Ok(_) => None,
        Err(problem) => {
            problems.add(*problem);
            None
        }
    }
}

pub(super) fn least_one(one: &Given, problems: &mut Problems) -> Option<u32> {
    match read(one) {
        Ok(Typed::Count(count)) if count > 0 => Some(count),
        Ok(_) => {
            problems.add(wrong_type(one));
            None
        }
        Err(problem) => {
            problems.add(*problem);
            None
        }
    }
}

pub(super) fn text(one: &Given, problems: &mut Problems) -> Option<Arc<str>> {
    const LONGEST: usize = 4096;
    let text = one.node.text().filter(|text| !text.trim().is_empty() && text.len() <= LONGEST);
    if text.is_none() {
        problems.add(wrong_type(one));
    }
    text.map(Arc::from)
}

/// The budgets that entries share by name.
pub(super) type Budgets = HashMap<Arc<str>, Option<Arc<RetryBudget>>>;

pub(super) fn budget(
    one: &Given,
    shared: &Budgets,
    problems: &mut Problems,
) -> Option<SharedBudget> {
    if let Value::Table(_) = &one.node.value {
        let given = fields(&one.node, &one.path, super::fields::BUDGET.iter().collect(), problems);
        let whole = (&*one.path, &one.node.place);
        return own_budget(&given, whole, problems).map(SharedBudget::from);
    }
    let Some(name) = one.node.text() else {
        problems.add(wrong_type(one));
        return None;
    };
    match (name, shared.get(name)) {
        ("aws", _) => Some(RetryBudget::aws().into()),
        ("grpc", _) => Some(RetryBudget::grpc().into()),
        // One that is refused has been told of where it stands.
        (_, Some(budget)) => budget.clone().map(SharedBudget::from),
        (_, None) => {
            let message = format!(
                "there is no budget `{name}` under `budgets`, and no such preset: it is {}",
                one_of(&BUDGET_PRESETS)
            );
            let known = shared.keys().map(|name| &**name).chain(BUDGET_PRESETS);
            let mut known: Vec<&str> = known.collect();
            known.sort_unstable();
            problems.add(refused(ProblemKind::UnknownName, one, message).nearest(name, known));
            None
        }
    }
}

/// A budget of `ratio` and `floor`, both of which must be given: neither has a value for everyone.
pub(super) fn own_budget(
    given: &[Given],
    (path, place): (&str, &Place),
    problems: &mut Problems,
) -> Option<RetryBudget> {
    let mut typed = HashMap::new();
    for one in given {
        match read(one) {
            Ok(value) => _ = typed.insert(one.field.name, value),
            Err(problem) => {
                problems.add(*problem);
                return None;
            }
        }
    }
    let (ratio, floor) = match (typed.get("ratio"), typed.get("floor")) {
        (Some(Typed::Number(ratio)), Some(Typed::Count(floor))) => (*ratio, *floor),
        (ratio, _) => {
            let missing = if ratio.is_none() { "ratio" } else { "floor" };
            let message =
                format!("a budget needs its `{missing}`, such as {{ ratio = 0.1, floor = 10 }}");
            problems.add(Problem::new(ProblemKind::Missing, place, message).field(path));
            return None;
        }
    };
    match RetryBudget::try_new(ratio, floor) {
        Ok(budget) => Some(budget),
        Err(invalid) => {
            if let Some(one) = given.iter().find(|one| one.field.name == invalid.field()) {
                problems.add(from_builder(&invalid, one.field.kind, one, given));
            }
            None
        }
    }
}
