use super::*;

fn stack() -> Pipeline<impl Policy<u32, Down>> {
    Pipeline::builder()
        .fallback(FallbackChain::new().name("prices").value(1))
        .circuit_breaker(CircuitBreaker::builder().name("payments").failure_threshold(7).build())
        .retry(RetryExecutor::new(exact().max_delay(30 * S).build()).name("orders"))
        .timeout(2 * S)
        .build()
}

fn exact() -> RetryPolicyBuilder {
    RetryPolicy::builder().jitter(Jitter::None)
}

#[test]
fn a_test_can_say_what_a_pipeline_is_made_of() {
    let layers = stack().layers();
    let kinds: Vec<_> = layers.iter().map(Layer::kind).collect();
    assert_eq!(kinds, ["fallback", "breaker", "retry", "timeout"]);
    let names: Vec<_> = layers.iter().map(|layer| layer.name().map(Name::as_str)).collect();
    assert_eq!(names, [Some("prices"), Some("payments"), Some("orders"), None]);
}

#[test]
fn a_setting_is_compared_with_a_plain_value_of_its_kind() {
    let layers = stack().layers();
    let retry = &layers[2];
    assert_eq!(retry.setting_value("max_attempts"), Some(&3.into()));
    assert_eq!(retry.setting_value("multiplier"), Some(&2.0.into()));
    assert_eq!(retry.setting_value("max_delay"), Some(&(30 * S).into()));
    assert_eq!(retry.setting_value("retry_on_open"), Some(&false.into()));
    assert_eq!(retry.setting_value("jitter"), Some(&"none".into()));
    assert_eq!(retry.setting_value("jitter"), Some(&String::from("none").into()));
    assert_eq!(retry.setting_value("total_timeout"), None, "not set");
    assert_eq!(retry.setting_value("no such setting"), None);
    assert_ne!(retry.setting_value("max_attempts"), Some(&3.0.into()), "not of its kind");
}

#[test]
fn stacks_that_are_set_alike_are_equal_layer_by_layer() {
    assert_eq!(stack().layers(), stack().layers());
    assert_eq!(stack().into_dyn().layers(), stack().layers());
    let other = Pipeline::new((Timeout::new(2 * S), Timeout::new(3 * S)));
    assert_eq!(other.layers()[0], stack().layers()[3]);
    assert_ne!(other.layers()[1], stack().layers()[3]);
}

#[test]
fn the_long_form_has_every_setting() {
    let pipeline = Pipeline::new((
        FallbackChain::new().name("prices").value(1),
        at_once().total_timeout(S).build(),
        Timeout::new(2 * S),
        Chaos::new().error(Calls::every(3), || Down(1)),
    ));
    assert_eq!(pipeline.to_string(), "fallback \"prices\" > retry(3) > timeout(2s) > chaos(off)");
    assert_eq!(
        format!("{pipeline:#}"),
        "\
fallback \"prices\"(entries = 1)
> retry(max_attempts = 3, backoff_strategy = exponential, base_delay = 0ns, multiplier = 2, \
max_delay = 60s, jitter = plus_minus, max_retry_after = 60s, total_timeout = 1s, \
retry_on_open = false, retry_on_exhausted = false, keep_errors = 0)
> timeout(limit = 2s)
> chaos(switch = off, seed = 0, error = every 3)"
    );
    for layer in pipeline.layers() {
        let long = format!("{layer:#}");
        for (field, value) in layer.settings() {
            assert!(long.contains(&format!("{field} = {value}")), "{long}");
        }
    }
}
