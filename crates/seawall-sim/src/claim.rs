//! What must hold of a policy: `amplification <= 1.3`.

use crate::study::{Estimate, Metric, Summary, Unit};
use seawall::config::door;
use std::{fmt, str::FromStr};

/// Something that must hold of a figure: `amplification <= 1.3`, `recovery <= 30s`, `success >= 99%`;
/// for one policy, `payments: recovery <= 30s`.
///
/// It is judged by the worse end of the figure's interval over the seeds: a claim that holds is one that
/// the runs are sure of. With one seed the figure itself is all there is.
///
/// ```
/// use seawall_sim::Claim;
///
/// let claim: Claim = "recovery<=1m30s".parse()?;
/// assert_eq!(claim.to_string(), "recovery <= 1m30s");
/// assert!("recovery <= 30 %".parse::<Claim>().is_err());
/// # Ok::<_, seawall_sim::WrongClaim>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    policy: Option<String>,
    metric: Metric,
    order: Order,
    limit: f64,
    /// The limit as it was written.
    written: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    AtMost,
    Below,
    AtLeast,
    Above,
}

impl Order {
    /// The longer ones first: they begin like the others.
    const ALL: [Self; 4] = [Self::AtMost, Self::AtLeast, Self::Below, Self::Above];

    const fn as_str(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::Below => "<",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }

    fn holds(self, figure: Estimate, limit: f64) -> bool {
        match self {
            Self::AtMost => figure.high <= limit,
            Self::Below => figure.high < limit,
            Self::AtLeast => figure.low >= limit,
            Self::Above => figure.low > limit,
        }
    }
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Judgement {
    /// It holds, at the worse end of the interval as well.
    Holds(Estimate),
    /// It does not.
    Fails(Estimate),
    /// No run has this figure: there is no latency where no call was good. It counts as failed.
    Unknown,
}

impl Claim {
    /// The policy that it is of; none: of every one.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// The figure that it is about.
    pub const fn metric(&self) -> Metric {
        self.metric
    }

    /// Whether it is about this policy.
    pub fn is_about(&self, policy: &str) -> bool {
        self.policy.as_deref().is_none_or(|only| only == policy)
    }

    /// Whether it holds of these figures.
    pub fn judge(&self, summary: &Summary) -> Judgement {
        match summary.get(self.metric) {
            None => Judgement::Unknown,
            Some(figure) if self.order.holds(figure, self.limit) => Judgement::Holds(figure),
            Some(figure) => Judgement::Fails(figure),
        }
    }
}

/// As one writes it, without the policy.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.order.as_str(), self.written)
    }
}

/// Text that is no claim, with what one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongClaim(String);

impl fmt::Display for WrongClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongClaim {}

impl FromStr for Claim {
    type Err = WrongClaim;

    fn from_str(text: &str) -> Result<Self, WrongClaim> {
        let found = Order::ALL.into_iter().find_map(|order| {
            let (left, right) = text.split_once(order.as_str())?;
            Some((left.trim(), order, right.trim()))
        });
        let Some((left, order, written)) = found else {
            return Err(WrongClaim(
                "it is written FIGURE <= VALUE, with <=, <, >= or >: `amplification <= 1.3`".into(),
            ));
        };
        let (policy, name) = match left.rsplit_once(':') {
            Some((policy, name)) => (Some(policy.trim().to_owned()), name.trim()),
            None => (None, left),
        };
        let metric = name.parse::<Metric>().map_err(|error| {
            let known = Metric::ALL.map(Metric::as_str);
            let near = door::nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
            WrongClaim(format!("{error}{}", near.unwrap_or_default()))
        })?;
        let Some(limit) = limit(metric.unit(), written) else {
            let wanted = match metric.unit() {
                Unit::Times => "a number, such as 1.3",
                Unit::Share => "a share, such as 95% or 0.95",
                Unit::PerSecond => "a number a second, such as 500",
                Unit::Seconds => "a duration, such as 30s or 250ms",
                Unit::Count => "a whole number",
            };
            return Err(WrongClaim(format!("`{name}` is {wanted}, but here is `{written}`")));
        };
        Ok(Self { policy, metric, order, limit, written: written.to_owned() })
    }
}

/// What a limit means; none where it makes no sense, or is negative.
fn limit(unit: Unit, text: &str) -> Option<f64> {
    let number = |text: &str| {
        let number: f64 = text.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    match unit {
        Unit::Seconds => door::length(text).map(|length| length.as_secs_f64()),
        Unit::Share => match text.strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| percent / 100.0),
            None => number(text),
        },
        Unit::Times => number(text.strip_suffix('x').unwrap_or(text)),
        Unit::PerSecond => number(text.strip_suffix("/s").unwrap_or(text)),
        Unit::Count => number(text).filter(|number| number.fract() == 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(text: &str) -> Claim {
        text.parse().expect(text)
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        for (text, limit) in [
            ("amplification <= 1.3", 1.3),
            ("amplification<2x", 2.0),
            ("recovery <= 1m30s", 90.0),
            ("p99 < 250ms", 0.25),
            ("p50 < 0.5", 0.5),
            ("success >= 99.5 %", 0.995),
            ("success > 0.5", 0.5),
            ("goodput >= 500/s", 500.0),
            ("opened <= 3", 3.0),
        ] {
            assert!((claim(text).limit - limit).abs() < 1e-12, "{text}");
        }
        let of_one = claim("a: b: opened < 1");
        assert_eq!((of_one.policy(), of_one.metric()), (Some("a: b"), Metric::Opened));
        assert!(of_one.is_about("a: b") && !of_one.is_about("a"));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_would() {
        for (text, told) in [
            ("amplification", "it is written FIGURE <= VALUE"),
            ("amplification = 1", "it is written FIGURE <= VALUE"),
            ("amplifcation <= 1", "did you mean `amplification`?"),
            (
                "recovery <= 30%",
                "`recovery` is a duration, such as 30s or 250ms, but here is `30%`",
            ),
            ("success >= nan", "`success` is a share, such as 95% or 0.95, but here is `nan`"),
            ("goodput >= -1", "`goodput` is a number a second, such as 500, but here is `-1`"),
            ("opened <= 1.5", "`opened` is a whole number, but here is `1.5`"),
            ("p99 <=", "but here is ``"),
        ] {
            let error = text.parse::<Claim>().expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn the_worse_end_of_the_interval_decides() {
        let figure = Estimate::of(&[1.0, 2.0, 3.0]).expect("three");
        let holds = |text: &str| claim(text).order.holds(figure, claim(text).limit);
        assert!(!holds("amplification <= 2") && !holds("amplification >= 2"), "{figure:?}");
        assert!(holds("amplification <= 5") && !holds("amplification >= 5"));
        assert!(!Order::AtMost.holds(Estimate::of(&[f64::INFINITY]).expect("one"), 1e300));
        let exact = Estimate::of(&[2.0]).expect("one");
        for (text, so) in [("<= 2", true), ("< 2", false), (">= 2", true), ("> 2", false)] {
            let claim = claim(&format!("amplification {text}"));
            assert_eq!(claim.order.holds(exact, claim.limit), so, "{text}");
        }
    }
}
