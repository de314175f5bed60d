use crate::{json, toml, yaml};
use seawall::config::{STARTING_FILE, json_schema};

#[test]
fn the_starting_file_is_in_order() {
    let policies = toml(STARTING_FILE).expect("in order");
    assert_eq!(policies.names().collect::<Vec<_>>(), ["payments"]);
    assert_eq!(policies.lint(), []);
}

#[test]
fn the_schema_is_json_and_closed() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).expect("it is JSON");
    let policy = &schema["$defs"]["policy"];
    assert_eq!(policy["additionalProperties"], false);
    let retry = &policy["properties"]["retry"]["anyOf"][0];
    assert_eq!(retry["additionalProperties"], false);
    assert_eq!(retry["properties"]["max_attempts"]["minimum"], 1);
}

#[test]
fn a_file_may_name_its_schema() {
    assert!(json("{\"$schema\": \"policies.schema.json\"}").is_ok());
}

/// The blocks of the guide in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let guide = include_str!("../../src/guide/policy_files.md");
    let parts = guide.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn the_guide_says_the_same_in_the_three_syntaxes() {
    let read = [toml(blocks("toml")[0]), yaml(blocks("yaml")[0]), json(blocks("json")[0])];
    let [toml, yaml, json] =
        read.map(|read| read.expect("in order").get("payments").map(|p| format!("{p:#}")));
    assert!(toml.is_some());
    assert_eq!((&toml, &toml), (&yaml, &json));
}

#[test]
fn every_file_of_the_guide_is_in_order() {
    let blocks = blocks("toml");
    assert!(blocks.len() > 2, "they are found");
    for block in blocks {
        if let Err(error) = toml(block) {
            panic!("{error}\n{block}");
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn what_serde_writes_is_read_here_and_means_the_same() {
    use seawall::RetryPolicy;
    let policies = [
        RetryPolicy::new(),
        RetryPolicy::standard(),
        RetryPolicy::aws(),
        RetryPolicy::grpc(),
        RetryPolicy::builder()
            .backoff_strategy(seawall::BackoffStrategy::Decorrelated)
            .multiplier(2.5)
            .total_timeout(std::time::Duration::from_millis(90_500))
            .retry_on_open()
            .retry_on_exhausted()
            .keep_errors(4)
            .build(),
    ];
    for policy in policies {
        let text = serde_json::to_string(&policy).expect("plain data");
        let read = json(&format!("{{\"p\": {{\"retry\": {text}}}}}")).expect("the same words");
        assert_eq!(read.get("p").and_then(|p| p.retry()), Some(policy), "{text}");
    }
}
