//! Values as people write them, and as we write them back.

use std::{fmt, time::Duration};

/// Something asked for that makes no sense, or that we could not do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `250ms`, `1m30s`, or a number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    seconds(text)
        .or_else(|| humantime::parse_duration(text).ok())
        .ok_or_else(|| "a length of time is written like 250ms, 1m30s, or 2.5 (seconds)".to_owned())
}

/// `1048576`, `64K`, `16M`, `2G`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: Option<u64> = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        _ => None,
    };
    digits
        .parse::<u64>()
        .ok()
        .zip(unit)
        .and_then(|(digits, unit)| digits.checked_mul(unit))
        .ok_or_else(|| "a size is written like 65536, 64K, 16M or 2G".to_owned())
}

/// Exit statuses and ranges of them, parted by commas: `75,111,130-140`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exits(Vec<(u8, u8)>);

impl Exits {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let part = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some((from, to))
        };
        let parts: Option<Vec<(u8, u8)>> = text.split(',').map(part).collect();
        parts.map(Self).ok_or_else(|| {
            "exit statuses are numbers from 0 to 255 or ranges, parted by commas: 75,111,130-140"
                .to_owned()
        })
    }

    pub(crate) fn contains(&self, status: u8) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// A length of time for people: `42 s`, `7.1 s`, `250 ms`, `2 min 5 s`.
pub(crate) fn show(time: Duration) -> String {
    let ms = time.as_nanos().div_ceil(1_000_000);
    let tenths = (ms + 50) / 100;
    let text = match ms {
        0 => "0 s".to_owned(),
        1..1000 => format!("{ms} ms"),
        _ if tenths >= 36_000 => format!("{} h {} min", tenths / 36_000, tenths % 36_000 / 600),
        _ if tenths >= 600 => format!("{} min {} s", tenths / 600, tenths % 600 / 10),
        _ if tenths % 10 == 0 => format!("{} s", tenths / 10),
        _ => format!("{}.{} s", tenths / 10, tenths % 10),
    };
    text.replace(" min 0 s", " min").replace(" h 0 min", " h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_words_and_in_seconds() {
        for (text, millis) in [("250ms", 250), ("1m30s", 90_000), ("10", 10_000), ("0.5", 500)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "-1", "1 parsec", "nan", "inf", "1e30"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [("0", 0), ("64K", 65_536), ("16MiB", 16 << 20), ("2g", 2 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "K", "1.5M", "99999999999G", "-1"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn exits_are_numbers_and_ranges() {
        let exits = Exits::parse("75, 111,130-140").expect("in order");
        for status in [75, 111, 130, 135, 140] {
            assert!(exits.contains(status), "{status}");
        }
        for status in [0, 74, 129, 141] {
            assert!(!exits.contains(status), "{status}");
        }
        for wrong in ["", "256", "x", "9-3", "1,,2"] {
            assert!(Exits::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_shown_as_one_would_say_them() {
        for (millis, text) in [
            (0, "0 s"),
            (250, "250 ms"),
            (1000, "1 s"),
            (7120, "7.1 s"),
            (59_960, "1 min"),
            (3_599_990, "1 h"),
            (42_010, "42 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (7_260_000, "2 h 1 min"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }
}
