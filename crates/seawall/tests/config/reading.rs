use crate::{json, policy, toml, wrong, yaml};
use seawall::{
    Layer, Pipeline,
    config::{Format, Loader, Policies, ProblemKind},
};
use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "config", "files", folder].iter().collect();
    let files = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.retain(|file| file.extension().is_some_and(|end| end != "told"));
    assert!(files.len() > 2, "there are files");
    files
}

#[test]
fn files_in_order_are_read() {
    for file in files("good") {
        if let Err(error) = Policies::loader().load(&file) {
            panic!("{error}");
        }
    }
}

/// `SEAWALL_BLESS=1` writes down what is told.
#[test]
fn of_each_bad_file_all_that_is_wrong_is_told() {
    for file in files("refused").into_iter().chain(files("refused_by_reader")) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let told = match Policies::loader().file_name(name).load(&file) {
            Ok(_) => panic!("{} is read", file.display()),
            Err(error) => format!("{error}\n"),
        };
        let beside = file.with_file_name(format!("{name}.told"));
        if std::env::var_os("SEAWALL_BLESS").is_some() {
            fs::write(&beside, &told).expect("it can be written");
        }
        let wanted = fs::read_to_string(&beside).unwrap_or_default();
        assert!(told == wanted, "{} tells\n{told}and not\n{wanted}", file.display());
    }
}

#[test]
fn the_three_syntaxes_say_the_same() {
    let told = |end: &str| {
        let file =
            files("good").into_iter().find(|file| file.ends_with(format!("every_field.{end}")));
        let policies = Policies::loader().load(file.expect("it is there")).expect("in order");
        let specs = policies.iter().map(|spec| format!("{} = {spec:#}\n", spec.name()));
        specs.collect::<String>()
    };
    let toml = told("toml");
    assert_eq!(toml, told("yaml"));
    assert_eq!(toml, told("json"));
}

#[test]
fn every_field_reaches_its_setter() {
    let file = files("good").into_iter().find(|file| file.ends_with("every_field.toml"));
    let policies = Policies::loader().load(file.expect("it is there")).expect("in order");
    let text = policies.iter().map(|spec| format!("{spec:#}\n")).collect::<String>();
    // None of these is a default.
    for setting in [
        "retry \"charge\"(max_attempts = 7",
        "backoff_strategy = linear",
        "base_delay = 250ms",
        "multiplier = 1.5",
        "max_delay = 90s",
        "jitter = plus_minus_10",
        "max_retry_after = 120s",
        "total_timeout = 300s",
        "retry_on_open = true",
        "retry_on_exhausted = true",
        "keep_errors = 4",
        "breaker \"bank\"(failure_rate = 0.25",
        "failure_threshold = 9",
        "over_time = 20s",
        "recovery_timeout = 15s",
        "minimum_calls = 30",
        "slow_call_rate = 0.75",
        "slow_call_duration = 3s",
        "recovery_multiplier = 2",
        "recovery_jitter = 0.5",
        "probes = 2",
        "successes_to_close = 3",
        "probe_lease = 240s",
        "over_calls = 64",
        "timeout(limit = 4s)",
        "timeout(limit = 600s)",
    ] {
        assert!(text.contains(setting), "{setting} is not in\n{text}");
    }
    let breaker =
        policies.get("every").and_then(|p| p.circuit_breaker_builder()).expect("it is on");
    assert!(format!("{breaker:?}").contains("max_recovery_timeout: Some(120s)"), "{breaker:?}");
    let fallback = policies.get("every").and_then(|p| p.fallback()).expect("it is on");
    assert_eq!((fallback.value().is_some(), fallback.command()), (true, Some("cat cache")));
}

#[test]
fn a_file_says_no_more_than_the_builders_do() {
    let from_file = policy("[p]\nretry = true\ncircuit_breaker = true\n");
    let breaker = seawall::CircuitBreaker::new().named("p");
    let in_code = Pipeline::new((
        breaker,
        seawall::RetryExecutor::new(seawall::RetryPolicy::new()).name("p"),
    ));
    let layers: Vec<Layer> = Pipeline::new(&from_file).layers();
    assert_eq!(layers, in_code.layers());
}

#[test]
fn durations_are_words_or_seconds() {
    for (written, millis) in [
        ("'250ms'", 250),
        ("'1m30s'", 90_000),
        ("'1m 30s'", 90_000),
        ("'2h'", 7_200_000),
        ("90", 90_000),
        ("0.25", 250),
        ("0", 0),
    ] {
        let limit = policy(&format!("p.timeout = {written}")).timeout().expect("it is on").limit();
        assert_eq!(limit, Duration::from_millis(millis), "{written}");
    }
    for written in [
        "'soon'",
        "'90'",
        "''",
        "-1",
        "-0.5",
        "nan",
        "inf",
        "1e300",
        "'99999999999999999999s'",
        "[1]",
        "1979-05-27",
        "07:32:00",
    ] {
        let told = wrong(toml(&format!("p.timeout = {{limit = {written}}}")));
        assert!(
            told[0].starts_with("p.toml:1:22: p.timeout.limit: `limit` must be a duration"),
            "{told:?}"
        );
    }
}

#[test]
fn words_of_yaml_that_readers_disagree_about_are_refused_without_quotes() {
    for word in ["yes", "No", "on", "OFF", "y"] {
        assert!(
            wrong(yaml(&format!("p: {{retry: {{retry_on_open: {word}}}}}")))[0]
                .contains("a bool to some readers")
        );
        assert!(
            wrong(yaml(&format!("p: {{retry: {{name: {word}}}}}")))[0]
                .contains("a bool to some readers")
        );
        assert!(wrong(yaml(&format!("{word}: {{}}")))[0].contains("a bool to some readers"));
        assert!(yaml(&format!("p: {{retry: {{name: \"{word}\"}}}}")).is_ok());
        assert!(yaml(&format!("\"{word}\": {{}}")).is_ok());
    }
    assert!(wrong(yaml("p: {retry: {max_attempts: 010}}"))[0].contains("octal to some readers"));
    assert!(wrong(yaml("p: {timeout: 1:30}"))[0].contains("base of 60"));
    let attempts = |text| {
        yaml(text).expect("in order").get("p").and_then(|p| p.retry()).map(|r| r.max_attempts())
    };
    assert_eq!(attempts("p: {retry: {max_attempts: 0x10}}"), Some(16));
    assert_eq!(attempts("p: {retry: {max_attempts: 0o10}}"), Some(8));
    assert_eq!(attempts("p: {retry: {max_attempts: +5}}"), Some(5));
}

#[test]
fn anchors_may_be_used_and_bombs_do_not_go_off() {
    let read = yaml("a: {retry: &r {max_attempts: 7}}\nb: {retry: *r}").expect("in order");
    assert_eq!(read.get("b").and_then(|b| b.retry()).map(|r| r.max_attempts()), Some(7));

    let mut bomb = String::from("a: &a0 {x: lol}\n");
    for n in 0..30 {
        let _ = writeln!(bomb, "b{n}: &a{} {{one: *a{n}, two: *a{n}}}", n + 1);
    }
    let told = wrong(yaml(&bomb));
    assert!(told.iter().any(|line| line.contains("aliases make this file too large")), "{told:?}");
    // Few values, much text.
    let text = "x".repeat(50_000);
    let aliases = "*t, ".repeat(3000);
    let told = wrong(yaml(&format!("a: {{fallback: {{value: [&t {text}, {aliases}]}}}}")));
    assert!(told.iter().any(|line| line.contains("aliases make this file too large")), "{told:?}");
}

#[test]
fn depth_is_bounded_in_every_syntax() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    for read in [
        json(&format!("{{\"p\": {open}{close}}}")),
        yaml(&format!("p: {open}{close}")),
        toml(&format!("p = {open}{close}")),
        yaml(&format!("p: {}1", "{a: ".repeat(100_000))),
        json(&"{\"a\":".repeat(100_000)),
    ] {
        let error = read.expect_err("too deep");
        assert_eq!(error.problems()[0].kind(), ProblemKind::Syntax, "{error}");
    }
}

#[test]
fn json_is_json_and_nothing_more() {
    for text in [
        "{\"p\": {\"timeout\": 1,}}",
        "{p: {}}",
        "{'p': {}}",
        "{\"p\": {\"timeout\": +1}}",
        "{\"p\": {\"timeout\": 0x1}}",
        "{\"p\": {\"timeout\": NaN}}",
        "{\"p\": {}} // so",
        "{\"p\": {} \"q\": {}}",
        "{} {}",
        "",
    ] {
        assert_eq!(wrong(json(text)).len(), 1, "{text}");
    }
}

#[test]
fn a_file_of_nonsense_has_a_hundred_problems_at_most() {
    let text: String = (0..5000).map(|n| format!("p{n} = 1\n")).collect();
    assert_eq!(wrong(toml(&text)).len(), 100);
}

#[test]
fn large_files_take_no_long_time() {
    let begun = Instant::now();
    let mut chain = String::from("[b]\nretry.max_attempts = 2\n");
    for n in 0..8000 {
        let _ = writeln!(chain, "[p{n}]\nextends = 'standard'\nretry.max_attempts = {}", n + 1);
    }
    assert!(toml(&chain).is_ok());
    let flat = format!(
        "{{{}}}",
        (0..50_000).map(|n| format!("\"p{n}\": {{}}")).collect::<Vec<_>>().join(",")
    );
    assert!(json(&flat).is_ok());
    let unknown = format!(
        "p: {{{}}}",
        (0..50_000).map(|n| format!("u{n}: 1")).collect::<Vec<_>>().join(", ")
    );
    assert!(yaml(&unknown).is_err());
    // Seconds for what takes a tenth of one: a loop in a loop takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_megabyte_of_anything_takes_no_long_time() {
    const PIECES: [&str; 40] = [
        "[",
        "{",
        "]",
        "- ",
        "? ",
        "&a ",
        "*a ",
        "!a ",
        "'",
        "\"",
        "#",
        "\n",
        " ",
        "\t",
        ":",
        ": ",
        ",",
        "|",
        ">",
        "a: ",
        "a\n",
        "a: {",
        "- - ",
        "[a]\n",
        "a.",
        "a=",
        "a={",
        "a=[",
        "[[a]]\n",
        "a = 1\n",
        "\"a\":",
        "{\"a\":",
        "[1,",
        "-",
        "1",
        "1 ",
        "--- \n",
        "%TAG ! !\n",
        "\\",
        "\u{e9}",
    ];
    let begun = Instant::now();
    for piece in PIECES {
        let text = piece.repeat(Loader::LARGEST / piece.len());
        for read in [toml, yaml, json] {
            let _ = read(&text);
        }
    }
    // In all, for what takes seconds: a loop in a loop takes an hour.
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[test]
fn what_cannot_be_read_is_told_with_its_reason() {
    let load = |path: &str| Policies::load(path).expect_err("it is not there").to_string();
    assert!(load("/no/such/policies.toml").starts_with("/no/such/policies.toml: cannot be read: "));
    assert_eq!(
        load("policies.ini"),
        "policies.ini: a policy file ends in .toml, .yaml, .yml or .json"
    );
    let most = " ".repeat(Loader::LARGEST + 1);
    assert!(wrong(toml(&most))[0].contains("at most 1048576 bytes"));
    let read = Policies::loader().from_bytes(b"[p]\ntimeout = 1 # \xff", Format::Toml);
    assert_eq!(wrong(read), ["<text>:2:15: a policy file is UTF-8 text, and this byte is not"]);
}

#[test]
fn marks_at_the_beginning_and_windows_lines_are_read() {
    assert!(toml("\u{feff}[p]\r\ntimeout = 1\r\n").is_ok());
    let told = wrong(yaml("\u{feff}p:\r\n  timeout: x\r\n"));
    assert!(told[0].starts_with("p.yaml:2:12: "), "{told:?}");
}

#[test]
fn columns_are_counted_in_characters() {
    let told = wrong(toml("\"größe\" = {retry = {max_attempts = 0}}"));
    assert!(told[0].starts_with("p.toml:1:36: größe.retry.max_attempts: "), "{told:?}");
    let told = wrong(json("{\"größe\": {\"retry\": {\"max_attempts\": 0}}}"));
    assert!(told[0].starts_with("p.json:1:38: größe.retry.max_attempts: "), "{told:?}");
    let told = wrong(yaml("größe: {retry: {max_attempts: 0}}"));
    assert!(told[0].starts_with("p.yaml:1:31: größe.retry.max_attempts: "), "{told:?}");
}

#[test]
fn values_in_messages_cannot_write_to_a_terminal() {
    let told = wrong(json("{\"p\": {\"retry\": {\"backoff\": \"\\u001b[2J\"}}}"));
    assert!(told[0].contains("\\u{1b}[2J"), "{told:?}");
    assert!(!told[0].contains('\u{1b}'), "{told:?}");
    let told = wrong(json("{\"p\": {\"\\u001b[2J\": 1}}"));
    assert!(!told[0].contains('\u{1b}'), "{told:?}");
}
