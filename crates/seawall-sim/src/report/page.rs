//! The page. Written as XML that is HTML too, so that a strict parser can vouch for it.

use super::{
    chart::{Line, Panel},
    comparison::{self, OFFERED, course, described, policies},
    data,
    palette::{self, classes},
    plot::{self, Of, Scale, mean, samples},
    table::{self, Cell},
    words::{
        self, clean, duration, escaped, letter, number, outlook, seconds, sentence, short, tick,
    },
};
use crate::{
    ready::Ready,
    study::{Finding, Findings, Metric, Outlook},
};
use std::fmt::Write;

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, from wherever.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

pub(super) fn page(found: &Findings) -> String {
    let mut out = String::new();
    let name = escaped(&found.scenario.name);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta name=\"generator\" content=\"seawall {}\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{name}: what each policy does</title>\n\
         <style>\n{}{CSS}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#verdicts\">To the verdicts</a>\n",
        env!("CARGO_PKG_VERSION"),
        palette::style(),
    );
    head(&mut out, found);
    out.push_str("<main>\n");
    verdicts(&mut out, found);
    compared(&mut out, found);
    figures(&mut out, found);
    details(&mut out, found);
    assumptions(&mut out, found);
    remake(&mut out, found);
    numbers(&mut out, found);
    let _ = write!(
        out,
        "</main>\n<footer><p>Made by Seawall, with the policies' own code under virtual \
         time.</p></footer>\n<script>//<![CDATA[\n{SCRIPT}//]]></script>\n</body>\n</html>\n"
    );
    out
}

fn head(out: &mut String, found: &Findings) {
    let scenario = &found.scenario;
    let _ = write!(out, "<header>\n<h1>{}</h1>\n", escaped(&scenario.name));
    if !scenario.about.trim().is_empty() {
        let _ = writeln!(out, "<p class=\"about\">{}</p>", escaped(&sentence(&scenario.about)));
    }
    let _ = writeln!(
        out,
        "<p class=\"facts\">{}</p>",
        escaped(&sentence(&format!(
            "{}; {}; {} of simulated time; {}; {}",
            policies(found),
            words::load(scenario),
            duration(scenario.length),
            troubles(found, 4),
            words::seeds(found)
        )))
    );
    if !found.complete {
        out.push_str(
            "<p class=\"notice\"><strong>Stopped before its end.</strong> The figures are of the \
             runs that ended.</p>\n",
        );
    }
    out.push_str("</header>\n");
}

/// What goes wrong, the first few of it.
fn troubles(found: &Findings, most: usize) -> String {
    let faults = &found.scenario.faults;
    if faults.is_empty() {
        return "nothing goes wrong".to_owned();
    }
    let mut all: Vec<String> = faults
        .iter()
        .take(most)
        .map(|fault| words::fault_in_full(fault, &found.scenario))
        .collect();
    if faults.len() > most {
        all.push(format!("{} faults more", faults.len() - most));
    }
    all.join(", ")
}

fn verdicts(out: &mut String, found: &Findings) {
    out.push_str("<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\">Verdicts</h2>\n");
    if found.findings.is_empty() {
        out.push_str("<p>No policy took part, or no run ended.</p>\n</section>\n");
        return;
    }
    out.push_str("<ul class=\"cards\">\n");
    for (n, finding) in found.findings.iter().enumerate() {
        let (mark, _, word) = outlook(finding.verdict.outlook);
        let kind = match finding.verdict.outlook {
            Outlook::Calm | Outlook::Throughout => "calm",
            Outlook::Recovers => "good",
            Outlook::Unsure => "warn",
            Outlook::Lasting => "bad",
        };
        let _ = write!(
            out,
            "<li class=\"card {kind}\">\n<h3>{}{}</h3>\n<p class=\"outlook\">\
             <span aria-hidden=\"true\">{mark}</span> {word}</p>\n<p>{}</p>\n<dl>",
            swatch(n),
            name(n, finding),
            escaped(&sentence(&finding.verdict.text)),
        );
        let shown = [Metric::Amplification, Metric::Success, Metric::Recovery];
        for row in table::rows(found, &shown) {
            let said = row.cells[n].figure.map_or_else(|| "none".to_owned(), table::value);
            let unit = if said == "never" || said == "none" { "" } else { row.unit };
            let _ = write!(out, "<div><dt>{}</dt><dd>{said} {unit}</dd></div>", row.label);
        }
        out.push_str("</dl>\n</li>\n");
    }
    out.push_str("</ul>\n</section>\n");
}

/// Letter and name, each to itself whatever direction it is written in.
fn name(n: usize, finding: &Finding) -> String {
    format!("{} <bdi>{}</bdi>", letter(n), escaped(&finding.name))
}

/// A piece of the policy's line.
fn swatch(n: usize) -> String {
    format!(
        "<svg class=\"key\" width=\"34\" height=\"10\" aria-hidden=\"true\" focusable=\"false\">\
         <line class=\"line {}\" x1=\"1\" x2=\"33\" y1=\"5\" y2=\"5\"/></svg> ",
        classes(n)
    )
}

/// A picture with its name and its description.
fn picture(id: &str, title: &str, desc: &str, length: f64, panels: &[Panel<'_>]) -> String {
    let height: f64 = panels.iter().map(Panel::outer_height).sum();
    let mut out = format!(
        "<div class=\"box\"><svg class=\"plot\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" \
         width=\"100%\" height=\"{height}\" overflow=\"visible\" data-length=\"{}\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        number(length),
        escaped(title),
        escaped(desc),
    );
    let mut top = 0.0;
    for panel in panels {
        out.push_str(&panel.draw(top));
        top += panel.outer_height();
    }
    out.push_str("</svg></div>\n");
    out
}

/// Reads values off at a time; there with scripts only.
fn slider(id: &str, found: &Findings) -> String {
    let last = found.findings.iter().map(|finding| finding.series.len()).max().unwrap_or(0);
    if last == 0 {
        return String::new();
    }
    format!(
        "<div class=\"time\" hidden=\"hidden\"><label for=\"{id}-at\">Values at</label> \
         <input type=\"range\" id=\"{id}-at\" min=\"0\" max=\"{}\" step=\"1\" value=\"0\"/> \
         <span class=\"at\" aria-hidden=\"true\">pick a time</span></div>\n",
        last - 1
    )
}

fn compared(out: &mut String, found: &Findings) {
    out.push_str("<section aria-labelledby=\"compared\">\n<h2 id=\"compared\">Compared</h2>\n");
    if !has_series(found) {
        out.push_str("<p>No run was long enough to show over time.</p>\n</section>\n");
        return;
    }
    out.push_str("<figure>\n<ul class=\"legend\">\n");
    for (n, finding) in found.findings.iter().enumerate() {
        let _ = writeln!(
            out,
            "<li><label><input type=\"checkbox\" checked=\"checked\" hidden=\"hidden\" \
             data-shows=\"{n}\"/> {}{}</label> <span class=\"now\" data-brief=\"{n}\"></span></li>",
            swatch(n),
            name(n, finding),
        );
    }
    out.push_str("</ul>\n");
    let panels = comparison::panels(found);
    let title = format!("{}: {} compared", clean(&found.scenario.name), policies(found));
    let length = plot::length(found);
    out.push_str(&picture("all", &title, &described(found), length, &panels));
    out.push_str(&slider("all", found));
    out.push_str("<figcaption>Means over all seeds. ");
    if found.scenario.rate().is_some() {
        out.push_str("Thin dots: the offered load. ");
    }
    if !found.scenario.faults.is_empty() {
        let _ = write!(out, "Shaded: {}. ", escaped(&troubles(found, 4)));
    }
    out.push_str("</figcaption>\n");
    out.push_str("<details>\n<summary>The picture as a table</summary>\n");
    let mut columns = Vec::new();
    for (n, finding) in found.findings.iter().enumerate() {
        for (what, (_, of)) in ["goodput", "load"].into_iter().zip(comparison::COMPARED) {
            columns.push(Column {
                heading: format!("{} {what}, /s", letter(n)),
                samples: samples(&finding.series, found.bin, of),
                factor: 1.0,
            });
        }
    }
    over_time(out, found, "Goodput and load at the service of all policies over time", &columns);
    out.push_str("</details>\n</figure>\n</section>\n");
}

fn has_series(found: &Findings) -> bool {
    found.findings.iter().any(|finding| !finding.series.is_empty())
}

struct Column {
    heading: String,
    samples: Vec<plot::Sample>,
    factor: f64,
}

/// The means of some twenty stretches.
fn over_time(out: &mut String, found: &Findings, caption: &str, columns: &[Column]) {
    let length = plot::length(found);
    let step = plot::times(length / 4.0).get(1).copied().unwrap_or(length);
    scroll(out, caption, |out| {
        let _ = write!(
            out,
            "<table class=\"series\">\n<caption><span>{}: means of {} each</span></caption>\n<thead><tr>\
             <th scope=\"col\">from, s</th>",
            escaped(caption),
            seconds(step)
        );
        for column in columns {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(&column.heading));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        let mut n = 0.0;
        while n * step < length - 1e-9 {
            let (from, to) = (n * step, (n + 1.0) * step);
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", number(from));
            for column in columns {
                let value = mean(&column.samples, from, to).map(|value| value * column.factor);
                let said = value.map_or_else(|| "none".to_owned(), short);
                let _ = write!(out, "<td>{said}</td>");
            }
            out.push_str("</tr>\n");
            n += 1.0;
        }
        out.push_str("</tbody>\n</table>\n");
    });
}

/// What may be wider than the page scrolls by itself, by keyboard too.
fn scroll(out: &mut String, label: &str, inside: impl FnOnce(&mut String)) {
    let label = escaped(label);
    let _ = writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">"
    );
    inside(out);
    out.push_str("</div>\n");
}

fn figures(out: &mut String, found: &Findings) {
    let rows = table::rows(found, &Metric::ALL);
    if rows.is_empty() {
        return;
    }
    out.push_str("<section aria-labelledby=\"figures\">\n<h2 id=\"figures\">Figures</h2>\n");
    out.push_str(
        "<p class=\"facts\">In small print: where the true figure lies with 95 % confidence, or the \
         least and the greatest run where some never end. For the best latency, only policies count \
         whose success is near the best.</p>\n",
    );
    scroll(out, "The figures of each policy", |out| {
        out.push_str("<table class=\"figures\">\n<thead><tr><td></td>");
        for (n, finding) in found.findings.iter().enumerate() {
            let _ = write!(out, "<th scope=\"col\">{}</th>", name(n, finding));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            let unit = match row.unit {
                "" => String::new(),
                unit => format!(" <span class=\"unit\">{unit}</span>"),
            };
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}{unit}<small>{}</small></th>",
                row.label,
                table::words(row.metric).1
            );
            row.cells.iter().for_each(|one| cell(out, one));
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n");
    });
    out.push_str("</section>\n");
}

fn cell(out: &mut String, cell: &Cell) {
    let Some(figure) = cell.figure else {
        out.push_str("<td>none</td>");
        return;
    };
    let value = table::value(figure);
    let _ = match cell.best {
        true => {
            write!(
                out,
                "<td class=\"best\"><strong>{value}</strong> <span class=\"mark\">best</span>"
            )
        }
        false => write!(out, "<td>{value}"),
    };
    if let Some((low, high)) = table::interval(figure) {
        let _ = write!(out, "<small>{low} to {high}</small>");
    }
    out.push_str("</td>");
}

fn details(out: &mut String, found: &Findings) {
    if !has_series(found) {
        return;
    }
    out.push_str("<section aria-labelledby=\"each\">\n<h2 id=\"each\">Each policy</h2>\n");
    for (n, finding) in found.findings.iter().enumerate() {
        policy(out, found, n, finding);
    }
    out.push_str("</section>\n");
}

/// What is shown of one policy: a heading, what it means, and how to read its numbers.
struct View {
    id: &'static str,
    heading: &'static str,
    lines: &'static [(Of, Ink)],
    scale: Measure,
}

#[derive(Clone, Copy)]
enum Ink {
    /// The policy's own colour.
    Own,
    OwnDashed,
    OwnFilled,
    /// For comparison.
    Quiet,
}

#[derive(Clone, Copy, PartialEq)]
enum Measure {
    Rate,
    Latency,
    Count,
}

const VIEWS: [View; 5] = [
    View {
        id: "load",
        heading: "Load at the service, offered (dots); /s",
        lines: &[(OFFERED, Ink::Quiet), (|point| Some(point.backend), Ink::Own)],
        scale: Measure::Rate,
    },
    View {
        id: "good",
        heading: "Goodput, offered (dots); /s",
        lines: &[
            (OFFERED, Ink::Quiet),
            (|point| Some(point.degraded).filter(|value| *value > 0.0), Ink::OwnDashed),
            (|point| Some(point.good), Ink::Own),
        ],
        scale: Measure::Rate,
    },
    View {
        id: "late",
        heading: "Latency of good calls: median, p99 (dashes)",
        lines: &[(|point| point.p50, Ink::Own), (|point| point.p99, Ink::OwnDashed)],
        scale: Measure::Latency,
    },
    View {
        id: "wait",
        heading: "Requests that wait in queues",
        lines: &[(|point| Some(point.waiting), Ink::OwnFilled)],
        scale: Measure::Count,
    },
    View {
        id: "open",
        heading: "Breakers open (filled), half-open (dashes)",
        lines: &[
            (|point| Some(point.open), Ink::OwnFilled),
            (|point| Some(point.half_open), Ink::OwnDashed),
        ],
        scale: Measure::Count,
    },
];

impl View {
    fn heading(&self, finding: &Finding) -> &'static str {
        let has_fallback = finding.series.iter().any(|point| point.degraded > 0.0);
        match self.id {
            "good" if has_fallback => "Goodput, fallbacks (dashes), offered (dots); /s",
            _ => self.heading,
        }
    }

    /// Its values: of all policies where they share a scale, so that they can be compared.
    fn scale(&self, found: &Findings, finding: &Finding) -> Scale {
        let all: Vec<&Finding> = match self.scale {
            Measure::Count => vec![finding],
            _ => found.findings.iter().collect(),
        };
        let values = all.iter().flat_map(|finding| {
            let lines = self.lines.iter();
            lines.flat_map(|(of, _)| finding.series.iter().filter_map(of))
        });
        match self.scale {
            Measure::Latency => Scale::logarithmic(values),
            Measure::Rate if self.id == "load" => {
                Scale::linear(values.chain(comparison::level(found).map(|(most, _)| most)), 3.0)
            }
            _ => Scale::linear(values, 3.0),
        }
    }

    fn panel<'a>(&self, found: &'a Findings, n: usize, finding: &Finding) -> Panel<'a> {
        let own = n % palette::LINES;
        let line = |(of, ink): &(Of, Ink)| Line {
            classes: match ink {
                Ink::Own | Ink::OwnFilled => format!("c{own} d0"),
                Ink::OwnDashed => format!("c{own} d1"),
                Ink::Quiet => "cq d2".to_owned(),
            },
            label: String::new(),
            policy: None,
            filled: matches!(ink, Ink::OwnFilled),
            samples: samples(&finding.series, found.bin, *of),
        };
        let level = comparison::level(found).filter(|_| self.id == "load");
        Panel {
            heading: self.heading(finding),
            scale: self.scale(found, finding),
            tick: if self.scale == Measure::Latency { seconds } else { tick },
            scenario: &found.scenario,
            length: plot::length(found),
            height: 110.0,
            level,
            lines: self.lines.iter().map(line).collect(),
            named: false,
        }
    }

    /// In words, for those who do not see it.
    fn described(&self, finding: &Finding) -> String {
        let mut said = Vec::new();
        for (of, ink) in self.lines {
            let values = || finding.series.iter().filter_map(of).filter(|value| !value.is_nan());
            let what = match (self.id, ink) {
                (_, Ink::Quiet) => "offered",
                ("load", _) => "at the service",
                ("good", Ink::OwnDashed) => "fallbacks",
                ("good", _) => "goodput",
                ("late", Ink::OwnDashed) => "99th percentile",
                ("late", _) => "median",
                ("wait", _) => "waiting",
                (_, Ink::OwnDashed) => "half-open",
                _ => "open",
            };
            let say = |value: f64| match self.scale {
                Measure::Latency => seconds(words::rounded(value)),
                _ => short(value),
            };
            said.push(match (values().reduce(f64::min), values().reduce(f64::max)) {
                (Some(least), Some(most)) => {
                    let last = values().next_back().unwrap_or(most);
                    let (least, most, last) = (say(least), say(most), say(last));
                    format!("{what} from {least} to {most}, {last} at the end")
                }
                _ if what == "fallbacks" => continue,
                _ => format!("{what}: none"),
            });
        }
        sentence(&said.join("; "))
    }
}

fn policy(out: &mut String, found: &Findings, n: usize, finding: &Finding) {
    let _ = write!(
        out,
        "<article aria-labelledby=\"p{n}\">\n<h3 id=\"p{n}\">{}{}</h3>\n",
        swatch(n),
        name(n, finding)
    );
    if finding.about != finding.name {
        let _ = writeln!(out, "<p><code>{}</code></p>", escaped(&finding.about));
    }
    if finding.series.is_empty() {
        out.push_str("<p>No run was long enough to show over time.</p>\n</article>\n");
        return;
    }
    let _ = writeln!(out, "<p>{}</p>", escaped(&sentence(&course(found, finding))));
    out.push_str("<div class=\"panels\">\n");
    let opened = finding.series.iter().any(|point| point.open > 0.0 || point.half_open > 0.0);
    for view in VIEWS.iter().filter(|view| view.id != "open" || opened) {
        let title = format!("{} {}: {}", letter(n), clean(&finding.name), view.heading(finding));
        let (id, panel) = (format!("p{n}-{}", view.id), view.panel(found, n, finding));
        let length = plot::length(found);
        out.push_str(&picture(&id, &title, &view.described(finding), length, &[panel]));
    }
    if !opened {
        out.push_str("<p class=\"none\">No breaker was open at the end of any stretch.</p>\n");
    }
    out.push_str("</div>\n");
    out.push_str(&slider(&format!("p{n}"), found));
    let _ = writeln!(out, "<p class=\"now\" data-full=\"{n}\"></p>");
    out.push_str("<details>\n<summary>These pictures as a table</summary>\n");
    let column = |(heading, factor, of): (&str, f64, Of)| Column {
        heading: heading.to_owned(),
        samples: samples(&finding.series, found.bin, of),
        factor,
    };
    let columns: Vec<Column> = [
        ("offered, /s", 1.0, OFFERED),
        ("at the service, /s", 1.0, (|point| Some(point.backend)) as Of),
        ("goodput, /s", 1.0, |point| Some(point.good)),
        ("fallbacks, /s", 1.0, |point| Some(point.degraded)),
        ("median, ms", 1e3, |point| point.p50),
        ("99th percentile, ms", 1e3, |point| point.p99),
        ("waiting", 1.0, |point| Some(point.waiting)),
        ("open", 1.0, |point| Some(point.open)),
        ("half-open", 1.0, |point| Some(point.half_open)),
    ]
    .into_iter()
    .map(column)
    .collect();
    let caption = format!("{} {} over time", letter(n), clean(&finding.name));
    over_time(out, found, &caption, &columns);
    out.push_str("</details>\n</article>\n");
}

fn assumptions(out: &mut String, found: &Findings) {
    if found.assumptions.is_empty() {
        return;
    }
    out.push_str(
        "<section aria-labelledby=\"assumed\">\n\
         <h2 id=\"assumed\">What the model takes for granted</h2>\n<ul>\n",
    );
    for line in &found.assumptions {
        let _ = writeln!(out, "<li>{}</li>", escaped(&sentence(line)));
    }
    out.push_str("</ul>\n</section>\n");
}

fn remake(out: &mut String, found: &Findings) {
    let scenario = &found.scenario;
    out.push_str(
        "<section aria-labelledby=\"again\">\n<h2 id=\"again\">To make it again</h2>\n\
         <p>The same scenario, policies and seeds give the same numbers, digit by digit, on every \
         machine and on any number of threads.</p>\n",
    );
    scroll(out, "The scenario in full", |out| {
        out.push_str("<table class=\"plain\">\n<caption><span>The scenario in full</span></caption>\n<tbody>\n");
        let mut fact = |what: &str, said: &str| {
            let _ =
                writeln!(out, "<tr><th scope=\"row\">{what}</th><td>{}</td></tr>", escaped(said));
        };
        fact("load", &words::load(scenario));
        for (at, share) in &scenario.load.steps {
            fact("load from then on", &format!("{}: {} times that", duration(*at), number(*share)));
        }
        for tier in &scenario.tiers {
            let mut said = format!(
                "{}: {} x {} workers, {} of work on average; queue {}",
                tier.name,
                tier.shards,
                tier.workers,
                duration(tier.service.mean()),
                tier.queue.map_or_else(|| "without end".to_owned(), |most| format!("of {most}")),
            );
            if let Some(limit) = tier.shed_after {
                let _ = write!(said, "; sheds what waited {}", duration(limit));
            }
            if tier.slowdown != 0.0 {
                let _ = write!(said, "; {} slower for each that waits", number(tier.slowdown));
            }
            if tier.pushback {
                said.push_str("; pushes back");
            }
            fact("service", &said);
        }
        fact("network, one way", &duration(scenario.network.delay.mean()));
        for fault in &scenario.faults {
            fact("fault", &words::fault_in_full(fault, scenario));
        }
        fact("length", &duration(scenario.length));
        fact("seeds", &words::seeds(found));
        fact("measured by", &seconds(found.bin));
        for (n, finding) in found.findings.iter().enumerate() {
            let said = format!("{}: {}", finding.name, finding.about);
            fact(&format!("policy {}", letter(n)), &said);
        }
        out.push_str("</tbody>\n</table>\n");
    });
    scroll(out, "In Rust", |out| {
        let _ = writeln!(out, "<pre><code>{}</code></pre>", escaped_lines(&recipe(found)));
    });
    out.push_str("</section>\n");
}

/// How a program does it.
fn recipe(found: &Findings) -> String {
    let ready = Ready::find(&found.scenario.name)
        .filter(|ready| *ready.world().plan.scenario() == found.scenario);
    let names = || found.findings.iter().map(|finding| finding.name.as_str());
    let study = match ready {
        Some(ready) if ready.contenders().iter().map(|one| one.name()).eq(names()) => {
            format!("Ready::find({:?}).expect(\"it is ready-made\").study()", ready.name)
        }
        Some(ready) => format!(
            "Ready::find({:?}).expect(\"it is ready-made\").world()\n    .contenders(policies)",
            ready.name
        ),
        None => "Study::new(scenario)\n    .contenders(policies)".to_owned(),
    };
    let (first, seeds, bin) = (found.first_seed, found.seeds, number(found.bin));
    format!(
        "let found = {study}\n    .first_seed({first})\n    .seeds({seeds})\n    \
         .bin(Duration::from_secs_f64({bin}{}))\n    .run();\n\
         std::fs::write(\"report.html\", report::html(&found))?;",
        if bin.contains('.') { "" } else { ".0" },
    )
}

/// As [`escaped`], with the lines kept.
fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

fn numbers(out: &mut String, found: &Findings) {
    let _ = write!(
        out,
        "<section aria-labelledby=\"data\">\n<h2 id=\"data\">The numbers</h2>\n\
         <p>All that is shown here, as JSON. <button type=\"button\" id=\"save\" \
         hidden=\"hidden\">Save it</button></p>\n<details>\n<summary>Show it</summary>\n\
         <pre id=\"numbers\" class=\"json\" tabindex=\"0\" role=\"region\" \
         aria-label=\"The numbers as JSON\">{}</pre>\n</details>\n</section>\n",
        in_text(&data::json(found))
    );
}

/// What JSON needs in the text of an element: its quotes stay, for they are most of it. Control
/// characters are escapes in JSON already.
fn in_text(json: &str) -> String {
    json.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
