//! CSV to a trace.

use super::{Call, Data, Row, Trace};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use seawall::trace::Outcome;
use std::{collections::HashMap, error, fmt, io, sync::Arc};

/// The columns, and whether there can be a trace without one.
const COLUMNS: [(&str, bool); 5] =
    [("at_ms", true), ("took_ms", true), ("outcome", true), ("call", false), ("key", false)];

/// How long a line may be, in bytes.
const LONGEST_LINE: usize = 4096;
/// How many columns a line may have. Those of other names are not looked at.
const MOST_COLUMNS: usize = 64;
const LONGEST_KEY: usize = 128;
/// The latest time, in ms: the year 2286, where times are those of Unix.
const LATEST: f64 = 1e13;
/// The longest trace, in ms: a year and a day.
const LONGEST_TRACE: f64 = 366.0 * 86_400_000.0;
/// The longest attempt, in ms: a week.
const LONGEST_ATTEMPT: f64 = 7.0 * 86_400_000.0;

/// Why a file is no trace.
#[derive(Debug)]
pub struct TraceError {
    /// The line, counted from 1 with the header; none if it is of the file as a whole.
    line: Option<u64>,
    /// The column's number, counted from 1, and its name.
    column: Option<(usize, String)>,
    problem: TraceProblem,
}

/// What is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceProblem {
    /// It cannot be read.
    Unreadable(io::Error),
    /// The header is not one, or lacks a column.
    Header(String),
    /// A line is too long, has too few or too many fields, or is no text.
    Line(String),
    /// A value makes no sense. The text says what is allowed.
    Value {
        /// What stands there, cut where it is long.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// There are too many rows, keys, or none at all, or they span too much time.
    Size(String),
}

impl TraceError {
    /// The line, counted from 1 with the header; none if it is of the file as a whole.
    pub const fn line(&self) -> Option<u64> {
        self.line
    }

    /// The column's number, counted from 1, and its name.
    pub fn column(&self) -> Option<(usize, &str)> {
        self.column.as_ref().map(|(number, name)| (*number, &**name))
    }

    /// What is wrong.
    pub const fn problem(&self) -> &TraceProblem {
        &self.problem
    }

    const fn of_file(problem: TraceProblem) -> Self {
        Self { line: None, column: None, problem }
    }

    const fn of_line(line: u64, problem: TraceProblem) -> Self {
        Self { line: Some(line), column: None, problem }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some((number, name)) = &self.column {
                write!(f, ", column {number} (`{name}`)")?;
            }
            f.write_str(": ")?;
        }
        match &self.problem {
            TraceProblem::Unreadable(why) => write!(f, "cannot be read: {why}"),
            TraceProblem::Header(why) | TraceProblem::Line(why) | TraceProblem::Size(why) => {
                f.write_str(why)
            }
            TraceProblem::Value { value, allowed } => write!(f, "`{value}` is not {allowed}"),
        }
    }
}

impl error::Error for TraceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.problem {
            TraceProblem::Unreadable(why) => Some(why),
            _ => None,
        }
    }
}

impl Trace {
    /// Reads a trace. Columns may come in any order, and others beside them; rows in any order as well,
    /// since a trace is written as attempts end. Quotes, both kinds of line ends, a byte order mark, and
    /// `;` or a tab in place of the comma are all in order: what spreadsheets make of it.
    ///
    /// Memory is bounded by the number of rows, which is bounded by [`MOST_ROWS`](Self::MOST_ROWS),
    /// whatever the file holds.
    ///
    /// ```
    /// use seawall_sim::Trace;
    ///
    /// let trace = Trace::read("at_ms,took_ms,outcome\n0,12.5,success\n3,900,timed_out\n".as_bytes())?;
    /// assert_eq!((trace.calls(), trace.length().as_millis()), (2, 903));
    ///
    /// let error = Trace::read("at_ms,took_ms,outcome\n0,-1,success\n".as_bytes()).unwrap_err();
    /// assert!(error.to_string().starts_with("line 2, column 2 (`took_ms`): `-1` is not"));
    /// # Ok::<_, seawall_sim::TraceError>(())
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and column.
    pub fn read(input: impl io::Read) -> Result<Self, TraceError> {
        let mut lines = Lines::new(input)?;
        let header = Header::read(&mut lines)?;
        let mut builder = Builder::default();
        while let Some(line) = lines.next()? {
            builder.add(&header, &lines, line)?;
        }
        builder.build()
    }
}

/// Reads a line at a time, never more than fits.
struct Lines<R> {
    input: R,
    reader: Reader,
    /// Bytes of the input that have not been looked at: from, to.
    given: Box<[u8; 1 << 14]>,
    from: usize,
    to: usize,
    text: Box<[u8; LONGEST_LINE]>,
    ends: [usize; MOST_COLUMNS],
    count: usize,
}

impl<R: io::Read> Lines<R> {
    fn new(input: R) -> Result<Self, TraceError> {
        let mut new = Self {
            input,
            reader: Reader::new(),
            given: Box::new([0; 1 << 14]),
            from: 0,
            to: 0,
            text: Box::new([0; LONGEST_LINE]),
            ends: [0; MOST_COLUMNS],
            count: 0,
        };
        // The first of the separators in the header is the one.
        while new.to < LONGEST_LINE && !new.given[..new.to].contains(&b'\n') {
            if !new.fill()? {
                break;
            }
        }
        if new.given.starts_with(b"\xEF\xBB\xBF") {
            new.from = 3;
        }
        let is_separator = |byte: &&u8| matches!(byte, b',' | b';' | b'\t' | b'\n');
        let separator = new.given[new.from..new.to].iter().find(is_separator);
        let separator = separator.copied().filter(|byte| *byte != b'\n').unwrap_or(b',');
        new.reader = ReaderBuilder::new().delimiter(separator).build();
        Ok(new)
    }

    /// Takes in more, behind what is there; false at the end.
    fn fill(&mut self) -> Result<bool, TraceError> {
        loop {
            match self.input.read(&mut self.given[self.to..]) {
                Ok(more) => {
                    self.to += more;
                    return Ok(more > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TraceError::of_file(TraceProblem::Unreadable(error))),
            }
        }
    }

    /// The number of the next line, which is now at hand; none at the end.
    fn next(&mut self) -> Result<Option<u64>, TraceError> {
        let (mut text, mut ends) = (0, 0);
        // csv-core counts ends of lines, blank ones before this record included.
        let mut line = None;
        loop {
            if self.from == self.to {
                (self.from, self.to) = (0, 0);
                self.fill()?;
            }
            let given = &self.given[self.from..self.to];
            if line.is_none() {
                let blank = given.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                let blank = blank.filter(|byte| **byte == b'\n').count() as u64;
                let all_blank = given.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
                if !all_blank {
                    line = Some(self.reader.line() + blank);
                }
            }
            let (result, read, wrote, ended) =
                self.reader.read_record(given, &mut self.text[text..], &mut self.ends[ends..]);
            self.from += read;
            text += wrote;
            ends += ended;
            let here = line.unwrap_or_else(|| self.reader.line());
            let long = |what: String| Err(TraceError::of_line(here, TraceProblem::Line(what)));
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    return long(format!(
                        "the line is longer than {LONGEST_LINE} bytes; is a quote not closed?"
                    ));
                }
                ReadRecordResult::OutputEndsFull => {
                    return long(format!("the line has more than {MOST_COLUMNS} columns"));
                }
                ReadRecordResult::Record => {
                    self.count = ends;
                    return Ok(Some(here));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// A field of the line at hand, without the spaces around it; empty where there is none.
    fn field(&self, at: usize) -> &[u8] {
        if at >= self.count {
            return &[];
        }
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text[from..self.ends[at]].trim_ascii()
    }

    fn is_blank(&self) -> bool {
        (0..self.count).all(|at| self.field(at).is_empty())
    }
}

/// Where each of the columns stands.
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    count: usize,
}

impl Header {
    fn read<R: io::Read>(lines: &mut Lines<R>) -> Result<Self, TraceError> {
        let expected = "a trace begins with a header such as `at_ms,took_ms,outcome,call,key`";
        let Some(line) = lines.next()? else {
            let why = format!("the file is empty: {expected}");
            return Err(TraceError::of_file(TraceProblem::Header(why)));
        };
        let wrong = |why: String| Err(TraceError::of_line(line, TraceProblem::Header(why)));
        let mut places = [None; COLUMNS.len()];
        let mut found = Vec::new();
        for at in 0..lines.count {
            let name = lines.field(at);
            if let Some(which) = COLUMNS.iter().position(|(known, _)| known.as_bytes() == name) {
                if places[which].replace(at).is_some() {
                    return wrong(format!("the column `{}` is there twice", COLUMNS[which].0));
                }
            }
            found.push(String::from_utf8_lossy(name));
        }
        for ((name, is_needed), place) in COLUMNS.iter().zip(places) {
            if *is_needed && place.is_none() {
                let found = shown(found.join(", ").as_bytes());
                return wrong(format!("there is no column `{name}` in `{found}`: {expected}"));
            }
        }
        Ok(Self { places, count: lines.count })
    }
}

/// Rows as they come in.
#[derive(Default)]
struct Builder {
    /// With the call's number in the file; times in ms since `began`.
    rows: Vec<(f64, f64, Outcome, u32, Option<u64>)>,
    keys: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Builder {
    fn add<R: io::Read>(
        &mut self,
        header: &Header,
        lines: &Lines<R>,
        line: u64,
    ) -> Result<(), TraceError> {
        // What a spreadsheet leaves at the end.
        if lines.is_blank() {
            return Ok(());
        }
        if lines.count > header.count {
            let why = format!("{} fields, where the header has {}", lines.count, header.count);
            return Err(TraceError::of_line(line, TraceProblem::Line(why)));
        }
        let field = |which: usize| header.places[which].map_or(&[][..], |at| lines.field(at));
        let wrong = |which: usize, allowed: String| {
            let number = header.places[which].map_or(0, |at| at + 1);
            TraceError {
                line: Some(line),
                column: Some((number, COLUMNS[which].0.to_owned())),
                problem: TraceProblem::Value { value: shown(field(which)), allowed },
            }
        };
        let ms = |which: usize, most: f64| {
            let text = std::str::from_utf8(field(which)).unwrap_or_default();
            let allowed = || {
                let comma = if text.contains(',') { ", written with a point" } else { "" };
                wrong(which, format!("a time in ms from 0 to {most}{comma}"))
            };
            let value = text.parse::<f64>().ok().filter(|ms| (0.0..=most).contains(ms));
            value.ok_or_else(allowed)
        };
        let at = ms(0, LATEST)?;
        let took = ms(1, LONGEST_ATTEMPT)?;
        let outcome = std::str::from_utf8(field(2)).unwrap_or_default().parse::<Outcome>();
        let outcome = outcome.map_err(|_| {
            let words: Vec<&str> = Outcome::ALL.iter().map(|known| known.as_str()).collect();
            wrong(2, format!("an outcome: one of {}", words.join(", ")))
        })?;
        let call = match field(3) {
            [] => None,
            digits => {
                let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                Some(number.ok_or_else(|| wrong(3, format!("a number from 0 to {}", u64::MAX)))?)
            }
        };
        let key = field(4);
        let key = std::str::from_utf8(key).ok().filter(|key| key.len() <= LONGEST_KEY);
        let key =
            key.ok_or_else(|| wrong(4, format!("a text in UTF-8 of up to {LONGEST_KEY} bytes")))?;
        let key = match self.numbers.get(key) {
            Some(known) => *known,
            None if self.keys.len() == Trace::MOST_KEYS => {
                return Err(wrong(
                    4,
                    format!("one of the first {} keys: there may be no more", Trace::MOST_KEYS),
                ));
            }
            None => {
                let number = u32::try_from(self.keys.len()).expect("fewer than MOST_KEYS");
                self.keys.push(key.to_owned());
                self.numbers.insert(key.to_owned(), number);
                number
            }
        };
        if self.rows.len() == Trace::MOST_ROWS {
            let why =
                format!("a trace has up to {} rows: cut it, or sample calls", Trace::MOST_ROWS);
            return Err(TraceError::of_line(line, TraceProblem::Size(why)));
        }
        self.rows.push((at, took, outcome, key, call));
        Ok(())
    }

    fn build(mut self) -> Result<Trace, TraceError> {
        let size = |why: String| Err(TraceError::of_file(TraceProblem::Size(why)));
        // The sort is stable: what began at one time stays in the order of the file.
        self.rows.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return size("there is a header and no row below it".to_owned());
        };
        let (began, ends) = (first.0, last.0);
        if ends - began > LONGEST_TRACE {
            return size(format!(
                "`at_ms` goes from {began} to {ends}: a trace spans {LONGEST_TRACE} ms, a year, at most"
            ));
        }
        if self.rows.iter().all(|(_, _, outcome, _, _)| *outcome == Outcome::Rejected) {
            return size("every row is `rejected`: there is no answer to replay".to_owned());
        }
        let mut calls: Vec<Call> = Vec::new();
        let mut by_number: HashMap<u64, u32> = HashMap::new();
        let mut rows: Vec<Row> = Vec::with_capacity(self.rows.len());
        for (at, took, outcome, key, number) in &self.rows {
            let next = u32::try_from(calls.len()).expect("fewer than MOST_ROWS");
            let call = number.map_or(next, |number| *by_number.entry(number).or_insert(next));
            let at = nanos(at - began);
            if call == next {
                calls.push(Call { at, key: *key, first: 0, last: 0 });
            }
            rows.push(Row { at, took: nanos(*took), outcome: *outcome, key: *key, call });
        }
        drop(self.rows);
        // A call's rows stand together; calls stay in the order in which they came.
        rows.sort_by_key(|row| row.call);
        let mut answers = vec![Vec::new(); self.keys.len()];
        let mut all = Vec::new();
        for (at, row) in (0..).zip(&rows) {
            let call = &mut calls[row.call as usize];
            call.last = at + 1;
            if at == 0 || rows[at as usize - 1].call != row.call {
                call.first = at;
            }
            if row.outcome != Outcome::Rejected {
                answers[row.key as usize].push(at);
            }
        }
        // A call that was rejected before any attempt may be written without its key: all may answer.
        if answers.iter().any(Vec::is_empty) {
            all = answers.concat();
        }
        for of_key in answers.iter_mut().chain([&mut all]) {
            of_key.sort_by_key(|at| rows[*at as usize].at);
        }
        Ok(Trace(Arc::new(Data {
            began: nanos(began),
            rows,
            calls,
            keys: self.keys,
            answers,
            all,
        })))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 1e19, and not negative"
)]
fn nanos(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

/// A value, for a message.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("...");
    }
    shown
}
