//! A figure over several seeds.

use serde::Serialize;

/// A figure with its interval: where the true one lies with 95 % confidence, as far as so few runs can
/// tell.
///
/// The mean with Student's t interval. Where a run has no finite figure (it never recovered), the
/// median, and as interval the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The figure. Infinite where most runs have no finite one.
    #[serde(serialize_with = "finite")]
    pub value: f64,
    /// The interval's lower end.
    #[serde(serialize_with = "finite")]
    pub low: f64,
    /// Its upper end.
    #[serde(serialize_with = "finite")]
    pub high: f64,
}

/// JSON has no word for infinity: null.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn finite<S: serde::Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    match value.is_finite() {
        true => to.serialize_f64(*value),
        false => to.serialize_none(),
    }
}

/// The 97.5 % quantile of Student's distribution, for 1, 2, .. degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

impl Estimate {
    /// Of these figures, one for each run; none if there are none.
    pub fn of(figures: &[f64]) -> Option<Self> {
        if figures.is_empty() {
            return None;
        }
        let count = figures.len();
        if figures.iter().any(|figure| !figure.is_finite()) {
            let mut sorted = figures.to_vec();
            sorted.sort_by(f64::total_cmp);
            return Some(Self {
                value: sorted[count / 2],
                low: sorted[0],
                high: sorted[count - 1],
            });
        }
        let mean = figures.iter().sum::<f64>() / count as f64;
        if count == 1 {
            return Some(Self { value: mean, low: mean, high: mean });
        }
        let squares: f64 = figures.iter().map(|figure| (figure - mean) * (figure - mean)).sum();
        let error = libm::sqrt(squares / (count - 1) as f64 / count as f64);
        let t = STUDENT.get(count - 2).copied().unwrap_or(1.96);
        Some(Self { value: mean, low: mean - t * error, high: mean + t * error })
    }

    /// Cut to what the figure can be.
    pub(super) fn within(self, (least, most): (f64, f64)) -> Self {
        Self { low: self.low.max(least), high: self.high.min(most), ..self }
    }

    /// Whether the interval is but the figure itself.
    pub fn is_exact(&self) -> bool {
        self.low.total_cmp(&self.high).is_eq()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_student() {
        let found = Estimate::of(&[9.0, 10.0, 11.0]).expect("three figures");
        assert_eq!(found.value, 10.0);
        assert!((found.high - 10.0 - 4.303 / 3.0_f64.sqrt()).abs() < 1e-9, "{found:?}");
        assert!((found.low + found.high - 20.0).abs() < 1e-9);
    }

    #[test]
    fn one_run_has_no_interval_and_none_no_figure() {
        assert!(Estimate::of(&[3.0]).expect("one").is_exact());
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn a_run_that_never_ends_makes_it_the_median() {
        let some = Estimate::of(&[2.0, f64::INFINITY, 3.0]).expect("three");
        assert_eq!((some.value, some.low, some.high), (3.0, 2.0, f64::INFINITY));
    }
}
