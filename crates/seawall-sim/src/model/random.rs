//! Streams of chance, and distributions drawn from them.
//!
//! Every purpose has a stream of its own: policies that are compared meet the same arrivals.

use seawall::Random;
use serde::Serialize;
use std::time::Duration;

/// One stream of a run.
#[derive(Debug, Clone)]
pub(crate) struct Stream(Random);

/// What a stream is for. The numbers are part of what a seed means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Arrivals = 1,
    Clients = 2,
    Service = 3,
    Network = 4,
    Faults = 5,
    Policies = 6,
    Thinking = 7,
}

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut mixed = Random::seeded(seed ^ (purpose as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self(Random::seeded(mixed.next_u64()))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly over `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.next_unit()
    }

    /// Whether something of this chance happens. Draws nothing where that is certain.
    pub(crate) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && (chance >= 1.0 || self.unit() < chance)
    }

    /// One of `0..count`.
    pub(crate) fn one_of(&mut self, count: u32) -> u32 {
        if count <= 1 {
            return 0;
        }
        // The high word of a product: even enough, for a bias of 2^-32.
        (((self.next() >> 32) * u64::from(count)) >> 32) as u32
    }

    /// Exponential, of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        // `1 - unit` is never 0.
        -libm::log(1.0 - self.unit())
    }

    /// Normal, of mean 0 and variance 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Span {
    /// Always the same.
    Constant(Duration),
    /// Evenly from the first to the second.
    Uniform(Duration, Duration),
    /// Exponential, with this mean.
    Exponential(Duration),
    /// Normal with mean and standard deviation; what would be negative is taken without its sign.
    Normal(Duration, Duration),
    /// Log-normal, with this median and this 99th percentile: what latencies mostly look like.
    LogNormal {
        /// Half take less.
        p50: Duration,
        /// One in a hundred takes longer. Not less than the median.
        p99: Duration,
    },
    /// One of these, each as likely as the others.
    Recorded(Vec<Duration>),
}

impl Span {
    /// What it takes on average.
    pub fn mean(&self) -> Duration {
        match self {
            Self::Constant(span) | Self::Exponential(span) => *span,
            Self::Uniform(from, to) => (*from + *to) / 2,
            Self::Normal(mean, deviation) => {
                // Of the folded normal (Leone, Nelson and Nottingham, 1961).
                let (m, d) = (mean.as_secs_f64(), deviation.as_secs_f64());
                if d == 0.0 {
                    return *mean;
                }
                let tail = 0.5 * libm::erfc(m / d / std::f64::consts::SQRT_2);
                let bend = d * libm::sqrt(2.0 / std::f64::consts::PI);
                let folded = bend * libm::exp(-m * m / (2.0 * d * d)) + m * (1.0 - 2.0 * tail);
                Duration::from_secs_f64(folded.max(0.0))
            }
            Self::LogNormal { p50, p99 } => {
                let sigma = sigma(*p50, *p99);
                let mean = p50.as_secs_f64() * libm::exp(sigma * sigma / 2.0);
                Duration::try_from_secs_f64(mean).unwrap_or(Duration::MAX)
            }
            Self::Recorded(spans) => {
                let count = u32::try_from(spans.len()).unwrap_or(u32::MAX).max(1);
                spans.iter().sum::<Duration>() / count
            }
        }
    }

    /// In ns.
    pub(crate) fn draw(&self, stream: &mut Stream) -> u64 {
        match self {
            Self::Constant(span) => nanos(*span),
            Self::Uniform(from, to) => {
                let (from, to) = (nanos(*from), nanos(*to));
                from.saturating_add(rounded(to.saturating_sub(from) as f64 * stream.unit()))
            }
            Self::Exponential(mean) => rounded(nanos(*mean) as f64 * stream.exponential()),
            Self::Normal(mean, deviation) => {
                let (mean, deviation) = (mean.as_nanos() as f64, deviation.as_nanos() as f64);
                rounded((mean + deviation * stream.normal()).abs())
            }
            Self::LogNormal { p50, p99 } => {
                let grown = libm::exp(sigma(*p50, *p99) * stream.normal());
                rounded(p50.as_nanos() as f64 * grown)
            }
            Self::Recorded(spans) => {
                let count = u32::try_from(spans.len()).unwrap_or(u32::MAX);
                spans.get(stream.one_of(count) as usize).map_or(0, |span| nanos(*span))
            }
        }
    }

    /// Whether every draw is this one, in ns.
    pub(crate) fn constant(&self) -> Option<u64> {
        match self {
            Self::Constant(span) => Some(nanos(*span)),
            _ => None,
        }
    }
}

/// The standard deviation of the logarithm.
fn sigma(p50: Duration, p99: Duration) -> f64 {
    /// The standard normal distribution's 99th percentile.
    const Z99: f64 = 2.326_347_874_040_841;
    libm::log(p99.as_secs_f64() / p50.as_secs_f64()).max(0.0) / Z99
}

/// Ns, as many as fit.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// To whole ns; what is out of range becomes the nearest number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn rounded(ns: f64) -> u64 {
    ns as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn mean_of(span: &Span) -> f64 {
        let mut stream = Stream::new(1, Purpose::Service);
        let sum: f64 = (0..200_000).map(|_| span.draw(&mut stream) as f64).sum();
        sum / 200_000.0
    }

    #[test]
    fn what_is_drawn_has_the_mean_that_is_told() {
        for span in [
            Span::Constant(10 * MS),
            Span::Uniform(5 * MS, 15 * MS),
            Span::Exponential(10 * MS),
            Span::Normal(10 * MS, 2 * MS),
            Span::Normal(2 * MS, 10 * MS),
            Span::LogNormal { p50: 20 * MS, p99: 200 * MS },
            Span::Recorded(vec![5 * MS, 10 * MS, 60 * MS]),
        ] {
            let (drawn, told) = (mean_of(&span), span.mean().as_nanos() as f64);
            assert!((drawn / told - 1.0).abs() < 0.01, "{span:?}: {drawn} and {told}");
        }
    }

    #[test]
    fn the_percentiles_of_a_log_normal_span_are_those_asked_for() {
        let span = Span::LogNormal { p50: 20 * MS, p99: 200 * MS };
        let mut stream = Stream::new(7, Purpose::Service);
        let mut drawn: Vec<u64> = (0..100_000).map(|_| span.draw(&mut stream)).collect();
        drawn.sort_unstable();
        let at = |share: usize| drawn[drawn.len() * share / 100] as f64 / 1e6;
        assert!((at(50) / 20.0 - 1.0).abs() < 0.02, "{}", at(50));
        assert!((at(99) / 200.0 - 1.0).abs() < 0.05, "{}", at(99));
    }

    #[test]
    fn streams_of_two_purposes_and_of_two_seeds_differ() {
        let first = |seed, purpose| Stream::new(seed, purpose).next();
        assert_ne!(first(1, Purpose::Arrivals), first(1, Purpose::Service));
        assert_ne!(first(1, Purpose::Arrivals), first(2, Purpose::Arrivals));
        assert_eq!(first(1, Purpose::Arrivals), first(1, Purpose::Arrivals));
    }

    #[test]
    fn chances_are_kept() {
        let mut stream = Stream::new(3, Purpose::Faults);
        let hits = (0..100_000).filter(|_| stream.chance(0.3)).count();
        assert!((29_500..30_500).contains(&hits), "{hits}");
        assert!(!stream.chance(0.0) && stream.chance(1.0));
    }
}
