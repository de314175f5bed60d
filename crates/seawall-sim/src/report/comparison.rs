//! All policies in one picture: goodput, and load at the service, over time.

use super::{
    chart::{Line, Panel},
    palette::{self, classes},
    plot::{self, Of, Scale, mean, samples},
    words::{clean, escaped, letter, number, outlook, seconds, sentence, short, tick},
};
use crate::study::{Finding, Findings};
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

const HEIGHT: f64 = 170.0;

/// What is compared: a heading, and what of a point.
pub(super) const COMPARED: [(&str, Of); 2] = [
    ("Goodput: calls a second that end well", |point| Some(point.good)),
    ("Load at the service: requests a second", |point| Some(point.backend)),
];

/// Calls a second.
pub(super) const OFFERED: Of = |point| Some(point.calls);

/// The panels, one below the other.
pub(super) fn panels(found: &Findings) -> Vec<Panel<'_>> {
    let length = plot::length(found);
    let panel = |(n, (heading, of)): (usize, (&'static str, Of))| {
        let is_load = n == 1;
        let mut lines: Vec<Line> = offered(found, is_load).into_iter().collect();
        for (n, finding) in found.findings.iter().enumerate() {
            lines.push(Line {
                classes: classes(n),
                label: letter(n),
                policy: Some(n),
                filled: false,
                samples: samples(&finding.series, found.bin, of),
            });
        }
        let level = level(found).filter(|_| is_load);
        let values = lines.iter().flat_map(|line| &line.samples).filter_map(|(_, value)| *value);
        let scale = Scale::linear(values.chain(level.as_ref().map(|(most, _)| *most)), 4.0);
        let (scenario, named) = (&found.scenario, !is_load);
        Panel { heading, scale, tick, scenario, length, height: HEIGHT, level, lines, named }
    };
    COMPARED.into_iter().enumerate().map(panel).collect()
}

/// The load that is offered: the same for all policies where calls come by themselves. In the panel of
/// goodput alone, where it is what could be had.
fn offered(found: &Findings, is_load: bool) -> Option<Line> {
    let is_open = found.scenario.rate().is_some();
    let mut policies = found.findings.iter().filter(|_| is_open && !is_load);
    let first = policies.find(|finding| !finding.series.is_empty())?;
    Some(Line {
        classes: "cq d2".to_owned(),
        label: String::new(),
        policy: None,
        filled: false,
        samples: samples(&first.series, found.bin, OFFERED),
    })
}

/// How many requests a second the last tier can serve.
pub(super) fn capacity(found: &Findings) -> Option<f64> {
    let capacity = found.scenario.tiers.last()?.capacity();
    (capacity.is_finite() && capacity > 0.0).then_some(capacity)
}

/// That, to be drawn, with its name; none where no load comes near, and would be a line at the bottom.
pub(super) fn level(found: &Findings) -> Option<(f64, String)> {
    let most = capacity(found)?;
    let mut points = found.findings.iter().flat_map(|finding| &finding.series);
    let is_near = points.any(|point| point.backend >= 0.3 * most);
    is_near.then(|| (most, format!("capacity {}/s", number(most))))
}

/// The picture in words, for those who do not see it.
pub(super) fn described(found: &Findings) -> String {
    let length = plot::length(found);
    let mut said = format!("Over {}. ", seconds(length));
    for fault in &found.scenario.faults {
        let _ = write!(said, "{}. ", super::words::fault_in_full(fault, &found.scenario));
    }
    for (n, finding) in found.findings.iter().enumerate() {
        let _ =
            write!(said, "{}, {}: {} ", letter(n), clean(&finding.name), course(found, finding));
    }
    if found.findings.is_empty() {
        said.push_str("No policy took part.");
    }
    said.trim_end().to_owned()
}

/// One policy's goodput and load, in words.
pub(super) fn course(found: &Findings, finding: &Finding) -> String {
    let length = plot::length(found);
    let goodput = samples(&finding.series, found.bin, COMPARED[0].1);
    let load = samples(&finding.series, found.bin, COMPARED[1].1);
    let rate = |value: Option<f64>| value.map_or_else(|| "nothing".to_owned(), rate);
    let end = rate(mean(&goodput, length * 0.9, length));
    let most = rate(load.iter().filter_map(|(_, value)| *value).reduce(f64::max));
    match found.scenario.trouble() {
        Some((from, _)) if !goodput.is_empty() => {
            let from = from.as_secs_f64();
            let before = rate(mean(&goodput, 0.0, from));
            let after = goodput.iter().filter(|(at, _)| *at >= from);
            let least = rate(after.filter_map(|(_, value)| *value).reduce(f64::min));
            format!(
                "goodput {before} before the trouble, {least} at the least, {end} at the end; \
                 load at the service {most} at the most."
            )
        }
        _ => format!("goodput {end} at the end; load at the service {most} at the most."),
    }
}

fn rate(value: f64) -> String {
    format!("{}/s", short(value))
}

const WIDTH: f64 = 800.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 34.0;

/// The picture as a file of its own.
pub(super) fn file(found: &Findings) -> String {
    let panels = panels(found);
    let about = sentence(&found.scenario.about);
    let first_line = if about.is_empty() { 44.0 } else { 64.0 };
    let key_ends = first_line + 20.0 * found.findings.len() as f64;
    let height = key_ends + panels.iter().map(Panel::outer_height).sum::<f64>() + 8.0;
    let name = escaped(&found.scenario.name);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" class=\"plot\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{name}: {} compared</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{}\
         .plot .title{{font-size:18px;font-weight:700;fill:var(--ink)}}\
         .plot .key{{font-size:13px;fill:var(--ink);unicode-bidi:isolate}}\
         .paper{{fill:var(--paper)}}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">{}</text>",
        policies(found),
        escaped(&described(found)),
        palette::style(),
        escaped(&cut(&found.scenario.name, 80)),
    );
    if !about.is_empty() {
        let _ = write!(out, "<text x=\"16\" y=\"48\">{}</text>", escaped(&cut(&about, 125)));
    }
    for (n, finding) in found.findings.iter().enumerate() {
        let y = first_line + 20.0 * n as f64;
        let (mark, _, word) = outlook(finding.verdict.outlook);
        let _ = write!(
            out,
            "\n<line class=\"line {}\" x1=\"16\" x2=\"50\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"key\" x=\"58\" y=\"{}\">{} {} \u{2014} {mark} {word}</text>",
            classes(n),
            y + 4.0,
            letter(n),
            escaped(&cut(&finding.name, 80)),
        );
    }
    let _ =
        write!(out, "\n<svg x=\"{LEFT}\" width=\"{}\" overflow=\"visible\">", WIDTH - LEFT - RIGHT);
    let mut top = key_ends;
    for panel in &panels {
        out.push('\n');
        out.push_str(&panel.draw(top));
        top += panel.outer_height();
    }
    out.push_str("</svg>\n</svg>\n");
    out
}

/// `4 policies`.
pub(super) fn policies(found: &Findings) -> String {
    match found.findings.len() {
        1 => "1 policy".to_owned(),
        more => format!("{more} policies"),
    }
}

/// Clean, and at most so many columns wide.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let (text, mut cut, mut width) = (clean(text), String::new(), 0);
    if text.chars().filter_map(UnicodeWidthChar::width).sum::<usize>() <= columns {
        return text;
    }
    for letter in text.chars() {
        width += letter.width().unwrap_or(0);
        if width > columns.saturating_sub(1) {
            break;
        }
        cut.push(letter);
    }
    cut.push('\u{2026}');
    cut
}
