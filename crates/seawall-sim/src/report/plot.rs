//! What a picture is made of, whatever draws it: scales, and series that are no finer than the picture.

use super::words::number;
use crate::study::{Findings, Point};

/// A value at a time, in seconds; none where there is nothing to draw.
pub(super) type Sample = (f64, Option<f64>);

/// What of a point is drawn.
pub(super) type Of = fn(&Point) -> Option<f64>;

/// From values to a place between 0, the bottom, and 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Where lines and labels stand, from the lowest.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From 0 to at least the greatest of `values`, in about `parts` parts.
    pub(super) fn linear(values: impl Iterator<Item = f64>, parts: f64) -> Self {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let step = step(most / parts);
        let count = (most / step - 1e-9).ceil().max(1.0);
        let ticks = counted(count).map(|n| n * step).collect();
        Self { low: 0.0, high: count * step, logarithmic: false, ticks }
    }

    /// Over the powers of ten that hold the values above 0.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
        let (low, high) = if low <= high { (low, high) } else { (0.001, 1.0) };
        let to = libm::log10(high).ceil();
        // Eight powers of ten are all that a small picture can show.
        let from = libm::log10(low).floor().clamp(to - 8.0, to - 1.0);
        let apart = ((to - from) / 4.0).ceil();
        let parts = ((to - from) / apart).ceil();
        let ticks: Vec<f64> =
            counted(parts).map(|n| libm::exp10(to - (parts - n) * apart)).collect();
        Self { low: ticks[0], high: ticks[ticks.len() - 1], logarithmic: true, ticks }
    }

    /// 0 at the bottom, 1 at the top; what lies outside is held to them.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            let log = |value: f64| libm::log10(value.max(f64::MIN_POSITIVE));
            (log(value) - log(self.low)) / (log(self.high) - log(self.low))
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }
}

/// 0, 1, .. `last`.
fn counted(last: f64) -> impl Iterator<Item = f64> {
    (0..=1000).map(f64::from).take_while(move |n| *n <= last)
}

/// The next of 1, 2, 5, 10, 20, ..
fn step(least: f64) -> f64 {
    let ten = libm::exp10(libm::log10(least).floor());
    let found = [1.0, 2.0, 5.0, 10.0].into_iter().find(|part| part * ten >= least * (1.0 - 1e-9));
    // From the decimal text: 0.6 and not 0.6000000000000001.
    number(found.unwrap_or(10.0) * ten).parse().unwrap_or(1.0)
}

/// Where times are written under a picture: about five, at steps that people count in.
pub(super) fn times(length: f64) -> Vec<f64> {
    const STEPS: [f64; 9] = [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
    let least = length / 6.0;
    let step = match least {
        least if least <= 10.0 => step(least),
        least => STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| step(least)),
    };
    counted(length / step + 1e-9).map(|n| n * step).collect()
}

/// How long a picture of it is, in seconds; more than 0.
pub(super) fn length(found: &Findings) -> f64 {
    let planned = found.scenario.length.as_secs_f64();
    let series = found.findings.iter().filter_map(|finding| finding.series.last());
    let end = series.map(|point| point.at + found.bin).filter(|end| end.is_finite());
    let longest = end.fold(planned, f64::max);
    if longest > 0.0 { longest } else { 1.0 }
}

/// One line of a picture: each value in the middle of its stretch. No number, no sample; what is
/// infinite is drawn at the top.
pub(super) fn samples(series: &[Point], bin: f64, of: Of) -> Vec<Sample> {
    let value = |point: &Point| of(point).filter(|value| !value.is_nan());
    series.iter().map(|point| (point.at + bin / 2.0, value(point))).collect()
}

/// At most so many, by the least and the greatest of stretches: peaks stay as high as they are.
pub(super) fn thin(samples: &[Sample], most: usize) -> Vec<Sample> {
    if samples.len() <= most.max(2) {
        return samples.to_vec();
    }
    let mut thinned = Vec::new();
    for chunk in samples.chunks(samples.len().div_ceil((most / 2).max(1))) {
        let drawn = || chunk.iter().filter_map(|(at, value)| Some((*at, (*value)?)));
        let least = drawn().min_by(|a, b| a.1.total_cmp(&b.1));
        let greatest = drawn().max_by(|a, b| a.1.total_cmp(&b.1));
        match (least, greatest) {
            (Some(least), Some(greatest)) => {
                let (one, other) =
                    if least.0 <= greatest.0 { (least, greatest) } else { (greatest, least) };
                thinned.push((one.0, Some(one.1)));
                if other.0 > one.0 {
                    thinned.push((other.0, Some(other.1)));
                }
            }
            _ => thinned.push((chunk[0].0, None)),
        }
    }
    thinned
}

/// The mean of what lies between two times; where nothing does, what was last before. None without any.
pub(super) fn mean(samples: &[Sample], from: f64, to: f64) -> Option<f64> {
    let first = samples.partition_point(|(at, _)| *at < from);
    let end = samples.partition_point(|(at, _)| *at < to);
    if first == end {
        // A stretch shorter than a bin: the bin that it is in.
        let near = [first.checked_sub(1), Some(first)].into_iter().flatten();
        let near = near.filter_map(|n| samples.get(n));
        let middle = f64::midpoint(from, to);
        return near.min_by(|a, b| (a.0 - middle).abs().total_cmp(&(b.0 - middle).abs()))?.1;
    }
    let values: Vec<f64> = samples[first..end].iter().filter_map(|(_, value)| *value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_holds_its_values_and_has_round_ticks() {
        let scale = Scale::linear([812.3, f64::NAN, f64::INFINITY].into_iter(), 4.0);
        assert_eq!(scale.ticks, [0.0, 500.0, 1000.0]);
        assert_eq!((scale.place(0.0), scale.place(500.0), scale.place(1e9)), (0.0, 0.5, 1.0));
        assert_eq!((scale.place(f64::NAN), scale.place(-3.0)), (0.0, 0.0));
        assert_eq!(
            Scale::linear([0.55].into_iter(), 4.0).ticks,
            [0.0, 0.2, 0.4, 0.6000000000000001]
        );
        assert_eq!(Scale::linear(std::iter::empty(), 4.0).ticks.last(), Some(&1.0));
    }

    #[test]
    fn a_logarithmic_scale_goes_by_powers_of_ten() {
        let scale = Scale::logarithmic([0.011, 3.5, 0.0].into_iter());
        assert_eq!(scale.ticks.len(), 4);
        assert!((scale.place(0.1) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(scale.place(0.0), 0.0);
        assert_eq!(Scale::logarithmic(std::iter::empty()).ticks.len(), 4);
        let endless = Scale::logarithmic([f64::MIN_POSITIVE, 1e300].into_iter());
        assert_eq!((endless.ticks.len(), endless.place(1e300)), (5, 1.0));
    }

    #[test]
    fn times_are_those_that_people_count_in() {
        assert_eq!(times(140.0), [0.0, 30.0, 60.0, 90.0, 120.0]);
        assert_eq!(times(7200.0).last(), Some(&7200.0));
        assert_eq!(times(0.5).len(), 6);
        assert!(times(1e9).len() <= 11);
    }

    #[test]
    fn thinned_series_keep_their_peaks_and_gaps() {
        let mut many: Vec<Sample> = (0..10_000).map(|n| (f64::from(n), Some(1.0))).collect();
        many[7777].1 = Some(90.0);
        many[3333].1 = Some(-5.0);
        many[5000..6000].iter_mut().for_each(|sample| sample.1 = None);
        let few = thin(&many, 400);
        assert!(few.len() <= 402, "{}", few.len());
        assert!(few.contains(&(7777.0, Some(90.0))) && few.contains(&(3333.0, Some(-5.0))));
        assert!(few.iter().any(|(at, value)| value.is_none() && (5000.0..6000.0).contains(at)));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_mean_is_of_what_lies_between() {
        let samples = [(0.5, Some(2.0)), (1.5, Some(4.0)), (2.5, None)];
        assert_eq!(mean(&samples, 0.0, 2.0), Some(3.0));
        assert_eq!(mean(&samples, 0.0, 3.0), Some(3.0));
        assert_eq!(mean(&samples, 2.0, 3.0), None);
        assert_eq!(mean(&samples, 0.9, 1.0), Some(2.0));
        assert_eq!(mean(&[], 0.0, 1.0), None);
    }
}
