//! How long something takes: from a file, and back into one.

use super::fields::{Fields, LENGTH, length, wrong};
use crate::model::random::Span;
use seawall::config::{
    ProblemKind,
    door::{self, Problems, Told, Value},
};
use std::time::Duration;

/// The longest that one piece of work or one way may take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How far the 99th percentile may be from the median.
const WIDEST: f64 = 1e6;

const FORMS: [&str; 7] = ["constant", "exponential", "uniform", "normal", "p50", "p99", "recorded"];
const WANTED: &str = "a duration, which is then always the same, or one of { constant = \"10ms\" }, { exponential = \"10ms\" }, { uniform = [\"5ms\", \"15ms\"] }, { normal = [\"10ms\", \"2ms\"] }, { p50 = \"20ms\", p99 = \"200ms\" }, { recorded = [..] }";

/// The names that stand in place of one another. `p50` and `p99` go together.
pub(super) fn replaces(form: &str) -> &'static [&'static str] {
    match form {
        "p50" | "p99" => &["constant", "exponential", "uniform", "normal", "recorded"],
        _ => &["constant", "exponential", "uniform", "normal", "recorded", "p50", "p99"],
    }
}

/// Reads the field `name`; on average it must take `least`.
pub(super) fn read(
    fields: &Fields<'_>,
    name: &str,
    least: Duration,
    problems: &mut Problems,
) -> Option<Span> {
    let value = fields.get(name)?;
    let path = fields.path(name);
    let span = match value.text() {
        Some(text) if value.is_loose() && text.contains('=') => {
            let span = loose(text);
            if span.is_none() {
                let wanted = "written like 10ms, exponential=10ms, uniform=5ms..15ms, normal=10ms/2ms or p50=20ms,p99=200ms";
                wrong(value, &path, name, wanted, problems);
            }
            span?
        }
        _ if value.members().is_some() => table(value, &path, problems)?,
        _ => match value.length() {
            Some(length) => Span::Constant(length),
            None => {
                wrong(value, &path, name, WANTED, problems);
                return None;
            }
        },
    };
    let mut refuse = |part: &str, message: String| {
        // The part of a table that is wrong, where it is one.
        let inner = value.members().and_then(|mut all| all.find(|(key, ..)| *key == part));
        let (path, value) = match inner {
            Some((key, _, inner)) => (format!("{path}.{key}"), inner),
            None => (path.clone(), value),
        };
        let told = Told::new(ProblemKind::InvalidValue, value.place(), message);
        problems.add(told.field(path).value(value.shown()));
    };
    if let Some((part, why)) = nonsense(&span) {
        refuse(part, format!("`{part}` must {why}"));
        return None;
    }
    let mean = span.mean();
    if mean < least || mean > LONGEST {
        let why = format!("within {least:?}..={LONGEST:?} on average, but is {mean:?}");
        refuse("", format!("`{name}` must be {why}"));
        return None;
    }
    Some(span)
}

/// What part of it makes no sense, and what it must be.
fn nonsense(span: &Span) -> Option<(&'static str, String)> {
    let within = |part: &'static str, span: Duration| {
        (span > LONGEST).then(|| (part, format!("be at most {LONGEST:?}, but is {span:?}")))
    };
    match span {
        Span::Constant(span) => within("constant", *span),
        Span::Exponential(mean) => within("exponential", *mean),
        Span::Uniform(from, to) if from > to => {
            let why = format!("go from the shorter to the longer, but is {from:?} to {to:?}");
            Some(("uniform", why))
        }
        Span::Uniform(_, to) => within("uniform", *to),
        Span::Normal(mean, deviation) => {
            within("normal", *mean).or_else(|| within("normal", *deviation))
        }
        Span::LogNormal { p50, .. } if p50.is_zero() => {
            Some(("p50", "be above 0, but is 0".into()))
        }
        Span::LogNormal { p50, p99 } if p99 < p50 => {
            Some(("p99", format!("not be shorter than `p50`, {p50:?}, but is {p99:?}")))
        }
        Span::LogNormal { p50, p99 } if p99.as_secs_f64() > p50.as_secs_f64() * WIDEST => {
            Some(("p99", format!("be at most {WIDEST} times `p50`, {p50:?}, but is {p99:?}")))
        }
        Span::LogNormal { p99, .. } => within("p99", *p99),
        Span::Recorded(spans) if spans.is_empty() => {
            Some(("recorded", "hold a duration at least".into()))
        }
        Span::Recorded(spans) => within("recorded", spans.iter().max().copied()?),
    }
}

fn table(value: Value<'_>, path: &str, problems: &mut Problems) -> Option<Span> {
    let fields = Fields::of(value, path, &FORMS, problems)?;
    let forms = ["constant", "exponential", "uniform", "normal", "recorded", "p50"];
    let form = match fields.only_one(&forms, problems) {
        None if fields.has("p99") => "p50",
        None => {
            let message = format!("`{path}` must be {WANTED}");
            problems.add(Told::new(ProblemKind::Missing, value.place(), message).field(path));
            return None;
        }
        Some(form) => form,
    };
    if form != "p50" {
        fields.none_of(&["p99"], form, problems);
    }
    let one = |name: &str, problems: &mut Problems| {
        length(fields.get(name)?, &fields.path(name), name, problems)
    };
    match form {
        "constant" => one(form, problems).map(Span::Constant),
        "exponential" => one(form, problems).map(Span::Exponential),
        "p50" => {
            for name in ["p50", "p99"].into_iter().filter(|name| !fields.has(name)) {
                fields.missing(name, "the two say how latencies are spread", problems);
            }
            let (p50, p99) = (one("p50", problems), one("p99", problems));
            Some(Span::LogNormal { p50: p50?, p99: p99? })
        }
        _ => {
            let spans = lengths(&fields, form, problems)?;
            match (form, spans.as_slice()) {
                ("recorded", _) => Some(Span::Recorded(spans)),
                ("uniform", [from, to]) => Some(Span::Uniform(*from, *to)),
                ("normal", [mean, deviation]) => Some(Span::Normal(*mean, *deviation)),
                _ => {
                    let two = if form == "uniform" { "from and to" } else { "mean and deviation" };
                    let message = format!("`{form}` must be two durations, {two}");
                    fields.refuse(form, message, problems);
                    None
                }
            }
        }
    }
}

/// A list of durations, not longer than memory is large.
pub(super) fn lengths(
    fields: &Fields<'_>,
    name: &str,
    problems: &mut Problems,
) -> Option<Vec<Duration>> {
    let (value, path) = (fields.get(name)?, fields.path(name));
    let Some(list) = value.list() else {
        wrong(value, &path, name, &format!("a list of durations, each {LENGTH}"), problems);
        return None;
    };
    let all: Vec<Option<Duration>> =
        list.map(|value| length(value, &path, name, problems)).collect();
    all.into_iter().collect()
}

/// From an option: `p50=20ms,p99=200ms`.
fn loose(text: &str) -> Option<Span> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let pairs: Vec<(String, String)> = text.split(',').map(pair).collect::<Option<_>>()?;
    let two = |text: &str, by: &str| {
        let (one, other) = text.split_once(by)?;
        Some((door::length(one.trim())?, door::length(other.trim())?))
    };
    match pairs.as_slice() {
        [(name, value)] => match name.as_str() {
            "constant" => Some(Span::Constant(door::length(value)?)),
            "exponential" => Some(Span::Exponential(door::length(value)?)),
            "uniform" => two(value, "..").map(|(from, to)| Span::Uniform(from, to)),
            "normal" => two(value, "/").map(|(mean, deviation)| Span::Normal(mean, deviation)),
            _ => None,
        },
        [(one, low), (other, high)] => {
            let (p50, p99) = match (one.as_str(), other.as_str()) {
                ("p50", "p99") => (low, high),
                ("p99", "p50") => (high, low),
                _ => return None,
            };
            Some(Span::LogNormal { p50: door::length(p50)?, p99: door::length(p99)? })
        }
        _ => None,
    }
}

/// As a file has it.
pub(super) fn written(span: &Span) -> String {
    let list = |spans: &[Duration]| {
        let spans: Vec<String> = spans.iter().map(|span| length_written(*span)).collect();
        format!("[{}]", spans.join(", "))
    };
    match span {
        Span::Constant(span) => length_written(*span),
        Span::Exponential(mean) => format!("{{ exponential = {} }}", length_written(*mean)),
        Span::Uniform(from, to) => format!("{{ uniform = {} }}", list(&[*from, *to])),
        Span::Normal(mean, deviation) => format!("{{ normal = {} }}", list(&[*mean, *deviation])),
        Span::LogNormal { p50, p99 } => {
            format!("{{ p50 = {}, p99 = {} }}", length_written(*p50), length_written(*p99))
        }
        Span::Recorded(spans) => format!("{{ recorded = {} }}", list(spans)),
    }
}

/// In the largest unit that it is a whole number of.
pub(super) fn length_written(span: Duration) -> String {
    let ns = span.as_nanos();
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)];
    match units.into_iter().find(|(_, unit)| ns % unit == 0) {
        Some((unit, each)) => format!("\"{}{unit}\"", ns / each),
        None => format!("\"{ns}ns\""),
    }
}
