//! The colours. Each is held to its contrast by a test; lines differ by their dashes as well.

use std::fmt::Write;

/// What a page is painted with.
pub(super) struct Palette {
    paper: &'static str,
    card: &'static str,
    ink: &'static str,
    quiet: &'static str,
    rule: &'static str,
    /// Behind the time of trouble.
    trouble: &'static str,
    link: &'static str,
    good: &'static str,
    bad: &'static str,
    warn: &'static str,
    lines: [&'static str; LINES],
}

/// So many policies have a colour of their own.
pub(super) const LINES: usize = 8;

/// How their lines are broken.
const DASHES: [&str; LINES] =
    ["none", "9 4", "2 3", "11 3 2 3", "5 2", "18 4", "7 2 1.5 2 1.5 2", "1 5"];

pub(super) const LIGHT: Palette = Palette {
    paper: "#ffffff",
    card: "#f5f6f8",
    ink: "#16191d",
    quiet: "#4d5661",
    rule: "#d5d9de",
    trouble: "#fbe6dc",
    link: "#0b57a8",
    good: "#04683f",
    bad: "#b3200e",
    warn: "#7a5200",
    lines: ["#0057b8", "#b84300", "#00563f", "#3d0c5e", "#b51355", "#705a00", "#006b88", "#4f5963"],
};

pub(super) const DARK: Palette = Palette {
    paper: "#14171c",
    card: "#1d2127",
    ink: "#eceff3",
    quiet: "#b0b8c2",
    rule: "#3a414b",
    trouble: "#43291f",
    link: "#86bdff",
    good: "#5fd9a0",
    bad: "#ff9a8a",
    warn: "#f0c264",
    lines: ["#74b3ff", "#ff9a5c", "#b9ffdd", "#f4d4ff", "#ff93b8", "#e2c85a", "#62d4ee", "#bac4cf"],
};

impl Palette {
    fn named(&self) -> impl Iterator<Item = (String, &'static str)> {
        let lines = self.lines.into_iter().enumerate().map(|(n, line)| (format!("c{n}"), line));
        let [paper, card, ink, quiet] = [self.paper, self.card, self.ink, self.quiet];
        [("paper", paper), ("card", card), ("ink", ink), ("quiet", quiet), ("rule", self.rule)]
            .into_iter()
            .chain([("trouble", self.trouble), ("link", self.link), ("good", self.good)])
            .chain([("bad", self.bad), ("warn", self.warn)])
            .map(|(name, value)| (name.to_owned(), value))
            .chain(lines)
    }

    fn variables(&self) -> String {
        self.named().fold(String::new(), |mut all, (name, value)| {
            let _ = write!(all, "--{name}:{value};");
            all
        })
    }
}

/// The rules that every picture needs, alone in a file or in a page.
pub(super) fn style() -> String {
    let (light, dark) = (LIGHT.variables(), DARK.variables());
    let mut style = format!(
        ":root{{color-scheme:light dark;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
         @media print{{:root{{color-scheme:light;{light}}}}}\n\
         .plot text{{font:12px system-ui,sans-serif;fill:var(--quiet)}}\n\
         .plot text.head{{font-weight:600;font-size:13px;fill:var(--ink)}}\n\
         .plot .grid{{stroke:var(--rule)}}\n\
         .plot .level{{stroke:var(--quiet);stroke-dasharray:2 4}}\n\
         .plot .trouble{{fill:var(--trouble)}}\n\
         .plot .line,.key .line{{fill:none;stroke-width:2;stroke-linejoin:round;\
         vector-effect:non-scaling-stroke}}\n\
         .plot .area{{stroke:none;fill-opacity:.35}}\n\
         .plot .end{{font-weight:700;paint-order:stroke;stroke:var(--paper);stroke-width:3px}}\n\
         .plot .guide{{stroke:var(--ink);visibility:hidden}}\n\
         .line.cq{{stroke:var(--quiet);stroke-width:1.25}}\n"
    );
    for (n, dash) in DASHES.iter().enumerate() {
        let _ = writeln!(
            style,
            ".line.c{n}{{stroke:var(--c{n})}}.area.c{n},.plot .end.c{n}{{fill:var(--c{n})}}.d{n}{{stroke-dasharray:{dash}}}"
        );
    }
    style
}

/// The classes of a policy's line: its colour and its dashes. The ninth has the first's colour with
/// other dashes.
pub(super) fn classes(n: usize) -> String {
    format!("c{} d{}", n % LINES, (n + n / LINES) % LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let part = u8::from_str_radix(&colour[at..at + 2], 16).expect("six hex digits");
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// As WCAG 2 has it.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let [red, green, blue] = linear(colour);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
    }

    #[test]
    fn text_can_be_read_on_every_ground() {
        for palette in [LIGHT, DARK] {
            for ground in [palette.paper, palette.card, palette.trouble] {
                let Palette { ink, quiet, link, good, bad, warn, .. } = palette;
                for text in [ink, quiet, link, good, bad, warn] {
                    let found = contrast(text, ground);
                    assert!(found >= 4.5, "{text} on {ground}: {found}");
                }
            }
        }
    }

    #[test]
    fn lines_and_their_letters_can_be_seen_on_every_ground() {
        for palette in [LIGHT, DARK] {
            for line in palette.lines {
                for (ground, least) in
                    [(palette.paper, 4.5), (palette.card, 4.5), (palette.trouble, 3.0)]
                {
                    let found = contrast(line, ground);
                    assert!(found >= least, "{line} on {ground}: {found}");
                }
            }
        }
    }

    /// As people see it who lack a kind of cone (Machado et al., 2009).
    fn seen(colour: &str, by: [[f64; 3]; 3]) -> [f64; 3] {
        let colour = linear(colour);
        by.map(|row| {
            row.iter().zip(colour).map(|(part, of)| part * of).sum::<f64>().clamp(0.0, 1.0)
        })
    }

    /// CIE 1976 L*a*b*.
    fn lab([red, green, blue]: [f64; 3]) -> [f64; 3] {
        let x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047;
        let y = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        let z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883;
        let [x, y, z] =
            [x, y, z].map(|t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn the_first_four_lines_differ_to_the_colour_blind_as_well() {
        let eyes = [
            ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            (
                "protanopia",
                [
                    [0.152286, 1.052583, -0.204868],
                    [0.114503, 0.786281, 0.099216],
                    [-0.003882, -0.048116, 1.051998],
                ],
            ),
            (
                "deuteranopia",
                [
                    [0.367322, 0.860646, -0.227968],
                    [0.280085, 0.672501, 0.047413],
                    [-0.011820, 0.042940, 0.968881],
                ],
            ),
            (
                "tritanopia",
                [
                    [1.255528, -0.076749, -0.178779],
                    [-0.078411, 0.930809, 0.147602],
                    [0.004733, 0.691367, 0.303900],
                ],
            ),
        ];
        for palette in [LIGHT, DARK] {
            for (eye, by) in eyes {
                for n in 0..4 {
                    for m in 0..n {
                        let (one, other) = (palette.lines[n], palette.lines[m]);
                        let (a, b) = (lab(seen(one, by)), lab(seen(other, by)));
                        let apart: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                        assert!(apart.sqrt() > 15.0, "{one}, {other}, {eye}: {}", apart.sqrt());
                    }
                }
            }
        }
    }

    #[test]
    fn sixteen_policies_have_sixteen_lines() {
        let all: std::collections::BTreeSet<String> = (0..16).map(classes).collect();
        assert_eq!(all.len(), 16);
    }
}
