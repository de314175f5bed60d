//! DECIDE: how long to wait before the next attempt.

use crate::{
    random::Random,
    setting::{InvalidSetting, Refusal, SettingValue, longer},
};
use std::{fmt, ptr, str::FromStr, time::Duration};

/// How the delays of one call grow. `n` counts the delays from 1; `base` is `base_delay`.
///
/// In text (`FromStr`, serde): `fixed`, `linear`, `exponential`, `fibonacci`, `decorrelated`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum BackoffStrategy {
    /// Always `base`.
    Fixed,
    /// `base * (1 + (n - 1) * multiplier)`; the multiplier is 1 unless set.
    Linear,
    /// `base * multiplier ^ (n - 1)`; the multiplier is 2 unless set.
    Exponential,
    /// `base * F(n)`, with F = 1, 1, 2, 3, 5, ...
    Fibonacci,
    /// A draw from `base ..= previous * multiplier`; the multiplier is 3 unless set. The strategy is
    /// jitter already, and the setting `jitter` adds none.
    ///
    /// Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    Decorrelated,
    /// What the function gives for `n`. Cannot be serialised.
    Custom(fn(u64) -> Duration),
}

impl BackoffStrategy {
    /// The strategy in one word, as it is parsed; `custom` for a function.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Fibonacci => "fibonacci",
            Self::Decorrelated => "decorrelated",
            Self::Custom(_) => "custom",
        }
    }
}

impl PartialEq for BackoffStrategy {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(one), Self::Custom(other)) => ptr::fn_addr_eq(*one, *other),
            (one, other) => one.as_str() == other.as_str(),
        }
    }
}

impl Eq for BackoffStrategy {}

impl fmt::Display for BackoffStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BackoffStrategy {
    type Err = InvalidSetting;

    fn from_str(word: &str) -> Result<Self, InvalidSetting> {
        [Self::Fixed, Self::Linear, Self::Exponential, Self::Fibonacci, Self::Decorrelated]
            .into_iter()
            .find(|strategy| strategy.as_str() == word)
            .ok_or_else(|| {
                InvalidSetting::new(
                    "backoff_strategy",
                    SettingValue::Text(word.to_owned().into()),
                    "`backoff_strategy` must be `fixed`, `linear`, `exponential`, `fibonacci` or `decorrelated`",
                )
            })
    }
}

/// How a delay `d` is spread, so that callers who failed together do not come back together.
///
/// The interval is cut at `max_delay` before the draw, and nothing is clamped after it: delays
/// spread at the cap as well. In text: `none`, `plus_minus`, `plus_minus_20` (any percentage), `full`,
/// `equal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Exactly `d`.
    None,
    /// Evenly from `0.75 d ..= 1.25 d`.
    PlusMinus,
    /// As `PlusMinus`, by this many percent of `d` either way, 0 to 100.
    PlusMinusPercent(u8),
    /// Evenly from `0 ..= d`.
    Full,
    /// Evenly from `d / 2 ..= d`.
    Equal,
}

impl Jitter {
    /// The kind of jitter in one word. `Display` adds the percentage, if there is one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PlusMinus | Self::PlusMinusPercent(_) => "plus_minus",
            Self::Full => "full",
            Self::Equal => "equal",
        }
    }

    /// The interval to draw from, as factors of the delay.
    fn factors(self) -> (f64, f64) {
        match self {
            Self::PlusMinusPercent(percent) => {
                let share = f64::from(percent) / 100.0;
                (1.0 - share, 1.0 + share)
            }
            Self::None => (1.0, 1.0),
            Self::PlusMinus => (0.75, 1.25),
            Self::Full => (0.0, 1.0),
            Self::Equal => (0.5, 1.0),
        }
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::PlusMinusPercent(percent) = self {
            return write!(f, "plus_minus_{percent}");
        }
        f.write_str(self.as_str())
    }
}

impl FromStr for Jitter {
    type Err = InvalidSetting;

    fn from_str(word: &str) -> Result<Self, InvalidSetting> {
        let percent = || word.strip_prefix("plus_minus_")?.parse().ok().filter(|p| *p <= 100);
        [Self::None, Self::PlusMinus, Self::Full, Self::Equal]
            .into_iter()
            .find(|jitter| jitter.as_str() == word)
            .or_else(|| percent().map(Self::PlusMinusPercent))
            .ok_or_else(|| {
                InvalidSetting::new(
                    "jitter",
                    SettingValue::Text(word.to_owned().into()),
                    "`jitter` must be `none`, `plus_minus`, `plus_minus_` and a percentage, `full` or `equal`",
                )
            })
    }
}

/// The settings that delays are made from, checked and complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) strategy: BackoffStrategy,
    pub(crate) multiplier: f64,
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
    pub(crate) jitter: Jitter,
}

/// Where one call's delays have got to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// Delays made so far.
    made: u64,
    /// The last of them, in ns; 0 before the first.
    previous: f64,
    pub(crate) random: Random,
}

impl Progress {
    pub(crate) const fn new(random: Random) -> Self {
        Self { made: 0, previous: 0.0, random }
    }
}

impl Backoff {
    /// Checks the settings and fills in what was left out.
    pub(crate) const fn checked(
        strategy: BackoffStrategy,
        multiplier: Option<f64>,
        base: Option<Duration>,
        cap: Option<Duration>,
        jitter: Jitter,
    ) -> Result<Self, Refusal> {
        let multiplier = match (multiplier, strategy) {
            (Some(multiplier), _) => multiplier,
            (None, BackoffStrategy::Linear) => 1.0,
            (None, BackoffStrategy::Decorrelated) => 3.0,
            (None, _) => 2.0,
        };
        // Written so that NaN is refused too.
        if !(multiplier >= 0.0 && multiplier <= f64::MAX) {
            let rule = "`multiplier` must be a finite number, 0 or more";
            return Err(Refusal::number("multiplier", multiplier, rule));
        }
        if let Jitter::PlusMinusPercent(percent) = jitter {
            if percent > 100 {
                let rule = "`jitter` must be 100 percent or less";
                return Err(Refusal::integer("jitter", percent as u64, rule));
            }
        }
        if let (Some(base), Some(cap)) = (base, cap) {
            if longer(base, cap) {
                let rule = "`max_delay` must not be shorter than `base_delay`";
                return Err(Refusal::duration("max_delay", cap, rule));
            }
        }
        let cap = match (cap, base) {
            (Some(cap), _) => cap,
            // A base beyond the default cap is meant.
            (None, Some(base)) if longer(base, Self::CAP) => base,
            (None, _) => Self::CAP,
        };
        let base = match base {
            Some(base) => base,
            // A cap below the default base is meant as well: what is complete is valid by itself.
            None if longer(Self::BASE, cap) => cap,
            None => Self::BASE,
        };
        Ok(Self { strategy, multiplier, base, cap, jitter })
    }

    pub(crate) const BASE: Duration = Duration::from_secs(1);
    pub(crate) const CAP: Duration = Duration::from_secs(60);

    /// The next delay of a call.
    pub(crate) fn next(&self, progress: &mut Progress) -> Duration {
        progress.made = progress.made.saturating_add(1);
        let range = self.range(progress.made, progress.previous);
        progress.previous = draw(range, &mut progress.random);
        self.rounded(progress.previous)
    }

    /// The `n`th delay by itself, as if none had been drawn before.
    #[cfg(feature = "foreign")]
    pub(crate) fn nth(&self, n: u64, random: &mut Random) -> Duration {
        self.rounded(draw(self.range(n, 0.0), random))
    }

    /// What the `n`th delay is drawn from, cut at the cap.
    pub(crate) fn interval(&self, n: u64, previous: Option<Duration>) -> (Duration, Duration) {
        let (from, to) = self.range(n, previous.map_or(0.0, nanos));
        (self.rounded(from), self.rounded(to))
    }

    /// The `n`th delay without jitter.
    #[cfg(any(feature = "config", test))]
    pub(crate) fn middle(&self, n: u64) -> Duration {
        self.rounded(self.grown(n))
    }

    /// As [`interval`](Self::interval), in ns that are not rounded yet.
    fn range(&self, n: u64, previous: f64) -> (f64, f64) {
        if self.is_nothing() {
            return (0.0, 0.0);
        }
        let cap = nanos(self.cap);
        if matches!(self.strategy, BackoffStrategy::Decorrelated) {
            let from = nanos(self.base).min(cap);
            let to = previous.max(from) * self.multiplier;
            return (from, to.clamp(from, cap));
        }
        let middle = self.grown(n);
        let (low, high) = self.jitter.factors();
        (middle * low, lesser(middle * high, cap))
    }

    /// The `n`th delay without jitter, in ns that are not rounded yet.
    #[expect(clippy::cast_precision_loss, reason = "attempt numbers past 2^53 are past the cap")]
    fn grown(&self, n: u64) -> f64 {
        if self.is_nothing() {
            return 0.0;
        }
        let retries_before = n.saturating_sub(1);
        let factor = match self.strategy {
            BackoffStrategy::Fixed | BackoffStrategy::Decorrelated => 1.0,
            BackoffStrategy::Linear => 1.0 + retries_before as f64 * self.multiplier,
            BackoffStrategy::Exponential => power(self.multiplier, retries_before),
            BackoffStrategy::Fibonacci => fibonacci(n),
            BackoffStrategy::Custom(delay) => return nanos(delay(n).min(self.cap)),
        };
        lesser(nanos(self.base) * factor, nanos(self.cap))
    }

    /// Whether there is no delay, ever: nothing grows out of nothing, though 0 * infinity is NaN.
    fn is_nothing(&self) -> bool {
        self.base.is_zero() && !matches!(self.strategy, BackoffStrategy::Custom(_))
    }

    /// To the nearest ns, and at most the cap.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared before")]
    fn rounded(&self, nanos: f64) -> Duration {
        // 2^62: some 146 years.
        if nanos < (1_u64 << 62) as f64 {
            let whole = nanos as i64;
            let up = nanos - whole as f64 >= 0.5;
            return Duration::from_nanos(whole as u64 + u64::from(up)).min(self.cap);
        }
        Duration::try_from_secs_f64(nanos / 1e9).map_or(self.cap, |delay| delay.min(self.cap))
    }
}

/// `base` to the power of `n`, by squares: the same digits on every machine, which `powf` does not
/// promise. Not below 0, and never NaN.
fn power(base: f64, n: u64) -> f64 {
    let (mut power, mut square, mut left) = (1.0, base, n);
    while left > 0 {
        if left % 2 == 1 {
            power *= square;
        }
        square *= square;
        left /= 2;
    }
    power
}

/// F(n); infinite where a double holds it no more.
fn fibonacci(n: u64) -> f64 {
    // F(1477) is the first beyond f64::MAX.
    let (mut this, mut next) = (0.0_f64, 1.0_f64);
    for _ in 0..n.min(1480) {
        (this, next) = (next, this + next);
    }
    this
}

/// The lesser of two that are no NaN, which `min` would look for.
fn lesser(one: f64, other: f64) -> f64 {
    if one < other { one } else { other }
}

/// In ns: exact to 2^53, which are 104 days.
#[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
fn nanos(duration: Duration) -> f64 {
    // Processors convert signed numbers only; of others they make two halves.
    let seconds = match i64::try_from(duration.as_secs()) {
        Ok(seconds) => seconds as f64,
        Err(_) => duration.as_secs() as f64,
    };
    seconds * 1e9 + f64::from(duration.subsec_nanos())
}

/// Evenly from `from ..= to`. Draws nothing where there is no choice.
fn draw((from, to): (f64, f64), random: &mut Random) -> f64 {
    if to > from { from + (to - from) * random.next_unit() } else { from }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    fn plain(strategy: BackoffStrategy, multiplier: Option<f64>) -> Backoff {
        Backoff::checked(strategy, multiplier, Some(S), None, Jitter::None).expect("in order")
    }

    fn seconds(backoff: &Backoff, count: usize) -> Vec<f64> {
        let mut progress = Progress::new(Random::seeded(1));
        (0..count).map(|_| backoff.next(&mut progress).as_secs_f64()).collect()
    }

    proptest! {
        #[test]
        fn delays_are_rounded_to_the_nearest_nanosecond_and_cut_at_the_cap(
            (nanos, cap) in (0..1_u64 << 52, 0..1_u64 << 52),
            (rest, shift) in (0.0..1.0_f64, 0..52_u32),
        ) {
            let cap = Duration::from_nanos(cap);
            #[expect(clippy::cast_precision_loss)]
            let exact = (nanos >> shift) as f64 + rest;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let expected = Duration::from_nanos(exact.round() as u64).min(cap);
            let backoff = Backoff { cap, ..plain(BackoffStrategy::Fixed, None) };
            prop_assert_eq!(backoff.rounded(exact), expected);
        }

        #[test]
        fn powers_by_squares_are_powers(base in 0.0..100.0_f64, n in 0..200_u64) {
            #[expect(clippy::cast_precision_loss)]
            let expected = base.powf(n as f64);
            let power = power(base, n);
            prop_assert!(power == expected || (power / expected - 1.0).abs() < 1e-12, "{power}, {expected}");
        }
    }

    #[test]
    fn powers_end_in_infinity_or_nothing_and_are_never_nan() {
        let far = u64::MAX;
        for (base, n, expected) in [
            (0.0, 0, 1.0),
            (0.0, far, 0.0),
            (0.5, far, 0.0),
            (1.0, far, 1.0),
            (2.0, far, f64::INFINITY),
            (f64::MAX, 2, f64::INFINITY),
            (3.0, 7, 2187.0),
            (2.0, 1023, 2_f64.powi(1023)),
        ] {
            assert_eq!(power(base, n), expected, "{base}^{n}");
        }
    }

    #[test]
    fn where_there_is_no_choice_nothing_is_drawn() {
        let mut random = Random::seeded(1);
        assert_eq!(draw((2.0, 2.0), &mut random), 2.0);
        assert_eq!(random, Random::seeded(1));
        assert_ne!(draw((2.0, 3.0), &mut random), 2.0);
        assert_ne!(random, Random::seeded(1));
    }

    #[test]
    fn delays_of_centuries_come_out_as_near_as_doubles_are() {
        let year = S * 31_557_600;
        let fixed =
            |base| Backoff { base, cap: Duration::MAX, ..plain(BackoffStrategy::Fixed, None) };
        for years in [100, 146, 147, 300, 584, 585, 10_000, 400_000_000] {
            let (base, delay) = (year * years, fixed(year * years).middle(1));
            assert!(
                (delay.as_secs_f64() / base.as_secs_f64() - 1.0).abs() < 1e-15,
                "{years}: {delay:?}"
            );
        }
        let endless = fixed(Duration::MAX);
        assert_eq!(endless.middle(1), Duration::MAX);
        assert_eq!(endless.interval(1, None), (Duration::MAX, Duration::MAX));
        assert_eq!(nanos(Duration::new(3, 7)), 3_000_000_007.0);
    }

    #[test]
    fn each_strategy_grows_by_its_formula() {
        use BackoffStrategy::{Custom, Exponential, Fibonacci, Fixed, Linear};
        for (strategy, multiplier, expected) in [
            (Fixed, None, [1.0, 1.0, 1.0, 1.0, 1.0]),
            (Linear, None, [1.0, 2.0, 3.0, 4.0, 5.0]),
            (Linear, Some(1.5), [1.0, 2.5, 4.0, 5.5, 7.0]),
            (Exponential, None, [1.0, 2.0, 4.0, 8.0, 16.0]),
            (Exponential, Some(3.0), [1.0, 3.0, 9.0, 27.0, 60.0]),
            (Fibonacci, None, [1.0, 1.0, 2.0, 3.0, 5.0]),
            (Custom(|n| Duration::from_secs(n * n)), None, [1.0, 4.0, 9.0, 16.0, 25.0]),
        ] {
            assert_eq!(seconds(&plain(strategy, multiplier), 5), expected, "{strategy}");
        }
    }

    #[test]
    fn ordinary_delays_come_out_exact() {
        let base = Duration::from_millis(100);
        let backoff =
            Backoff::checked(BackoffStrategy::Exponential, None, Some(base), None, Jitter::None)
                .expect("in order");
        let mut progress = Progress::new(Random::seeded(1));
        for n in 0..9 {
            assert_eq!(backoff.next(&mut progress), base * 2_u32.pow(n));
        }
    }

    #[test]
    fn delays_spread_at_the_cap_as_their_jitter_says() {
        let cap = Duration::from_secs(60);
        for (jitter, low) in [(Jitter::PlusMinus, 45.0), (Jitter::Full, 0.0), (Jitter::Equal, 30.0)]
        {
            let backoff = Backoff { jitter, ..plain(BackoffStrategy::Exponential, None) };
            let mut progress = Progress { made: 1000, ..Progress::new(Random::seeded(3)) };
            let draws: Vec<Duration> = (0..20_000).map(|_| backoff.next(&mut progress)).collect();
            let mut distinct = draws.clone();
            distinct.sort();
            distinct.dedup();
            assert!(distinct.len() > draws.len() / 2, "{jitter}: {} distinct", distinct.len());
            assert!(draws.iter().all(|d| *d <= cap && d.as_secs_f64() >= low), "{jitter}");
            // An even draw from [low, 60]: its mean and variance, within four standard errors.
            let secs = draws.iter().map(Duration::as_secs_f64);
            let mean = secs.clone().sum::<f64>() / 20_000.0;
            let variance = secs.map(|d| (d - mean).powi(2)).sum::<f64>() / 20_000.0;
            let (expected_mean, expected_variance) =
                (f64::midpoint(low, 60.0), (60.0 - low).powi(2) / 12.0);
            assert!((mean - expected_mean).abs() < 4.0 * (expected_variance / 20_000.0).sqrt());
            assert!((variance / expected_variance - 1.0).abs() < 0.05, "{jitter}: {variance}");
        }
    }

    #[test]
    fn plus_minus_below_the_cap_reaches_both_ways() {
        let backoff = Backoff { jitter: Jitter::PlusMinus, ..plain(BackoffStrategy::Fixed, None) };
        let draws = seconds(&backoff, 10_000);
        assert!(draws.iter().all(|d| (0.75..=1.25).contains(d)));
        assert!(draws.iter().any(|d| *d < 0.76) && draws.iter().any(|d| *d > 1.24));
        let backoff = Backoff { jitter: Jitter::PlusMinusPercent(20), ..backoff };
        let draws = seconds(&backoff, 10_000);
        assert!(draws.iter().all(|d| (0.8..=1.2).contains(d)));
        assert!(draws.iter().any(|d| *d < 0.81) && draws.iter().any(|d| *d > 1.19));
    }

    #[test]
    fn decorrelated_draws_between_the_base_and_three_times_the_last() {
        let backoff = plain(BackoffStrategy::Decorrelated, None);
        let mut progress = Progress::new(Random::seeded(5));
        let mut previous = S;
        for _ in 0..1000 {
            let delay = backoff.next(&mut progress);
            assert!(delay >= S && delay <= (previous * 3).min(Backoff::CAP), "{delay:?}");
            previous = delay;
        }
    }

    #[test]
    fn words_name_strategies_and_jitters_and_unknown_words_are_refused() {
        for word in ["fixed", "linear", "exponential", "fibonacci", "decorrelated"] {
            assert_eq!(word.parse::<BackoffStrategy>().expect("a strategy").to_string(), word);
        }
        for word in ["none", "plus_minus", "plus_minus_20", "full", "equal"] {
            assert_eq!(word.parse::<Jitter>().expect("a jitter").to_string(), word);
        }
        let refused = "quadratic".parse::<BackoffStrategy>().expect_err("no such strategy");
        assert!(refused.to_string().ends_with("but is quadratic"), "{refused}");
        for word in ["some", "plus_minus_", "plus_minus_101", "plus_minus_-1"] {
            assert_eq!(word.parse::<Jitter>().expect_err("no such jitter").field(), "jitter");
        }
    }

    #[test]
    fn strategies_are_equal_by_kind_and_custom_ones_by_function() {
        use BackoffStrategy::{Custom, Exponential, Fixed, Linear};
        fn one(n: u64) -> Duration {
            Duration::from_secs(n)
        }
        fn other(n: u64) -> Duration {
            Duration::from_millis(n)
        }
        assert_eq!(Fixed, Fixed);
        assert_ne!(Fixed, Linear);
        assert_ne!(Exponential, Custom(one));
        assert_eq!(Custom(one), Custom(one));
        assert_ne!(Custom(one), Custom(other));
    }

    #[test]
    fn percentages_go_from_none_to_all_of_the_delay() {
        let checked = |percent| {
            let jitter = Jitter::PlusMinusPercent(percent);
            Backoff::checked(BackoffStrategy::Fixed, None, Some(S), None, jitter)
        };
        for (percent, interval) in
            [(0, (S, S)), (20, (S * 8 / 10, S * 12 / 10)), (100, (Duration::ZERO, 2 * S))]
        {
            let backoff = checked(percent).map_err(|_| percent).expect("in order");
            assert_eq!(backoff.interval(1, None), interval, "{percent}");
        }
        assert!(checked(101).is_err() && checked(255).is_err());
        assert_eq!("plus_minus_100".parse(), Ok(Jitter::PlusMinusPercent(100)));
    }

    #[test]
    fn what_is_left_out_makes_way_for_what_is_given() {
        let complete = |base, cap| {
            let checked = Backoff::checked(BackoffStrategy::Fixed, None, base, cap, Jitter::None);
            let Backoff { base, cap, .. } = checked.map_err(|_| ()).expect("in order");
            (base.as_secs_f64(), cap.as_secs_f64())
        };
        assert_eq!(complete(None, None), (1.0, 60.0));
        assert_eq!(complete(Some(5 * S), None), (5.0, 60.0));
        assert_eq!(complete(Some(90 * S), None), (90.0, 90.0), "a base beyond the default cap");
        assert_eq!(complete(None, Some(S / 2)), (0.5, 0.5), "a cap below the default base");
        assert_eq!(complete(None, Some(5 * S)), (1.0, 5.0));
        assert_eq!(complete(Some(S), Some(S)), (1.0, 1.0));
    }

    #[test]
    fn a_multiplier_is_a_finite_number_from_zero() {
        let checked = |multiplier| {
            let fixed = BackoffStrategy::Fixed;
            Backoff::checked(fixed, Some(multiplier), None, None, Jitter::None).is_ok()
        };
        assert!([0.0, 1.0, f64::MAX].into_iter().all(checked));
        assert!(![f64::NAN, -1e-9, f64::NEG_INFINITY, f64::INFINITY].into_iter().any(checked));
    }

    #[test]
    fn custom_delays_look_at_no_base() {
        let strategy = BackoffStrategy::Custom(Duration::from_secs);
        let backoff = Backoff { base: Duration::ZERO, ..plain(strategy, None) };
        assert_eq!(seconds(&backoff, 3), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn nothing_grows_out_of_nothing_whatever_the_factor() {
        use BackoffStrategy::{Decorrelated, Exponential, Fibonacci, Fixed, Linear};
        for strategy in [Fixed, Linear, Exponential, Fibonacci, Decorrelated] {
            let multiplier = f64::MAX;
            let backoff = Backoff { base: Duration::ZERO, multiplier, ..plain(strategy, None) };
            for n in [1, 2, 3, 2000, u64::MAX] {
                assert_eq!(
                    backoff.interval(n, None),
                    (Duration::ZERO, Duration::ZERO),
                    "{strategy}"
                );
                assert_eq!(backoff.middle(n), Duration::ZERO, "{strategy}");
            }
        }
    }

    #[test]
    fn fibonacci_numbers_are_the_known_ones_and_end_in_infinity() {
        assert_eq!([1, 2, 3, 10, 50].map(fibonacci), [1.0, 1.0, 2.0, 55.0, 12_586_269_025.0]);
        assert!(fibonacci(1476).is_finite());
        assert_eq!([1477, 5000, u64::MAX].map(fibonacci), [f64::INFINITY; 3]);
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::from_nanos(1)),
            Just(Duration::MAX),
            any::<u64>().prop_map(Duration::from_nanos),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
        ]
    }

    fn any_strategy() -> impl Strategy<Value = BackoffStrategy> {
        prop_oneof![
            Just(BackoffStrategy::Fixed),
            Just(BackoffStrategy::Linear),
            Just(BackoffStrategy::Exponential),
            Just(BackoffStrategy::Fibonacci),
            Just(BackoffStrategy::Decorrelated),
            Just(BackoffStrategy::Custom(|_| Duration::MAX)),
        ]
    }

    proptest! {
        /// Law 5: for every attempt number and all settings, 0 <= delay <= cap, and no panic.
        #[test]
        fn no_delay_leaves_zero_to_cap(
            strategy in any_strategy(),
            multiplier in prop_oneof![Just(0.0), Just(f64::MAX), Just(1e30), 0.0..4.0],
            base in any_duration(),
            cap in any_duration(),
            jitter in prop_oneof![
                Just(Jitter::None), Just(Jitter::PlusMinus), Just(Jitter::Full), Just(Jitter::Equal),
                (0..=100_u8).prop_map(Jitter::PlusMinusPercent)
            ],
            start in prop_oneof![0..70_u64, any::<u64>(), Just(u64::MAX - 1)],
            seed: u64,
        ) {
            let backoff = Backoff { strategy, multiplier, base: base.min(cap), cap, jitter };
            let mut progress = Progress { made: start, ..Progress::new(Random::seeded(seed)) };
            for _ in 0..8 {
                prop_assert!(backoff.next(&mut progress) <= cap);
            }
        }

        /// Without jitter, exponential and Fibonacci delays never fall.
        #[test]
        fn growing_delays_never_fall(base in any_duration(), multiplier in 1.0..1e9, n in 1..5000_u64) {
            for strategy in [BackoffStrategy::Exponential, BackoffStrategy::Fibonacci, BackoffStrategy::Linear] {
                let backoff = Backoff { multiplier, base, cap: Duration::MAX, ..plain(strategy, None) };
                prop_assert!(backoff.middle(n) <= backoff.middle(n + 1));
            }
        }
    }
}
