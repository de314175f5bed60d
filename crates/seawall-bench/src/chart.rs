//! The times as a picture: horizontal bars, one group a row, on a logarithmic scale.

use crate::{
    cases::{CONTENDERS, ROWS, SEAWALL},
    report::{Results, number},
};
use std::fmt::Write;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 80.0;
const BAR: f64 = 14.0;
const TITLE: f64 = 26.0;
const TOP: f64 = 44.0;
/// The scale goes from 1 ns to so many ns.
const DECADES: f64 = 7.0;

// Two greys and a blue that can be read on white and on black.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#76808c}.t{font-weight:600}\
    .o{fill:#98a2ae}.s{fill:#2f81f7}.l{stroke:#98a2ae;stroke-opacity:.35}";

fn at(ns: f64) -> f64 {
    LEFT + ns.max(1.0).log10() / DECADES * (WIDTH - LEFT - RIGHT)
}

pub(crate) fn draw(results: &Results) -> String {
    let mut bars = String::new();
    let mut y = TOP;
    for row in &ROWS {
        let found: Vec<_> =
            CONTENDERS.iter().filter_map(|name| results.find(row.key, name)).collect();
        let Some(bare) = results.bare(row.key).filter(|_| !found.is_empty()) else { continue };
        let _ = writeln!(
            bars,
            r#"<text class="t" x="8" y="{:.0}">{}</text>"#,
            y + 16.0,
            escape(row.title)
        );
        y += TITLE;
        for found in std::iter::once(bare).chain(found) {
            let class = if found.contender == SEAWALL { "s" } else { "o" };
            let (end, middle) = (at(found.ns.low), y + BAR - 4.0);
            let _ = writeln!(
                bars,
                r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{}</text><rect class="{class}" x="{LEFT}" y="{y:.0}" width="{:.1}" height="{:.0}"/><text x="{:.0}" y="{middle:.0}">{}</text>"#,
                LEFT - 6.0,
                found.contender,
                (end - LEFT).max(1.0),
                BAR - 3.0,
                end + 5.0,
                number(found.ns.low)
            );
            y += BAR;
        }
    }
    let height = y + 16.0;
    let mut scale = String::new();
    for (decade, label) in
        ["1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms"].iter().enumerate()
    {
        let x = at(10_f64.powi(i32::try_from(decade).unwrap_or_default()));
        let _ = writeln!(
            scale,
            r#"<line class="l" x1="{x:.0}" x2="{x:.0}" y1="{:.0}" y2="{height:.0}"/><text x="{x:.0}" y="{:.0}" text-anchor="middle">{label}</text>"#,
            TOP - 8.0,
            TOP - 14.0
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>Time of a call in ns, logarithmic; shorter is \
         better</title>\n<style>{STYLE}</style>\n{scale}{bars}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
