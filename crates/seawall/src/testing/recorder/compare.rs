//! DECIDE: whether events are those that were expected, and what to say if not.

use super::Recorded;
use std::fmt::Write;

/// How many lines are shown before the first difference, and how many from it on.
const BEFORE: usize = 3;
const BEHIND: usize = 8;

/// Both sides beside each other, where they differ.
pub(super) fn difference(expected: &[&str], got: &[Recorded]) -> Option<String> {
    let agrees = |(expected, got): (&&str, &Recorded)| got.is(expected);
    let agreeing = expected.iter().zip(got).take_while(|pair| agrees(*pair)).count();
    let rows = expected.len().max(got.len());
    if agreeing == rows {
        return None;
    }
    let shown = agreeing.saturating_sub(BEFORE)..rows.min(agreeing + BEHIND);
    let left = |row: usize| expected.get(row).copied().unwrap_or("(nothing)");
    let right = |row: usize| got.get(row).map_or("(nothing)".into(), Recorded::to_string);
    let digits = shown.end.to_string().len();
    let width = shown.clone().map(|row| left(row).chars().count()).max().unwrap_or(0).max(8);

    let mut text = format!("event {} is not the expected one\n", agreeing + 1);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "    {:digits$} {:width$} | got", "", "expected");
    if shown.start > 0 {
        let _ = writeln!(text, "    {:digits$} .. {} that agree", "", shown.start);
    }
    for row in shown.clone() {
        let arrow = if row == agreeing { "-->" } else { "   " };
        let line = format!("{arrow} {:digits$} {:width$} | {}", row + 1, left(row), right(row),);
        let _ = writeln!(text, "{line}");
    }
    if shown.end < rows {
        let _ = writeln!(text, "    {:digits$} .. {} more rows", "", rows - shown.end);
    }
    let _ = write!(text, "expected {}, got {}", expected.len(), got.len());
    let _ = match (expected.len(), got.len()) {
        (expected, got) if got > expected => write!(text, ": {} more", got - expected),
        (expected, got) if got < expected => write!(text, ": {} missing", expected - got),
        _ => Ok(()),
    };
    Some(text)
}

/// The events that were heard, one a line.
pub(super) fn listed(got: &[Recorded]) -> String {
    const MOST: usize = 20;
    let mut text = format!("got {}", got.len());
    for (n, event) in (1..=MOST).zip(got) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n    {n} {event}");
    }
    if got.len() > MOST {
        let _ = write!(text, "\n    .. {} more", got.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use std::time::Duration;

    fn timeouts(seconds: impl IntoIterator<Item = u64>) -> Vec<Recorded> {
        let event = |seconds| Event::TimedOut { limit: Duration::from_secs(seconds) };
        seconds.into_iter().map(|seconds| Recorded::from(&event(seconds))).collect()
    }

    #[test]
    fn what_agrees_is_no_difference() {
        assert_eq!(difference(&[], &[]), None);
        let got = timeouts([1, 2]);
        assert_eq!(difference(&["timed out", "timed out after 2s"], &got), None);
    }

    #[test]
    fn both_sides_stand_beside_each_other_with_an_arrow_at_the_first_difference() {
        let text = difference(&["timed out after 1s", "timed out after 3s"], &timeouts([1, 2, 3]));
        let shown = "\
event 2 is not the expected one
      expected           | got
    1 timed out after 1s | timed out after 1s
--> 2 timed out after 3s | timed out after 2s
    3 (nothing)          | timed out after 3s
expected 2, got 3: 1 more";
        assert_eq!(text.as_deref(), Some(shown));
    }

    #[test]
    fn an_event_that_is_missing_is_a_difference() {
        let shown = "\
event 1 is not the expected one
      expected  | got
--> 1 timed out | (nothing)
expected 1, got 0: 1 missing";
        assert_eq!(difference(&["timed out"], &[]).as_deref(), Some(shown));
    }

    #[test]
    fn an_event_behind_the_last_expected_one_is_a_difference() {
        let shown = "\
event 2 is not the expected one
      expected  | got
    1 timed out | timed out after 1s
--> 2 (nothing) | timed out after 2s
expected 1, got 2: 1 more";
        assert_eq!(difference(&["timed out"], &timeouts([1, 2])).as_deref(), Some(shown));
    }

    #[test]
    fn of_long_sequences_the_lines_around_the_difference_are_shown() {
        let mut expected = vec!["timed out"; 30];
        expected[9] = "retry";
        let shown = "\
event 10 is not the expected one
       expected  | got
       .. 6 that agree
     7 timed out | timed out after 7s
     8 timed out | timed out after 8s
     9 timed out | timed out after 9s
--> 10 retry     | timed out after 10s
    11 timed out | timed out after 11s
    12 timed out | timed out after 12s
    13 timed out | timed out after 13s
    14 timed out | timed out after 14s
    15 timed out | timed out after 15s
    16 timed out | timed out after 16s
    17 timed out | timed out after 17s
       .. 13 more rows
expected 30, got 30";
        assert_eq!(difference(&expected, &timeouts(1..=30)).as_deref(), Some(shown));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&timeouts([1])), "got 1\n    1 timed out after 1s");
        let list = listed(&timeouts(1..=25));
        assert!(list.ends_with("\n    20 timed out after 20s\n    .. 5 more"), "{list}");
        assert_eq!(listed(&[]), "got 0");
    }
}
