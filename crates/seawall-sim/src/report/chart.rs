//! One panel of a picture, in SVG. Across, all is in percent, so that the same panel stands in a file of
//! a fixed size and in a page of any width, its text always as large.

use super::{
    plot::{self, Sample, Scale},
    words::{escaped, seconds},
};
use crate::model::scenario::Scenario;
use std::fmt::Write;

/// What a line is to be read as.
pub(super) struct Line {
    /// Colour and dashes.
    pub(super) classes: String,
    /// At its end: a letter, or nothing.
    pub(super) label: String,
    /// Which policy it is of, where there are several.
    pub(super) policy: Option<usize>,
    pub(super) filled: bool,
    pub(super) samples: Vec<Sample>,
}

/// A panel: lines over time.
pub(super) struct Panel<'a> {
    pub(super) heading: &'a str,
    pub(super) scale: Scale,
    pub(super) tick: fn(f64) -> String,
    pub(super) scenario: &'a Scenario,
    /// How long the time is, in seconds.
    pub(super) length: f64,
    /// In pixels, of the plot itself.
    pub(super) height: f64,
    /// A level to compare with, and what it is.
    pub(super) level: Option<(f64, String)>,
    pub(super) lines: Vec<Line>,
    /// Whether the trouble is named.
    pub(super) named: bool,
}

/// Above the plot: the heading, and the trouble's name.
pub(super) const HEAD: f64 = 44.0;
/// Below: the times.
pub(super) const FOOT: f64 = 24.0;

/// A picture has no more points across than that.
const FINEST: usize = 700;
/// The paths' own units: fine enough for whole numbers.
const ACROSS: f64 = 2000.0;
const UP: f64 = 1000.0;

impl Panel<'_> {
    /// How high it is in all.
    pub(super) fn outer_height(&self) -> f64 {
        HEAD + self.height + FOOT
    }

    /// As a nested picture, `top` pixels down.
    pub(super) fn draw(&self, top: f64) -> String {
        let mut out = format!(
            "<svg class=\"panel\" y=\"{}\" width=\"100%\" height=\"{}\" overflow=\"visible\">",
            top + HEAD,
            self.height
        );
        self.troubles(&mut out);
        self.axes(&mut out);
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {ACROSS} {UP}\" preserveAspectRatio=\"none\" width=\"100%\" \
             height=\"{}\" overflow=\"visible\">",
            self.height
        );
        for line in &self.lines {
            let series = line.policy.map(|n| format!(" data-n=\"{n}\"")).unwrap_or_default();
            let path = self.path(&line.samples, line.filled);
            let kind = if line.filled { "area" } else { "line" };
            let _ = write!(out, "<path class=\"{kind} {}\"{series} d=\"{path}\"/>", line.classes);
        }
        out.push_str("</svg>");
        self.labels(&mut out);
        let _ = write!(out, "<line class=\"guide\" y1=\"0\" y2=\"{}\"/></svg>", self.height);
        out
    }

    fn down(&self, value: f64) -> f64 {
        (self.height * (1.0 - self.scale.place(value)) * 10.0).round() / 10.0
    }

    fn across(&self, at: f64) -> f64 {
        ((at / self.length).clamp(0.0, 1.0) * 10_000.0).round() / 100.0
    }

    fn troubles(&self, out: &mut String) {
        for fault in &self.scenario.faults {
            let from = self.across(fault.from.as_secs_f64());
            let wide = self.across(fault.ends().as_secs_f64()) - from;
            let wide = (wide * 100.0).round() / 100.0;
            let _ = write!(
                out,
                "<rect class=\"trouble\" x=\"{from}%\" width=\"{wide}%\" height=\"{}\"/>",
                self.height
            );
        }
        if !self.named {
            return;
        }
        // Names that would run into each other are left out: a table tells of all.
        let mut free = f64::NEG_INFINITY;
        for fault in &self.scenario.faults {
            let from = self.across(fault.from.as_secs_f64());
            let name = super::words::fault(fault);
            let wide = name.len() as f64 * 2.4;
            let (x, anchor) = match from {
                from if from > 70.0 => (self.across(fault.ends().as_secs_f64()), "end"),
                from => (from, "start"),
            };
            let begins = if anchor == "end" { x - wide } else { x };
            if begins < free {
                continue;
            }
            free = begins + wide;
            let name = escaped(&name);
            let _ = write!(
                out,
                "<text class=\"what\" x=\"{x}%\" y=\"-5\" text-anchor=\"{anchor}\">{name}</text>"
            );
        }
    }

    fn axes(&self, out: &mut String) {
        let _ = write!(out, "<text class=\"head\" x=\"-40\" y=\"-24\">{}</text>", self.heading);
        for tick in &self.scale.ticks {
            let y = self.down(*tick);
            let _ = write!(
                out,
                "<line class=\"grid\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text x=\"-6\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                y + 4.0,
                (self.tick)(*tick)
            );
        }
        if let Some((level, name)) = &self.level {
            let y = self.down(*level);
            let _ = write!(
                out,
                "<line class=\"level\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text x=\"100%\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                y - 4.0,
                escaped(name)
            );
        }
        for at in plot::times(self.length) {
            let _ = write!(
                out,
                "<text x=\"{}%\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                self.across(at),
                self.height + 17.0,
                seconds(at)
            );
        }
    }

    /// The letters at the lines' ends, moved apart where they would stand on each other.
    fn labels(&self, out: &mut String) {
        let mut labels: Vec<(f64, &Line)> = Vec::new();
        for line in self.lines.iter().filter(|line| !line.label.is_empty()) {
            let last = line.samples.iter().rev().find_map(|(_, value)| *value);
            labels.extend(last.map(|value| (self.down(value), line)));
        }
        let apart = (self.height / labels.len() as f64).min(12.0);
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        for n in 1..labels.len() {
            labels[n].0 = labels[n].0.max(labels[n - 1].0 + apart);
        }
        let mut most = self.height - 2.0;
        for label in labels.iter_mut().rev() {
            label.0 = label.0.min(most);
            most = label.0 - apart;
        }
        for (y, line) in labels {
            let series = line.policy.map(|n| format!(" data-n=\"{n}\"")).unwrap_or_default();
            let _ = write!(
                out,
                "<text class=\"end {}\"{series} x=\"100%\" dx=\"5\" y=\"{:.1}\">{}</text>",
                line.classes,
                y + 4.0,
                line.label
            );
        }
    }

    fn path(&self, samples: &[Sample], filled: bool) -> String {
        let mut path = String::new();
        // Between two gaps: where it begins, and where the pen is.
        let mut run: Option<[(i64, i64); 2]> = None;
        let close = |path: &mut String, run: Option<[(i64, i64); 2]>| {
            let _ = match run {
                Some([(begun, _), (_, y)]) if filled => write!(path, "v{}H{begun}z", units(UP) - y),
                // A value alone has no line to be on: a dash.
                Some([from, to]) if from == to => write!(path, "h8"),
                _ => Ok(()),
            };
        };
        for (at, value) in plot::thin(samples, FINEST) {
            let Some(value) = value else {
                close(&mut path, run.take());
                continue;
            };
            let x = units((at / self.length).clamp(0.0, 1.0) * ACROSS);
            let y = units(UP * (1.0 - self.scale.place(value)));
            let _ = match run {
                Some([_, pen]) => write!(path, "l{} {}", x - pen.0, y - pen.1),
                None if filled => write!(path, "M{x} {UP}V{y}"),
                None => write!(path, "M{x} {y}"),
            };
            run = Some([run.map_or((x, y), |[begun, _]| begun), (x, y)]);
        }
        close(&mut path, run);
        path
    }
}

#[expect(clippy::cast_possible_truncation, reason = "within a picture")]
fn units(value: f64) -> i64 {
    value.round() as i64
}
