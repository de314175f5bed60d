//! Figures and names as people read them, and as programs do.

use crate::{
    model::scenario::{Arrivals, Fault, FaultKind, Scenario},
    study::{Findings, Outlook},
};
use std::time::Duration;

/// To six significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    if !value.is_finite() {
        return value;
    }
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// As short as six significant digits go; `inf`, or nothing where it is no number.
pub(super) fn number(value: f64) -> String {
    match rounded(value) {
        value if value.is_nan() => String::new(),
        value
            if value.is_finite() && (value.abs() >= 1e15 || value != 0.0 && value.abs() < 1e-9) =>
        {
            format!("{value:e}")
        }
        value => format!("{}", value + 0.0),
    }
}

/// With so many digits that three of them count: `2.73`, `27.3`, `273`. An infinite one is `never`.
pub(super) fn short(value: f64) -> String {
    with_digits(value, digits(value))
}

/// How many digits after the point three that count take.
pub(super) fn digits(value: f64) -> usize {
    match value.abs() {
        v if v == 0.0 || v >= 99.95 || !v.is_finite() => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    }
}

pub(super) fn with_digits(value: f64, digits: usize) -> String {
    match value {
        v if v.is_nan() => "none".to_owned(),
        v if v.is_infinite() => "never".to_owned(),
        v if v.abs() >= 1e12 => format!("{v:.2e}"),
        // No `-0`.
        v => format!("{:.digits$}", if v.abs() < 0.5e-9 { 0.0 } else { v }),
    }
}

/// At the side of a picture: `0.5`, `1200`, `12k`.
pub(super) fn tick(value: f64) -> String {
    match value.abs() {
        v if v >= 1e12 => format!("{value:.0e}"),
        v if v >= 1e7 => format!("{}M", number(value / 1e6)),
        v if v >= 1e4 => format!("{}k", number(value / 1e3)),
        _ => number(value),
    }
}

/// A point in time, or a length of it: `90 s`, `1.5 s`, `200 ms`.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v.is_nan() => "none".to_owned(),
        v if v.abs() >= 1e9 => format!("{v:.0e} s"),
        v if v != 0.0 && v.abs() < 1e-3 => format!("{} us", number(v * 1e6)),
        v if v != 0.0 && v.abs() < 1.0 => format!("{} ms", number(v * 1e3)),
        v => format!("{} s", number(v)),
    }
}

pub(super) fn duration(length: Duration) -> String {
    seconds(length.as_secs_f64())
}

/// With a capital, and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let mut said: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => return String::new(),
    };
    if !said.ends_with(['.', '!', '?']) {
        said.push('.');
    }
    said
}

/// A text from outside, without what would take the screen over: controls, and marks that turn the
/// direction of what follows.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        clean.push(match letter {
            '\t' | '\n' | '\r' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        });
    }
    clean
}

/// Clean, and inert in HTML and XML, in text as in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in clean(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// What stands for a policy where there is no room for its name: `A`, `B`, .. `Z`, `A1`, ..
pub(super) fn letter(n: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(n % 26).expect("less than 26"));
    match n / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// How it ends: a mark, an ASCII mark, and a word.
pub(super) const fn outlook(outlook: Outlook) -> (&'static str, &'static str, &'static str) {
    match outlook {
        Outlook::Calm => ("\u{25cb}", "o", "calm"),
        Outlook::Throughout => ("\u{25cb}", "o", "trouble to the end"),
        Outlook::Recovers => ("\u{2713}", "+", "recovers"),
        Outlook::Unsure => ("~", "~", "unsure"),
        Outlook::Lasting => ("\u{2717}", "x", "lasting outage"),
    }
}

/// What goes wrong: `stall`, `errors (30 %)`.
pub(super) fn fault(fault: &Fault) -> String {
    let share = |share: f64| format!("{} %", short(share * 100.0));
    let name = fault.kind.as_str();
    match fault.kind {
        FaultKind::Errors(part) | FaultKind::Loss(part) => format!("{name} ({})", share(part)),
        FaultKind::Capacity(part) => format!("{name} cut to {}", share(part)),
        FaultKind::Slow(times) => format!("{name} ({} times)", number(times)),
        FaultKind::Latency(more) => format!("{name} (+{})", duration(more)),
        _ => name.to_owned(),
    }
}

/// Where and when: `stall from 30 s to 40 s`.
pub(super) fn fault_in_full(one: &Fault, scenario: &Scenario) -> String {
    let (from, to) = (duration(one.from), duration(one.ends()));
    let mut said = format!("{} from {from} to {to}", fault(one));
    if let Some(tier) = one.tier {
        let name = scenario.tiers.get(tier).map_or_else(|| tier.to_string(), |t| clean(&t.name));
        said.push_str(&format!(" in {name}"));
    }
    if let Some(shard) = one.shard {
        said.push_str(&format!(", shard {shard}"));
    }
    said
}

/// How calls come: `800 calls a second from 20 clients`.
pub(super) fn load(scenario: &Scenario) -> String {
    let clients = scenario.load.clients;
    match &scenario.load.arrivals {
        Arrivals::Users { think } => {
            format!("{clients} users who think for {}", duration(think.mean()))
        }
        Arrivals::Recorded(times) => format!("{} recorded calls, {clients} clients", times.len()),
        _ => {
            let rate = scenario.rate().unwrap_or_default();
            format!("{} calls a second from {clients} clients", number(rate))
        }
    }
}

/// `seeds 1 to 5`.
pub(super) fn seeds(found: &Findings) -> String {
    match found.seeds {
        0 | 1 => format!("seed {}", found.first_seed),
        more => {
            let last = found.first_seed.saturating_add(u64::from(more) - 1);
            format!("seeds {} to {last}", found.first_seed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short() {
        for (value, said) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1234567.0, "1234570"),
            (1e-7, "0.0000001"),
            (1.5e300, "1.5e300"),
            (800.0, "800"),
            (f64::INFINITY, "inf"),
            (f64::NAN, ""),
        ] {
            assert_eq!(number(value), said);
        }
    }

    #[test]
    fn three_digits_count() {
        for (value, said) in [
            (2.7345, "2.73"),
            (27.345, "27.3"),
            (9.999, "10.0"),
            (273.45, "273"),
            (2.5e300, "2.50e300"),
            (0.004, "0.00"),
            (0.0, "0"),
            (f64::INFINITY, "never"),
        ] {
            assert_eq!(short(value), said);
        }
    }

    #[test]
    fn no_control_and_no_change_of_direction_comes_through() {
        assert_eq!(
            clean("a\x1b[31m\u{202e}b\n\u{9b}c\0"),
            "a\u{fffd}[31m\u{fffd}b \u{fffd}c\u{fffd}"
        );
        assert_eq!(clean("עברית 🦀 日本"), "עברית 🦀 日本");
    }

    #[test]
    fn what_is_escaped_is_inert() {
        assert_eq!(escaped("<a b='c\" &d>"), "&lt;a b=&#39;c&quot; &amp;d&gt;");
    }

    #[test]
    fn letters_never_repeat() {
        assert_eq!([letter(0), letter(25), letter(26)], ["A", "Z", "A1"]);
    }
}
