//! Policies as data (feature `serde`): the setters' names, durations as people write them.
//!
//! ```toml
//! max_attempts = 5
//! backoff_strategy = "exponential"   # or: backoff = ..
//! base_delay = "250ms"               # a number is seconds
//! max_delay = 60
//! jitter = "full"                    # true is plus_minus, false is none
//! ```
//!
//! What is left out is the default, what is unknown is an error, and what makes no sense is refused
//! with field and value. A policy is written out complete. Names and hooks are no data: they are set
//! in code. `Custom` backoff cannot be written.

use super::{BackoffStrategy, Jitter, RetryPolicy, backoff::Backoff};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::{self, SerializeStruct},
};
use std::{fmt, time::Duration};

impl Serialize for BackoffStrategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Custom(_) => Err(ser::Error::custom(
                "`backoff_strategy` is a function, which cannot be serialised",
            )),
            word => serializer.serialize_str(word.as_str()),
        }
    }
}

impl<'de> Deserialize<'de> for BackoffStrategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Jitter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match JitterWord::deserialize(deserializer)? {
            JitterWord::Jitter(jitter) => Ok(jitter),
            JitterWord::Decorrelated => {
                Err(de::Error::custom("`decorrelated` is a backoff strategy of its own"))
            }
        }
    }
}

impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = &self.settings;
        let Backoff { strategy, multiplier, base, cap, jitter } = settings.backoff;
        let optional = usize::from(settings.total_timeout.is_some());
        let mut out = serializer.serialize_struct("RetryPolicy", 10 + optional)?;
        out.serialize_field("max_attempts", &settings.max_attempts)?;
        out.serialize_field("backoff_strategy", &strategy)?;
        out.serialize_field("multiplier", &multiplier)?;
        out.serialize_field("base_delay", &Written(base))?;
        out.serialize_field("max_delay", &Written(cap))?;
        out.serialize_field("jitter", &jitter)?;
        match settings.total_timeout {
            Some(limit) => out.serialize_field("total_timeout", &Written(limit))?,
            None => out.skip_field("total_timeout")?,
        }
        out.serialize_field("max_retry_after", &Written(settings.max_retry_after))?;
        out.serialize_field("retry_on_open", &settings.retry_on_open)?;
        out.serialize_field("retry_on_exhausted", &settings.retry_on_exhausted)?;
        out.serialize_field("keep_errors", &settings.keep_errors)?;
        out.end()
    }
}

const FIELDS: &[&str] = &[
    "max_attempts",
    "backoff_strategy",
    "backoff",
    "multiplier",
    "base_delay",
    "max_delay",
    "jitter",
    "total_timeout",
    "max_retry_after",
    "retry_on_open",
    "retry_on_exhausted",
    "keep_errors",
];

impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("RetryPolicy", FIELDS, Fields)
    }
}

/// Reads the fields by hand: each error is to name its field, whatever the format.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RetryPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a retry policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RetryPolicy, A::Error> {
        let mut builder = RetryPolicy::builder();
        let (mut strategy, mut jitter) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let given = &mut builder.given;
            let field = match key.as_str() {
                "max_attempts" => map.next_value().map(|attempts| given.max_attempts = attempts),
                "backoff_strategy" | "backoff" => {
                    map.next_value().map(|word| strategy = Some(word))
                }
                "multiplier" => map.next_value().map(|factor| given.multiplier = Some(factor)),
                "base_delay" => map.next_value().map(|Written(d)| given.base_delay = Some(d)),
                "max_delay" => map.next_value().map(|Written(d)| given.max_delay = Some(d)),
                "jitter" => map.next_value().map(|word| jitter = Some(word)),
                "total_timeout" => map.next_value().map(|Written(d)| given.total_timeout = Some(d)),
                "max_retry_after" => {
                    map.next_value().map(|Written(d)| given.max_retry_after = Some(d))
                }
                "retry_on_open" => map.next_value().map(|on| given.retry_on_open = on),
                "retry_on_exhausted" => map.next_value().map(|on| given.retry_on_exhausted = on),
                "keep_errors" => map.next_value().map(|most| given.keep_errors = most),
                unknown => Err(de::Error::unknown_field(unknown, FIELDS)),
            };
            field.map_err(|error| de::Error::custom(format_args!("`{key}`: {error}")))?;
        }
        let given = &mut builder.given;
        match (strategy, jitter) {
            (Some(strategy), Some(JitterWord::Decorrelated))
                if strategy != BackoffStrategy::Decorrelated =>
            {
                return Err(de::Error::custom(format_args!(
                    "`jitter`: `decorrelated` is a backoff strategy of its own, but `backoff_strategy` is {strategy}"
                )));
            }
            (_, Some(JitterWord::Decorrelated)) => given.strategy = BackoffStrategy::Decorrelated,
            (strategy, word) => {
                given.strategy = strategy.unwrap_or(given.strategy);
                if let Some(JitterWord::Jitter(jitter)) = word {
                    given.jitter = jitter;
                }
            }
        }
        builder.try_build().map_err(de::Error::custom)
    }
}

/// A word for jitter, a bool, or `decorrelated`, which selects that strategy.
enum JitterWord {
    Jitter(Jitter),
    Decorrelated,
}

impl<'de> Deserialize<'de> for JitterWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = JitterWord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, `plus_minus`, `full`, `equal`, `decorrelated`, or a bool")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<JitterWord, E> {
                let jitter = if on { Jitter::PlusMinus } else { Jitter::None };
                Ok(JitterWord::Jitter(jitter))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<JitterWord, E> {
                if word == BackoffStrategy::Decorrelated.as_str() {
                    return Ok(JitterWord::Decorrelated);
                }
                word.parse().map(JitterWord::Jitter).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Words)
    }
}

/// A duration as people write it: `"250ms"`, `"1m 30s"`, or a number of seconds.
struct Written(Duration);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Durations;

        impl Visitor<'_> for Durations {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"250ms\", or a number of seconds")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Written, E> {
                Ok(Written(Duration::from_secs(seconds)))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Written, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(seconds), &self);
                u64::try_from(seconds).map_err(negative).and_then(|seconds| self.visit_u64(seconds))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Written, E> {
                Duration::try_from_secs_f64(seconds)
                    .map(Written)
                    .map_err(|_| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                humantime::parse_duration(text)
                    .map(Written)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Durations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, to_string};

    fn read(json: &str) -> Result<RetryPolicy, String> {
        from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default_policy() {
        assert_eq!(read("{}"), Ok(RetryPolicy::new()));
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let policies = [
            RetryPolicy::new(),
            RetryPolicy::standard(),
            RetryPolicy::aws(),
            RetryPolicy::grpc(),
            RetryPolicy::builder().max_delay(Duration::from_millis(500)).build(),
            RetryPolicy::builder()
                .backoff_strategy(BackoffStrategy::Decorrelated)
                .multiplier(2.5)
                .total_timeout(Duration::from_millis(90_500))
                .max_retry_after(Duration::from_secs(7))
                .retry_on_open()
                .keep_errors(4)
                .build(),
        ];
        for policy in policies {
            let text = to_string(&policy).expect("plain data");
            assert_eq!(read(&text), Ok(policy), "{text}");
        }
    }

    #[test]
    fn durations_are_words_or_seconds() {
        for written in ["\"1m 30s\"", "\"90s\"", "90", "90.0"] {
            let policy = read(&format!(r#"{{"total_timeout": {written}}}"#)).expect("a duration");
            assert_eq!(policy.settings.total_timeout, Some(Duration::from_secs(90)));
        }
    }

    #[test]
    fn jitter_is_a_word_or_a_bool_and_decorrelated_selects_the_strategy() {
        let jitter = |word| read(&format!(r#"{{"jitter": {word}}}"#)).expect("a jitter").settings;
        assert_eq!(jitter("true").backoff.jitter, Jitter::PlusMinus);
        assert_eq!(jitter("false").backoff.jitter, Jitter::None);
        assert_eq!(jitter("\"full\"").backoff.jitter, Jitter::Full);
        let decorrelated = jitter("\"decorrelated\"").backoff.strategy;
        assert_eq!(decorrelated, BackoffStrategy::Decorrelated);
    }

    #[test]
    fn nonsense_is_refused_with_field_and_value() {
        for (json, parts) in [
            (r#"{"max_attempts": 0}"#, ["max_attempts", "0"]),
            (r#"{"max_attempts": -1}"#, ["max_attempts", "-1"]),
            (r#"{"multiplier": -1}"#, ["multiplier", "-1"]),
            (r#"{"base_delay": "2s", "max_delay": "1s"}"#, ["max_delay", "1s"]),
            (r#"{"base_delay": -1}"#, ["base_delay", "-1"]),
            (r#"{"base_delay": -0.5}"#, ["base_delay", "-0.5"]),
            (r#"{"base_delay": "soon"}"#, ["base_delay", "soon"]),
            (r#"{"backoff": "quadratic"}"#, ["backoff_strategy", "quadratic"]),
            (r#"{"jitter": "some"}"#, ["jitter", "some"]),
            (r#"{"backoff": "linear", "jitter": "decorrelated"}"#, ["jitter", "linear"]),
            (r#"{"total_timeout": 1e300}"#, ["total_timeout", "1e+300"]),
            (r#"{"retry_on_open": "yes"}"#, ["retry_on_open", "yes"]),
            (r#"{"max_atempts": 3}"#, ["max_atempts", "max_attempts"]),
        ] {
            let error = read(json).expect_err(json);
            assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
        }
    }

    #[test]
    fn a_custom_backoff_says_that_it_cannot_be_written() {
        let policy = RetryPolicy::builder()
            .backoff_strategy(BackoffStrategy::Custom(|_| Duration::ZERO))
            .build();
        let error = to_string(&policy).expect_err("a function").to_string();
        assert!(error.contains("backoff_strategy"), "{error}");
    }
}
