//! The report for a terminal.

use super::{
    comparison::{capacity, cut, level},
    plot::{self, Of, Sample, mean, samples},
    table::{self, Cell, SHORT},
    words::{self, letter, number, outlook, seconds, sentence},
};
use crate::study::{Findings, Outlook};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: bool,
    pub(super) unicode: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "1;32";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";

/// The widest label of the table, and a space.
const LABEL: usize = 14;
/// A figure with its spread, and the mark of the best.
const COLUMN: usize = 16;

pub(super) fn report(found: &Findings, width: usize, style: Style) -> String {
    let mut page = Page { width: width.clamp(40, 160), style, text: String::new() };
    page.head(found);
    page.table(found);
    page.plots(found);
    page.verdicts(found);
    page.assumptions(found);
    page.text
}

struct Page {
    width: usize,
    style: Style,
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn paint(&self, text: &str, with: &str) -> String {
        match self.style.colour && !text.is_empty() {
            true => format!("\x1b[{with}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn pick<T>(&self, unicode: T, ascii: T) -> T {
        if self.style.unicode { unicode } else { ascii }
    }

    /// A text from outside, as this terminal can show it.
    fn shown(&self, text: &str) -> String {
        let text = words::clean(text);
        match self.style.unicode {
            true => text,
            false => text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect(),
        }
    }

    fn cut(&self, text: &str, columns: usize) -> String {
        let cut = cut(&self.shown(text), columns);
        if self.style.unicode { cut } else { cut.replace('\u{2026}', "~") }
    }

    /// Words, in lines that begin with `indent` spaces.
    fn wrapped(&mut self, text: &str, indent: usize) {
        for line in wrap(&self.shown(text), self.width - indent) {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// Words that are there to be looked up, in lines.
    fn dim(&mut self, text: &str) {
        for line in wrap(text, self.width) {
            let line = self.paint(&line, DIM);
            self.line(&line);
        }
    }

    fn heading(&mut self, text: &str) {
        let heading = self.paint(text, BOLD);
        self.line("");
        self.line(&heading);
    }

    fn head(&mut self, found: &Findings) {
        let scenario = &found.scenario;
        let name = self.shown(&scenario.name);
        let head = match sentence(&scenario.about) {
            about if about.is_empty() => name.clone(),
            about => format!("{name}: {}", self.shown(&about)),
        };
        for (n, line) in wrap(&head, self.width).into_iter().enumerate() {
            match line.strip_prefix(&name) {
                Some(rest) if n == 0 => self.line(&format!("{}{rest}", self.paint(&name, BOLD))),
                _ => self.line(&line),
            }
        }
        let mut facts = vec![words::load(scenario), words::duration(scenario.length)];
        facts.extend(scenario.faults.iter().take(4).map(|one| words::fault_in_full(one, scenario)));
        match scenario.faults.len() {
            0 => facts.push("nothing goes wrong".to_owned()),
            1..=4 => {}
            more => facts.push(format!("{} faults more", more - 4)),
        }
        facts.push(words::seeds(found));
        self.wrapped(&sentence(&facts.join("; ")), 0);
        if !found.complete {
            self.line("");
            let note = "stopped before its end: the figures are of the runs that ended.";
            for line in wrap(note, self.width) {
                let line = self.paint(&line, YELLOW);
                self.line(&line);
            }
        }
        if found.findings.is_empty() {
            self.line("");
            self.line("No policy took part, or no run ended.");
        }
    }

    fn table(&mut self, found: &Findings) {
        let rows = table::rows(found, &SHORT);
        let columns = ((self.width - LABEL) / COLUMN).max(1);
        let count = found.findings.len();
        for first in (0..count).step_by(columns) {
            let shown = first..(first + columns).min(count);
            self.line("");
            // A name gets up to three lines of its column.
            let names: Vec<Vec<String>> = shown
                .clone()
                .map(|n| {
                    let name = format!("{} {}", letter(n), found.findings[n].name);
                    wrap(&self.cut(&name, 3 * (COLUMN - 2)), COLUMN - 2)
                })
                .collect();
            for at in 0..names.iter().map(Vec::len).max().unwrap_or(0).min(3) {
                let part = |name: &Vec<String>| pad(name.get(at).map_or("", |part| part), COLUMN);
                let head: String = names.iter().map(part).collect();
                let head = self.paint(head.trim_end(), BOLD);
                self.line(&format!("{}{head}", pad("", LABEL)));
            }
            for row in &rows {
                let unit = if row.unit == "x" { "" } else { row.unit };
                let space = LABEL - 1 - row_label(row.label).len();
                let unit = format!("{unit:>space$} ");
                let mut line = format!("{}{}", row_label(row.label), self.paint(&unit, DIM));
                for cell in &row.cells[shown.clone()] {
                    let (figure, rest) = self.cell(cell);
                    let used = figure.width() + rest.width();
                    line.push_str(&if cell.best { self.paint(&figure, GREEN) } else { figure });
                    line.push_str(&self.paint(&rest, DIM));
                    line.push_str(&" ".repeat(COLUMN.saturating_sub(used)));
                }
                self.line(&line);
            }
        }
        if rows.iter().any(|row| row.cells.iter().any(|cell| cell.best)) {
            let spread = self.pick("\u{b1}", "+-");
            let key = format!("* best of its row; {spread} 95 % interval over the seeds");
            let some_never = rows
                .iter()
                .flat_map(|row| &row.cells)
                .any(|cell| cell.figure.is_some_and(|f| f.low.is_finite() && !f.high.is_finite()));
            let key =
                if some_never { key + "; .. from the least run to the greatest" } else { key };
            self.dim(&key);
        }
    }

    /// The figure, and what stands behind it.
    fn cell(&self, cell: &Cell) -> (String, String) {
        let Some(figure) = cell.figure else {
            return ("-".to_owned(), String::new());
        };
        let best = if cell.best { "*" } else { "" };
        let value = format!("{}{best}", table::value(figure));
        let rest = match (table::spread(figure), table::interval(figure)) {
            (Some(spread), _) => format!(" {}{spread}", self.pick("\u{b1}", "+-")),
            (None, Some((low, high))) if !figure.high.is_finite() => format!(" {low}..{high}"),
            _ => String::new(),
        };
        (value, rest)
    }

    fn plots(&mut self, found: &Findings) {
        let bin = found.bin;
        let of_all = |of: Of| -> Vec<Vec<Sample>> {
            found.findings.iter().map(|finding| samples(&finding.series, bin, of)).collect()
        };
        let offered = of_all(|point| Some(point.calls));
        if offered.iter().all(Vec::is_empty) {
            self.line("");
            self.line("No run was long enough to show.");
            return;
        }
        let service = of_all(|point| Some(point.backend));
        let goodput = of_all(|point| Some(point.good));
        // Calls that come by themselves come alike for all.
        let is_open = found.scenario.rate().is_some();
        let alike = offered.iter().position(|samples| !samples.is_empty()).unwrap_or(0);
        let offered = if is_open { &offered[alike..=alike] } else { &offered[..] };
        let top = self.plot(found, "Offered load, calls a second", offered, is_open, None, "");
        let can = capacity(found);
        let note = can.map_or_else(String::new, |can| format!("; it can serve {}", number(can)));
        let level = level(found).map(|(most, _)| most);
        self.plot(found, "Load at the service, requests a second", &service, false, level, &note);
        // Goodput against what could be had.
        self.plot(found, "Goodput, calls a second", &goodput, false, is_open.then_some(top), "");
    }

    /// One line for each series, all on one scale, and below them the time. Gives the scale's top.
    fn plot(
        &mut self,
        found: &Findings,
        heading: &str,
        series: &[Vec<Sample>],
        is_common: bool,
        least_top: Option<f64>,
        note: &str,
    ) -> f64 {
        let values = series.iter().flatten().filter_map(|(_, value)| *value);
        let top = values.chain(least_top).filter(|value| value.is_finite()).fold(0.0, f64::max);
        let top = if top > 0.0 { top } else { 1.0 };
        let names = found.findings.iter().map(|finding| self.shown(&finding.name).width() + 2);
        let label = names.max().unwrap_or(0).clamp(8, self.width / 4);
        let columns = self.width - label - 1 - 11;
        let note = format!("full height: {}{note}", words::tick(top.round()));
        self.heading(heading);
        if heading.width() + 2 + note.width() <= self.width {
            self.text.pop();
            let note = self.paint(&note, DIM);
            self.line(&format!("  {note}"));
        } else {
            self.dim(&note);
        }
        let length = plot::length(found);
        for (n, samples) in series.iter().enumerate() {
            let name = match is_common {
                true => "all".to_owned(),
                false => format!("{} {}", letter(n), found.findings[n].name),
            };
            let name = pad(&self.cut(&name, label), label);
            let greatest = samples.iter().filter_map(|(_, value)| *value).reduce(f64::max);
            let greatest = greatest.map_or_else(
                || "no data".to_owned(),
                |v| format!("max {}", words::tick(v.round())),
            );
            let rows = if series.len() > 4 || is_common { 1 } else { 2 };
            for row in (0..rows).rev() {
                let drawn = self.bars(samples, top, length, columns, row, rows);
                let (before, after) = match row {
                    0 => (name.clone(), self.paint(&format!(" {greatest}"), DIM)),
                    _ => (pad("", label), String::new()),
                };
                self.line(&format!("{before} {drawn}{after}"));
            }
        }
        self.times(found, length, label + 1, columns);
        top
    }

    /// One of `rows` lines of a series as bars; row 0 is the lowest.
    fn bars(
        &self,
        samples: &[Sample],
        top: f64,
        length: f64,
        columns: usize,
        row: usize,
        rows: usize,
    ) -> String {
        const BLOCKS: [char; 9] = [
            ' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}',
            '\u{2587}', '\u{2588}',
        ];
        const ASCII: [char; 9] = [' ', '_', '.', '-', '=', '+', 'x', '%', '#'];
        let letters = self.pick(BLOCKS, ASCII);
        let bar = |column: usize| {
            let at = |column: usize| length * column as f64 / columns as f64;
            let Some(value) = mean(samples, at(column), at(column + 1)) else { return ' ' };
            // Something is never drawn as nothing.
            let least = if value > 0.0 && row == 0 { 1.0 } else { 0.0 };
            let filled =
                ((value / top).clamp(0.0, 1.0) * (rows * 8) as f64).round() - (row * 8) as f64;
            let filled = filled.clamp(least, 8.0);
            (0..=8_u8)
                .find(|n| f64::from(*n) >= filled)
                .map_or('\u{20}', |n| letters[usize::from(n)])
        };
        (0..columns).map(bar).collect()
    }

    /// The time's axis: where the trouble is, and numbers.
    fn times(&mut self, found: &Findings, length: f64, indent: usize, columns: usize) {
        let (plain, trouble) = self.pick(('\u{2500}', '\u{2588}'), ('-', '#'));
        let is_trouble = |column: usize| {
            let at = |column: usize| length * column as f64 / columns as f64;
            found.scenario.faults.iter().any(|fault| {
                let (from, to) = (fault.from.as_secs_f64(), fault.ends().as_secs_f64());
                from < at(column + 1) && to > at(column) && to > from
            })
        };
        let mut axis = String::new();
        let mut column = 0;
        while column < columns {
            let is = is_trouble(column);
            let end = (column..columns).find(|c| is_trouble(*c) != is).unwrap_or(columns);
            let part = if is { trouble } else { plain }.to_string().repeat(end - column);
            axis.push_str(&self.paint(&part, if is { YELLOW } else { DIM }));
            column = end;
        }
        let what = match found.scenario.faults.as_slice() {
            [] => String::new(),
            [fault] => format!(" {}", fault.kind.as_str()),
            _ => " trouble".to_owned(),
        };
        let what = self.paint(&what, YELLOW);
        self.line(&format!("{}{axis}{what}", " ".repeat(indent)));
        let mut labels = " ".repeat(indent);
        for at in plot::times(length) {
            let place = (0..columns).find(|c| (*c + 1) as f64 / columns as f64 > at / length);
            let Some(place) = place else { continue };
            let label = seconds(at);
            if place + label.len() <= columns + 8 && labels.len() <= indent + place {
                labels.push_str(&" ".repeat(indent + place - labels.len()));
                labels.push_str(&label);
                labels.push(' ');
            }
        }
        let labels = self.paint(labels.trim_end(), DIM);
        self.line(&labels);
    }

    fn verdicts(&mut self, found: &Findings) {
        if found.findings.is_empty() {
            return;
        }
        self.heading("Verdicts");
        for (n, finding) in found.findings.iter().enumerate() {
            let (mark, ascii, word) = outlook(finding.verdict.outlook);
            let colour = match finding.verdict.outlook {
                Outlook::Calm | Outlook::Throughout => DIM,
                Outlook::Recovers => GREEN,
                Outlook::Unsure => YELLOW,
                Outlook::Lasting => RED,
            };
            let said = format!("{} {word}", self.pick(mark, ascii));
            let room = self.width.saturating_sub(said.width() + 5);
            let name = self.cut(&finding.name, room);
            let said = self.paint(&said, colour);
            let name = self.paint(&format!("{} {name}", letter(n)), BOLD);
            self.line(&format!("{name}  {said}"));
            self.wrapped(&sentence(&finding.verdict.text), 2);
            if finding.about != finding.name {
                let about = self.cut(&finding.about, self.width - 2);
                let about = self.paint(&about, DIM);
                self.line(&format!("  {about}"));
            }
        }
    }

    fn assumptions(&mut self, found: &Findings) {
        if found.assumptions.is_empty() {
            return;
        }
        self.heading("What the model takes for granted");
        for line in &found.assumptions {
            for (n, line) in wrap(&self.shown(line), self.width - 2).into_iter().enumerate() {
                self.line(&format!("{}{line}", if n == 0 { "- " } else { "  " }));
            }
        }
    }
}

/// As short as the label's column.
fn row_label(label: &str) -> &str {
    match label {
        "median latency" => "p50",
        "99th percentile" => "p99",
        "wasted work" => "wasted",
        label => label,
    }
}

/// With spaces up to so many columns.
fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// In lines of at most so many columns; a word that is longer is broken.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split_whitespace() {
        if used > 0 && used + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for letter in word.chars() {
            let wide = letter.width().unwrap_or(0);
            if used + wide > columns {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += wide;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
