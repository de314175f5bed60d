use seawall::config::{ConfigError, Format, LayerKind, Policies};
use std::{ffi::OsString, time::Duration};

const FILE: &str = "
[pay-ments]
extends = 'standard'
[pay-ments.retry]
max_attempts = 3
backoff_strategy = 'linear'
[budgets.our-own]
ratio = 0.1
floor = 10
[stock.retry]
budget = 'our-own'
";

fn with(variables: &[(&str, &str)]) -> Result<Policies, ConfigError> {
    let variables = variables.iter().copied();
    Policies::loader().environment(variables).file_name("p.toml").from_str(FILE, Format::Toml)
}

fn told(variables: &[(&str, &str)]) -> String {
    with(variables).expect_err("something is wrong").to_string()
}

#[test]
fn a_variable_is_stronger_than_the_file() {
    let policies = with(&[
        ("SEAWALL__PAY_MENTS__RETRY__MAX_ATTEMPTS", "5"),
        ("SEAWALL__PAY_MENTS__RETRY__BACKOFF", "fixed"),
        ("SEAWALL__PAY_MENTS__RETRY__BASE_DELAY", "1.5"),
        ("SEAWALL__PAY_MENTS__RETRY__JITTER", "false"),
        ("SEAWALL__PAY_MENTS__TIMEOUT", "2s"),
        ("SEAWALL__PAY_MENTS__CIRCUIT_BREAKER", "false"),
        ("SEAWALL_STATE", "not ours"),
        ("PATH", "/bin"),
    ])
    .expect("in order");
    let policy = policies.get("pay-ments").expect("it is there");
    let delays: Vec<Duration> = policy.retry().expect("it is on").delays().collect();
    assert_eq!(delays, [Duration::from_millis(1500); 4]);
    assert_eq!(policy.order().collect::<Vec<_>>(), [LayerKind::Retry, LayerKind::Timeout]);
    assert_eq!(policy.timeout().map(|t| t.limit()), Some(Duration::from_secs(2)));
}

#[test]
fn an_order_is_a_list_with_commas_and_drops_what_it_leaves_out() {
    let policies = with(&[("SEAWALL__PAY_MENTS__ORDER", "timeout, retry")]).expect("in order");
    let policy = policies.get("pay-ments").expect("it is there");
    assert_eq!(policy.order().collect::<Vec<_>>(), [LayerKind::Timeout, LayerKind::Retry]);
}

#[test]
fn a_shared_budget_is_set_by_a_variable_too() {
    let policies = with(&[("SEAWALL__BUDGETS__OUR_OWN__FLOOR", "2")]).expect("in order");
    let budget = policies.get("stock").and_then(|stock| stock.retry_budget()).expect("it is named");
    assert_eq!(budget.available(), 2);
}

#[test]
fn a_finding_is_allowed_by_a_variable() {
    let name = "SEAWALL__STOCK__ALLOW__ATTEMPT_WITHOUT_TIMEOUT";
    let policies = with(&[(name, "while the network is mended")]).expect("in order");
    assert!(policies.get("stock").expect("it is there").lint().is_empty());
}

#[test]
fn a_wrong_value_names_its_variable_and_its_field() {
    for (name, value, expected) in [
        (
            "SEAWALL__STOCK__RETRY__MAX_ATTEMPTS",
            "0",
            "stock.retry.max_attempts: `max_attempts` must be 1 or more: the first attempt counts, but is \"0\"",
        ),
        (
            "SEAWALL__STOCK__RETRY__MAX_ATTEMPTS",
            "many",
            "stock.retry.max_attempts: `max_attempts` must be a whole number, 1 or more, but is \"many\", text",
        ),
        (
            "SEAWALL__STOCK__RETRY__MAX_ATEMPTS",
            "3",
            "stock.retry.max_atempts: unknown field `max_atempts`; did you mean `max_attempts`?",
        ),
        ("SEAWALL__STOK__RETRY", "true", "there is no policy `stok`; did you mean `stock`?"),
        ("SEAWALL__BUDGETS__OURS__FLOOR", "2", "there is no budget `ours`"),
        (
            "SEAWALL__STOCK",
            "x",
            "a variable is named SEAWALL__POLICY__FIELD or SEAWALL__POLICY__LAYER__FIELD",
        ),
        (
            "SEAWALL__STOCK__RETRY__",
            "x",
            "a variable is named SEAWALL__POLICY__FIELD or SEAWALL__POLICY__LAYER__FIELD",
        ),
    ] {
        assert_eq!(told(&[(name, value)]), format!("variable {name}: {expected}"));
    }
}

#[test]
fn the_whole_and_a_part_of_it_do_not_go_together() {
    let told =
        told(&[("SEAWALL__STOCK__RETRY", "false"), ("SEAWALL__STOCK__RETRY__MAX_ATTEMPTS", "5")]);
    assert!(
        told.contains("SEAWALL__STOCK__RETRY__MAX_ATTEMPTS: stock.retry.max_attempts: it sets"),
        "{told}"
    );
}

#[test]
fn names_that_variables_cannot_tell_apart_are_told() {
    let read = Policies::loader()
        .environment([("SEAWALL__A_B__TIMEOUT", "1")])
        .from_str("a-b: {timeout: 2}\na_b: {timeout: 2}\n", Format::Yaml);
    let told = read.expect_err("which of the two?").to_string();
    assert!(told.contains("`a-b` or `a_b`"), "{told}");
}

#[test]
fn a_program_with_several_files_gives_each_its_prefix() {
    let read = Policies::loader()
        .prefix("ORDERS")
        .environment([("SEAWALL__OTHER__TIMEOUT", "1"), ("ORDERS__P__TIMEOUT", "3")])
        .from_str("p: {timeout: 2}", Format::Yaml)
        .expect("the other file's are not looked at");
    let limit = read.get("p").and_then(|p| p.timeout()).map(|timeout| timeout.limit());
    assert_eq!(limit, Some(Duration::from_secs(3)));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_told() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let read = Policies::loader()
        .environment([(OsString::from("SEAWALL__P__TIMEOUT"), value)])
        .from_str("p: {timeout: 2}", Format::Yaml);
    let told = read.expect_err("no text").to_string();
    assert_eq!(told, "variable SEAWALL__P__TIMEOUT: the value is not UTF-8");
}
