use crate::{json, toml};
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
