//! One experiment at many settings.

use crate::{
    file::Draft,
    measure::Seen,
    study::{Figures, Metric, Pool, Progress, Study, Summary, figures},
};
use seawall::config::{ConfigError, door};
use serde::Serialize;
use std::{fmt, str::FromStr, sync::atomic::AtomicBool, thread, time::Duration};

/// A field and the values that it takes in turn: `retry.max_attempts=1..6`, `load=0.5..1.2:0.1`,
/// `service.workers=10,20,50`, `timeout=100ms..500ms:100ms`.
///
/// A range holds both ends; without a step it goes on by one in the last place that is written.
///
/// ```
/// use seawall_sim::Axis;
///
/// let axis: Axis = "load=0.8..1.1".parse()?;
/// assert_eq!(axis.path(), "load");
/// assert_eq!(axis.values(), ["0.8", "0.9", "1.0", "1.1"]);
/// # Ok::<_, seawall_sim::WrongAxis>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    path: String,
    values: Vec<String>,
}

impl Axis {
    /// The most values of one axis.
    const MOST: u128 = 1000;

    /// The field, as [`Draft::set`] takes it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The values, as [`Draft::set`] takes them.
    pub fn values(&self) -> &[String] {
        &self.values
    }
}

/// Text that is no axis, with what one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongAxis(String);

impl fmt::Display for WrongAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongAxis {}

impl FromStr for Axis {
    type Err = WrongAxis;

    fn from_str(text: &str) -> Result<Self, WrongAxis> {
        let wrong = |what: &str| {
            WrongAxis(format!(
                "{what}: a sweep is written FIELD=FROM..TO, FIELD=FROM..TO:STEP or FIELD=A,B,C"
            ))
        };
        let (path, values) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let (path, values) = (path.trim().to_owned(), values.trim());
        if path.is_empty() || path.split('.').any(str::is_empty) {
            return Err(wrong("the field has no name"));
        }
        let values = match values.split_once("..") {
            Some((from, rest)) => {
                let (to, step) = match rest.split_once(':') {
                    Some((to, step)) => (to, Some(step.trim())),
                    None => (rest, None),
                };
                range(from.trim(), to.trim(), step).map_err(|why| wrong(&why))?
            }
            None => values.split(',').map(|value| value.trim().to_owned()).collect(),
        };
        if values.iter().any(String::is_empty) {
            return Err(wrong("a value is empty"));
        }
        if values.len() as u128 > Self::MOST {
            return Err(wrong(&format!("there are more than {} values", Self::MOST)));
        }
        Ok(Self { path, values })
    }
}

/// A decimal number as a whole number of its last place, and how many places there are.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !digits.is_empty() && digits.len() + fraction.len() <= 18;
    if !(fits && all(digits) && all(fraction)) {
        return None;
    }
    let places = u32::try_from(fraction.len()).ok()?;
    Some((format!("{whole}{fraction}").parse().ok()?, places))
}

fn range(from: &str, to: &str, step: Option<&str>) -> Result<Vec<String>, String> {
    let numbers = [Some(from), Some(to), step].map(|text| text.map(decimal));
    let (values, show): (_, Box<dyn Fn(i128) -> String>) = match numbers {
        [Some(Some(from)), Some(Some(to)), None | Some(Some(_))] => {
            let step = numbers[2].flatten();
            let places = from.1.max(to.1).max(step.map_or(0, |(_, places)| places));
            let scaled = |(number, own): (i128, u32)| number * 10_i128.pow(places - own);
            let step = step.map_or(1, scaled);
            let show = move |value: i128| {
                let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
                let one = 10_u128.pow(places);
                match places as usize {
                    0 => format!("{sign}{digits}"),
                    width => format!("{sign}{}.{:0width$}", digits / one, digits % one),
                }
            };
            ((scaled(from), scaled(to), step), Box::new(show))
        }
        _ => {
            let ns = |text: &str| {
                let length = door::length(text).filter(|_| decimal(text).is_none());
                length.and_then(|length| i128::try_from(length.as_nanos()).ok()).ok_or_else(|| {
                    format!("`{text}` is neither a number nor a duration like the rest")
                })
            };
            let (from, to) = (ns(from)?, ns(to)?);
            let step =
                ns(step.ok_or("a range of durations needs its step, `100ms..500ms:100ms`")?)?;
            let show = |ns: i128| {
                format!("{:?}", Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
            };
            ((from, to, step), Box::new(show))
        }
    };
    let (first, last, step) = values;
    if step <= 0 {
        return Err("the step must be above 0".into());
    }
    if first > last {
        return Err(format!("the range begins at {from} and ends below, at {to}"));
    }
    let count = ((last - first) / step).unsigned_abs() + 1;
    if count > Axis::MOST {
        return Err(format!("the range has {count} values, more than {}", Axis::MOST));
    }
    Ok((0..count).map(|n| show(first + step * i128::try_from(n).unwrap_or(0))).collect())
}

/// An experiment at every combination of the values of its axes.
#[derive(Debug, Clone)]
#[must_use = "call `run_with`"]
pub struct Sweep {
    axes: Vec<Axis>,
    points: Vec<(Vec<String>, Study)>,
    threads: usize,
}

/// What a sweep has found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Swept {
    /// The fields, in the order in which they were given.
    pub fields: Vec<String>,
    /// One for each combination and policy; the last field's values follow one another.
    pub rows: Vec<Row>,
    /// False if it was stopped before its end: what is there is of the combinations that ended.
    pub complete: bool,
}

/// A policy at one combination of values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The values, in the order of the fields.
    pub values: Vec<String>,
    /// The policy's name.
    pub policy: String,
    /// How many runs this is of.
    pub runs: u32,
    /// The figures, each with its interval over the seeds.
    pub summary: Summary,
}

impl Sweep {
    /// The most combinations.
    pub const MOST: usize = 10_000;

    /// The experiment of `draft` at every combination of values, each of which is checked at once.
    ///
    /// # Errors
    /// Everything that is wrong with any of them; that there are too many, at the first axis.
    pub fn new(draft: &Draft, axes: Vec<Axis>) -> Result<Self, ConfigError> {
        let count = axes.iter().try_fold(1_usize, |all, axis| all.checked_mul(axis.values.len()));
        if count.is_none_or(|count| count > Self::MOST) {
            let message = format!(
                "the values combine in more than {} ways, the most there may be",
                Self::MOST
            );
            let place = door::option("--sweep");
            let kind = seawall::config::ProblemKind::InvalidValue;
            return Err(door::Told::new(kind, &place, message).into_error());
        }
        let mut problems = door::Problems::default();
        let mut points = Vec::new();
        for values in combinations(&axes) {
            let mut draft = draft.clone();
            let mut set = || {
                for (axis, value) in axes.iter().zip(&values) {
                    let option = format!("--sweep {}={value}", axis.path);
                    draft.set(&axis.path, value, &option)?;
                }
                draft.study()
            };
            match set() {
                Ok(study) => points.push((values, study)),
                Err(error) => problems.take(&error, ""),
            }
        }
        let threads = thread::available_parallelism().map_or(1, usize::from);
        problems.into_result(Self { axes, points, threads })
    }

    /// On how many threads. What is found does not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The experiment at the first combination.
    pub fn first(&self) -> Option<&Study> {
        self.points.first().map(|(_, study)| study)
    }

    /// Runs it; tells how far it is after each run, and ends early where `stop` is set: with the
    /// combinations that were done by then.
    ///
    /// # Panics
    /// If a policy does.
    pub fn run_with(&self, stop: &AtomicBool, progress: &(dyn Fn(Progress) + Sync)) -> Swept {
        let pool = Pool::new(self.threads, stop, progress);
        let mut jobs = Vec::new();
        for (point, (_, study)) in self.points.iter().enumerate() {
            let seeds = 0..study.seeds;
            let contenders = 0..study.contenders.len();
            jobs.extend(contenders.flat_map(|n| seeds.clone().map(move |seed| (point, n, seed))));
        }
        pool.plan(jobs.len());
        let run = |job: usize| -> Figures {
            let (point, contender, seed) = jobs[job];
            let study = &self.points[point].1;
            let seed = study.first_seed + u64::from(seed);
            let stopped = &|_| pool.is_stopped();
            let seen: Seen = study.plan.run_until(&study.contenders[contender], seed, stopped);
            pool.tell(&seen);
            figures(study.plan.scenario(), &seen)
        };
        let mut runs = pool.each(jobs.len(), run).into_iter();
        let mut rows = Vec::new();
        let mut complete = true;
        for (values, study) in &self.points {
            for contender in &study.contenders {
                // All of them are taken, so that those of the next policy come next.
                let mine: Vec<_> = runs.by_ref().take(study.seeds as usize).collect();
                let done: Option<Vec<Figures>> = mine.into_iter().collect();
                let Some(done) = done else {
                    complete = false;
                    continue;
                };
                rows.push(Row {
                    values: values.clone(),
                    policy: contender.name().to_owned(),
                    runs: study.seeds,
                    summary: Summary::of_figures(&done),
                });
            }
        }
        let fields = self.axes.iter().map(|axis| axis.path.clone()).collect();
        Swept { fields, rows, complete }
    }
}

/// The last axis turns fastest.
fn combinations(axes: &[Axis]) -> Vec<Vec<String>> {
    axes.iter().fold(vec![Vec::new()], |all, axis| {
        let with = |values: &Vec<String>, value: &String| {
            let mut values = values.clone();
            values.push(value.clone());
            values
        };
        all.iter()
            .flat_map(|values| axis.values.iter().map(move |value| with(values, value)))
            .collect()
    })
}

impl Swept {
    /// A line for each row: the values, the policy, and each figure with the ends of its interval.
    /// Nothing where there is no such figure, `inf` where it has no end.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: Vec<String>| {
            text.push_str(&cells.join(","));
            text.push('\n');
        };
        let heads = Metric::ALL.iter().flat_map(|metric| {
            [metric.to_string(), format!("{metric}_low"), format!("{metric}_high")]
        });
        let fields = self.fields.iter().map(|field| cell(field));
        line(fields.chain(["policy".into(), "runs".into()]).chain(heads).collect());
        for row in &self.rows {
            let figures =
                Metric::ALL.into_iter().flat_map(|metric| match row.summary.get(metric) {
                    Some(figure) => [figure.value, figure.low, figure.high].map(|n| n.to_string()),
                    None => [const { String::new() }; 3],
                });
            let values = row.values.iter().map(|value| cell(value));
            line(values.chain([cell(&row.policy), row.runs.to_string()]).chain(figures).collect());
        }
        text
    }
}

/// Text as CSV has it (RFC 4180).
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_both_ends_and_no_rounding() {
        for (text, values) in [
            ("a=1..4", "1 2 3 4"),
            ("a=0.5..0.8", "0.5 0.6 0.7 0.8"),
            ("a=0.95..1:0.05", "0.95 1.00"),
            ("a=1..10:4", "1 5 9"),
            ("a=-1..1", "-1 0 1"),
            ("a=-0.2..0.1:0.2", "-0.2 0.0"),
            ("a=5..5", "5"),
            ("a=100ms..1s:400ms", "100ms 500ms 900ms"),
            ("a=fixed, linear", "fixed linear"),
            ("a=1s", "1s"),
        ] {
            let axis: Axis = text.parse().expect(text);
            assert_eq!(axis.values().join(" "), values, "{text}");
        }
    }

    #[test]
    fn what_is_no_axis_is_told_with_what_one_is() {
        for (text, told) in [
            ("retry", "there is no `=`"),
            ("=1", "the field has no name"),
            ("a..b=1", "the field has no name"),
            ("a=", "a value is empty"),
            ("a=1,,2", "a value is empty"),
            ("a=6..1", "the range begins at 6 and ends below, at 1"),
            ("a=1..6:0", "the step must be above 0"),
            ("a=1..6:-1", "the step must be above 0"),
            ("a=1..1000000000000", "the range has 1000000000000 values, more than 1000"),
            ("a=1..999999999999999999999", "is neither a number nor a duration"),
            ("a=1..b", "is neither a number nor a duration"),
            ("a=1..5s", "is neither a number nor a duration"),
            ("a=1s..5s", "a range of durations needs its step"),
            ("a=nan..inf", "is neither a number nor a duration"),
        ] {
            let error = text.parse::<Axis>().expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
            assert!(error.contains("FIELD=A,B,C"), "{error}");
        }
    }

    #[test]
    fn the_last_field_turns_fastest() {
        let axes = ["a=1..2", "b=x,y"].map(|text| text.parse().expect(text));
        let all: Vec<String> = combinations(&axes).iter().map(|values| values.concat()).collect();
        assert_eq!(all, ["1x", "1y", "2x", "2y"]);
    }

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(cell("a"), "a");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("a\"b"), "\"a\"\"b\"");
    }
}
