//! Whether a stream of bytes matches, in bounded memory and whatever pieces it comes in.

use crate::words::Refusal;
use regex_automata::{
    Input,
    hybrid::{
        LazyStateID,
        dfa::{Cache, DFA},
    },
    nfa::thompson,
    util::syntax,
};
use std::sync::Arc;

/// A pattern, made ready.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Arc<DFA>);

impl Pattern {
    pub(crate) fn new(regex: &str) -> Result<Self, Refusal> {
        let refused = |mut error: &dyn std::error::Error| {
            // The last cause tells what is wrong with the pattern, the others only that it is.
            while let Some(cause) = error.source() {
                error = cause;
            }
            Refusal::new(format!("--retry-if-output {regex:?}: {error}"))
        };
        let syntax = syntax::Config::new().unicode(false).utf8(false).multi_line(true);
        let dfa = DFA::builder()
            .syntax(syntax)
            .thompson(thompson::Config::new().utf8(false))
            .configure(DFA::config().skip_cache_capacity_check(true))
            .build(regex)
            .map_err(|error| refused(&error))?;
        Ok(Self(Arc::new(dfa)))
    }
}

/// Where a stream has got to.
#[derive(Debug)]
pub(crate) struct Matcher {
    dfa: Arc<DFA>,
    cache: Cache,
    state: LazyStateID,
    over: Option<bool>,
}

impl Matcher {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        let dfa = Arc::clone(&pattern.0);
        let mut cache = dfa.create_cache();
        // A state that cannot be made needs a cache that can hold none, and that is not ours.
        let start = dfa.start_state_forward(&mut cache, &Input::new(b""));
        let over = start.is_err().then_some(false);
        let state = start.unwrap_or_else(|_| LazyStateID::default());
        Self { dfa, cache, state, over }
    }

    /// Takes the next bytes in.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.over.is_some() {
                return;
            }
            let next = self.dfa.next_state(&mut self.cache, self.state, *byte);
            self.step(next.ok());
        }
    }

    /// Whether the stream, which has ended here, matches.
    pub(crate) fn matches(&mut self) -> bool {
        if self.over.is_none() {
            let next = self.dfa.next_eoi_state(&mut self.cache, self.state);
            self.step(next.ok());
        }
        self.over.unwrap_or(false)
    }

    fn step(&mut self, next: Option<LazyStateID>) {
        match next {
            Some(next) if next.is_match() => self.over = Some(true),
            Some(next) if next.is_tagged() && (next.is_dead() || next.is_quit()) => {
                self.over = Some(false);
            }
            Some(next) => self.state = next,
            None => self.over = Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of every size.
    fn matches(regex: &str, text: &[u8]) -> bool {
        let pattern = Pattern::new(regex).expect("in order");
        let in_pieces = |size| {
            let mut matcher = Matcher::new(&pattern);
            text.chunks(size).for_each(|piece| matcher.feed(piece));
            matcher.matches()
        };
        let whole = in_pieces(text.len().max(1));
        for size in 1..=text.len() {
            assert_eq!(in_pieces(size), whole, "{regex} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_match_is_found_across_pieces() {
        assert!(matches("connection (reset|refused)", b"... connection refused\n"));
        assert!(!matches("connection (reset|refused)", b"... connection re\nfused\n"));
    }

    #[test]
    fn anchors_match_at_lines_and_at_the_end() {
        assert!(matches("^busy$", b"ok\nbusy\nok"));
        assert!(matches("busy$", b"so busy"));
        assert!(!matches("^busy$", b"not busy"));
        assert!(matches("^$", b""));
    }

    #[test]
    fn any_bytes_can_be_matched() {
        assert!(matches(r"\xff\x00.\xfe", b"abc\xff\x00\x80\xfe"));
        assert!(matches("zur\u{fc}ck", "es ist zur\u{fc}ck".as_bytes()));
        assert!(matches("(?i)ERROR", b"an Error"));
    }

    #[test]
    fn a_long_stream_is_matched_in_little_memory() {
        let pattern = Pattern::new("a.{0,200}b.{0,200}c").expect("in order");
        let mut matcher = Matcher::new(&pattern);
        for piece in 0..200_u32 {
            let bytes: Vec<u8> = (0..10_000).map(|n| b"axby"[(n * piece as usize) % 4]).collect();
            matcher.feed(&bytes);
        }
        assert!(matcher.cache.memory_usage() < 8 << 20, "{}", matcher.cache.memory_usage());
        assert!(!matcher.matches());
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_refused_by_name() {
        let refusal = Pattern::new("a(b").expect_err("unclosed").to_string();
        assert!(refusal.contains("--retry-if-output") && refusal.contains("unclosed"), "{refusal}");
    }
}
