//! What reports promise: everything in them is inert, fits, can be read by its reader, and comes out the
//! same each time.

use roxmltree::{Document, ParsingOptions};
use seawall::{CircuitBreaker, FallbackChain, Pipeline, RetryPolicy, Timeout};
use seawall_sim::{
    Answer, Arrivals, Contender, Fault, FaultKind, Findings, Metric, Ready, Scenario, Study, report,
};
use std::{collections::BTreeSet, fs, path::PathBuf, sync::OnceLock, time::Duration};
use unicode_width::UnicodeWidthStr;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Names as people, or those who mean ill, may give them.
const NAMES: [&str; 8] = [
    "<script>alert(1)</script>",
    "a \"quoted\" & 'single' name, with commas",
    "\u{202e}שלום עולם\u{2066}\u{1b}[31m",
    "再試行 🦀🇫🇷 👩‍👩‍👧",
    "a-name-without-any-space-that-goes-on-and-on-for-much-longer-than-any-column-can-ever-hold-of-it",
    "]]><img onerror=alert(1) href='javascript:alert(1)'>",
    "",
    "line\r\nbreak\ttab\0null",
];

fn scenario() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.name = "<b>dead</b> & \"gone\"".into();
    scenario.about = "a service that <i>dies</i> for a while".into();
    scenario.length = seconds(30);
    scenario.load.clients = 4;
    scenario.load.arrivals = Arrivals::Rate(40.0);
    scenario.tiers[0].name = "<service>".into();
    scenario.faults = vec![
        Fault::new(FaultKind::Dead, seconds(8), seconds(4)),
        Fault::new(FaultKind::Errors(0.5), seconds(9), seconds(6)),
    ];
    scenario
}

fn contender(n: usize) -> Contender {
    const LIMIT: Timeout = Timeout::new(seconds(1));
    let name = NAMES[n % NAMES.len()];
    match n % 4 {
        0 => Contender::policy(name, |_| LIMIT),
        1 => Contender::policy(name, |_| Pipeline::new((RetryPolicy::new(), LIMIT))),
        2 => Contender::policy(name, |_| Pipeline::new((CircuitBreaker::new(), LIMIT))),
        _ => Contender::policy(name, |_| {
            Pipeline::new((
                FallbackChain::new().value(Answer::Degraded),
                CircuitBreaker::new(),
                LIMIT,
            ))
        }),
    }
}

fn compared(policies: usize) -> Findings {
    Study::new(scenario()).contenders((0..policies).map(contender)).seeds(2).without_search().run()
}

/// Every kind of findings that a report may have to show.
fn every_kind() -> &'static [(&'static str, Findings)] {
    static ALL: OnceLock<Vec<(&str, Findings)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let (one, eight) = (compared(1), compared(8));
        let mut strange = eight.clone();
        strange.complete = false;
        strange.seeds = 0;
        strange.assumptions = vec!["<assumed> & \"so\"".into(), String::new()];
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, f64::MIN_POSITIVE];
        for (n, finding) in strange.findings.iter_mut().enumerate() {
            let value = values[n % values.len()];
            for point in finding.series.iter_mut().skip(n) {
                (point.good, point.backend, point.waiting, point.open) =
                    (value, value, value, value);
                (point.p50, point.p99, point.degraded) = (Some(value), None, value);
            }
            finding.verdict.text = "<em>bad</em> & \u{1b}[2J worse".into();
            finding.about = "retry(<3>) > \"x\"".into();
        }
        strange.findings[6].series.clear();
        strange.findings[7].series.truncate(1);
        let mut empty = one.clone();
        empty.findings[0].series.clear();
        let mut nobody = one.clone();
        nobody.findings.clear();
        // Retries that keep a stall of five seconds going.
        let mut lasting = scenario();
        lasting.load.arrivals = Arrivals::Share(0.8);
        lasting.faults = vec![Fault::new(FaultKind::Stall, seconds(5), seconds(5))];
        let lasting = Study::new(lasting).contenders((0..3).map(contender)).seeds(2).run();
        let mut calm = scenario();
        calm.faults.clear();
        let calm = Study::new(calm).contenders((0..9).map(contender)).seeds(1).run();
        vec![
            ("one", one),
            ("eight", eight),
            ("strange", strange),
            ("empty", empty),
            ("nobody", nobody),
            ("lasting", lasting),
            ("calm", calm),
        ]
    })
}

/// Without the colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').expect("a colour ends with m").1)
}

#[test]
fn the_terminal_report_fits_its_width() {
    for (kind, found) in every_kind() {
        for width in [0, 40, 61, 80, 132, 1000] {
            for unicode in [true, false] {
                let shown = report::terminal(found, width, false, unicode);
                for line in shown.lines() {
                    assert!(line.width() <= width.clamp(40, 160), "{kind}, {width}: `{line}`");
                }
            }
        }
    }
}

#[test]
fn colour_says_nothing_that_the_text_does_not() {
    for (kind, found) in every_kind() {
        let with = report::terminal(found, 80, true, true);
        assert_eq!(plain(&with), report::terminal(found, 80, false, true), "{kind}");
    }
}

#[test]
fn no_control_character_reaches_the_terminal() {
    for (kind, found) in every_kind() {
        let shown = report::terminal(found, 80, false, true);
        let control = |letter: &char| {
            (letter.is_control() && *letter != '\n')
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert_eq!(shown.chars().find(control), None, "{kind}");
        assert!(report::terminal(found, 80, false, false).is_ascii(), "{kind}");
    }
}

#[test]
fn the_best_of_a_row_has_a_mark() {
    let found = &every_kind()[1].1;
    let shown = report::terminal(found, 160, false, true);
    let row =
        |name: &str| shown.lines().find(|line| line.starts_with(name)).expect("a row").to_owned();
    assert!(row("success").contains('*'), "{shown}");
    let best = found.findings.iter().filter_map(|one| one.summary.get(Metric::Success));
    let best = best.map(|one| one.value).fold(0.0, f64::max);
    assert!(row("success").contains(&format!("{:.1}*", best * 100.0)), "{best}: {shown}");
}

#[test]
fn what_never_recovers_and_what_was_stopped_is_said_so() {
    let find = |kind| &every_kind().iter().find(|(name, _)| *name == kind).expect("this kind").1;
    let lasting = report::terminal(find("lasting"), 80, false, true);
    assert!(lasting.lines().any(|l| l.starts_with("recovery") && l.contains("never")), "{lasting}");
    assert!(lasting.contains("lasting outage"));
    let strange = find("strange");
    assert!(report::terminal(strange, 80, false, true).contains("stopped before its end"));
    assert!(report::html(strange).contains("Stopped before its end"));
}

#[test]
fn the_fastest_of_the_few_calls_that_succeed_are_no_merit() {
    let found = &every_kind()[1].1;
    let shown = report::terminal(found, 160, false, true);
    let row = shown.lines().find(|line| line.starts_with("p99")).expect("a row");
    let success = |n: usize| found.findings[n].summary.get(Metric::Success).expect("calls").value;
    assert!(success(2) < 0.5 * success(1), "a breaker that stays open lets few calls through");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert!(!cells[3].contains('*') && !cells[4].contains('*'), "{cells:?}");
}

fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).expect("well-formed")
}

#[test]
fn pages_and_pictures_are_well_formed_and_inert() {
    for (kind, found) in every_kind() {
        for text in [report::html(found), report::svg(found)] {
            let document = parsed(&text);
            let scripts = document.descendants().filter(|node| node.has_tag_name("script")).count();
            assert_eq!(scripts, usize::from(text.starts_with("<!DOCTYPE html>")), "{kind}");
            for node in document.descendants() {
                let name = node.tag_name().name();
                let foreign = ["img", "iframe", "object", "embed", "image", "use", "b", "i", "em"];
                assert!(!foreign.contains(&name), "{kind}: <{name}>");
                for attribute in node.attributes() {
                    let (what, value) = (attribute.name(), attribute.value());
                    assert!(!what.starts_with("on") && what != "src", "{kind}: {what}={value}");
                    let stays = value.starts_with('#') || value == "data:,";
                    assert!(what != "href" || stays, "{kind}: {what}={value}");
                    assert!(what != "d" || !value.contains("NaN"), "{kind}: {value}");
                    assert!(
                        !value.contains("inf")
                            || !value.contains(char::is_numeric)
                            || what == "content"
                            || what.starts_with("aria"),
                        "{kind}: {what}={value}"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_is_loaded_from_outside() {
    for (kind, found) in every_kind() {
        let picture = report::svg(found).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for text in [report::html(found), picture] {
            for outside in ["http:", "https:", "//www", "@import", "url(", "src=", "@font-face"] {
                assert!(!text.contains(outside), "{kind}: {outside}");
            }
        }
    }
}

#[test]
fn every_picture_has_a_name_and_a_description() {
    for (kind, found) in every_kind() {
        for text in [report::html(found), report::svg(found)] {
            let document = parsed(&text);
            let ids: Vec<&str> =
                document.descendants().filter_map(|node| node.attribute("id")).collect();
            let unique: BTreeSet<&&str> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len(), "{kind}: an id stands twice");
            for node in document.descendants().filter(|node| node.tag_name().name() == "svg") {
                let is_part = node.ancestors().skip(1).any(|up| up.tag_name().name() == "svg");
                if is_part || node.attribute("aria-hidden") == Some("true") {
                    continue;
                }
                assert_eq!(node.attribute("role"), Some("img"), "{kind}");
                let labels = node.attribute("aria-labelledby").expect("a name");
                for label in labels.split(' ') {
                    let named = node.children().find(|child| child.attribute("id") == Some(label));
                    let said = named.and_then(|child| child.text()).unwrap_or_default();
                    assert!(!said.trim().is_empty(), "{kind}: #{label} is empty");
                }
            }
        }
    }
}

#[test]
fn a_page_tells_all_policies_by_their_names() {
    let text = report::html(&compared(8));
    let document = parsed(&text);
    let headings: Vec<String> = document
        .descendants()
        .filter(|node| node.has_tag_name("h3"))
        .map(|node| {
            node.descendants().filter_map(|part| part.text().filter(|_| part.is_text())).collect()
        })
        .collect();
    for name in [NAMES[0], NAMES[1], NAMES[3], NAMES[4], NAMES[5]] {
        let times = headings.iter().filter(|heading| heading.ends_with(name)).count();
        assert_eq!(times, 2, "{name}: {headings:?}");
    }
}

/// The text of the element with this id.
fn text_of<'a>(document: &'a Document<'_>, id: &str) -> &'a str {
    let node = document.descendants().find(|node| node.attribute("id") == Some(id));
    node.and_then(|node| node.text()).expect("there is such an element, with text")
}

#[test]
fn the_page_holds_the_json_byte_for_byte() {
    for (kind, found) in every_kind() {
        let page = report::html(found);
        assert_eq!(text_of(&parsed(&page), "numbers"), report::json(found), "{kind}");
    }
}

#[test]
fn the_json_has_every_number_to_six_digits() {
    for (kind, found) in every_kind() {
        let json: serde_json::Value = serde_json::from_str(&report::json(found)).expect("JSON");
        assert_eq!(json["schema"], "seawall.simulation");
        assert_eq!(json["version"], 1);
        let close = |value: &serde_json::Value, number: f64| match value.as_f64() {
            Some(read) => {
                assert!((read - number).abs() <= number.abs() * 5.1e-6, "{read} {number}")
            }
            None => assert!(value.is_null() && !number.is_finite(), "{kind}: {value} {number}"),
        };
        for (n, finding) in found.findings.iter().enumerate() {
            let policy = &json["policies"][n];
            assert_eq!(policy["name"], finding.name.as_str());
            for (metric, estimate) in finding.summary.iter() {
                close(&policy["summary"][metric.as_str()]["value"], estimate.value);
                close(&policy["summary"][metric.as_str()]["high"], estimate.high);
            }
            assert_eq!(policy["total"]["calls"], finding.total.calls);
            let series = policy["series"].as_object().expect("columns");
            for column in series.values() {
                assert_eq!(column.as_array().map(Vec::len), Some(finding.series.len()));
            }
            for (at, point) in finding.series.iter().enumerate() {
                close(&series["at"][at], point.at);
                close(&series["good"][at], point.good);
                close(&series["p50"][at], point.p50.unwrap_or(f64::NAN));
            }
        }
    }
}

#[test]
fn the_csv_has_a_row_for_each_policy_and_point() {
    for (kind, found) in every_kind() {
        let text = report::csv(found);
        let mut rows = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let header = rows.headers().expect("a header").clone();
        assert_eq!(
            header.iter().collect::<Vec<_>>().join(","),
            "n,policy,at,calls,attempts,backend,served,wasted,good,degraded,failed,rejected,waiting,\
             open,half_open,p50,p99"
        );
        let rows: Vec<_> = rows.records().map(|row| row.expect("as many fields")).collect();
        let points = found.findings.iter().flat_map(|one| one.series.iter().map(move |p| (one, p)));
        assert_eq!(rows.len(), points.clone().count(), "{kind}");
        for (row, (finding, point)) in rows.iter().zip(points) {
            assert_eq!(row[1], finding.name);
            let good = row[8].parse().unwrap_or(f64::NAN);
            let near = (good - point.good).abs() <= point.good.abs() * 5.1e-6;
            assert!(near || good == point.good || point.good.is_nan(), "{kind}: {row:?} {point:?}");
        }
        assert!(text.replace("\r\n", "").matches('\n').count() <= text.matches("line").count());
    }
}

#[test]
fn the_summary_has_a_row_for_each_figure() {
    for (kind, found) in every_kind() {
        let text = report::csv_summary(found);
        let mut rows = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let rows: Vec<_> = rows.records().map(|row| row.expect("as many fields")).collect();
        let figures = found.findings.iter();
        let figures: Vec<_> =
            figures.flat_map(|one| one.summary.iter().map(move |figure| (one, figure))).collect();
        assert_eq!(rows.len(), figures.len(), "{kind}");
        for (row, (finding, (metric, estimate))) in rows.iter().zip(figures) {
            assert_eq!((&row[1], &row[4]), (finding.name.as_str(), metric.as_str()));
            let value: f64 = row[5].parse().expect("a number, or inf");
            let near = (value - estimate.value).abs() <= estimate.value.abs() * 5.1e-6;
            assert!(near || value == estimate.value, "{kind}: {row:?}");
        }
    }
}

#[test]
fn the_same_findings_give_the_same_bytes() {
    let on = |threads| {
        let study = Study::new(scenario()).contenders((0..4).map(contender)).seeds(3);
        let found = study.threads(threads).run();
        [
            report::html(&found),
            report::svg(&found),
            report::json(&found),
            report::csv(&found),
            report::csv_summary(&found),
            report::terminal(&found, 80, true, true),
        ]
    };
    assert!(on(1) == on(3), "the number of threads shows");
}

#[test]
fn a_page_of_four_policies_and_340_s_is_small() {
    let mut long = scenario();
    long.length = seconds(340);
    let found = Study::new(long).contenders((0..4).map(contender)).seeds(2).without_search().run();
    let page = report::html(&found).len();
    assert!(page < 400_000, "{page} bytes");
    let mut fine = found;
    for finding in &mut fine.findings {
        let point = finding.series[0];
        finding.series = (0..20_000)
            .map(|n| {
                let mut point = point;
                (point.at, point.good) = (f64::from(n) * 0.017, f64::from(n % 7919));
                point
            })
            .collect();
    }
    let picture = report::svg(&fine).len();
    assert!(picture < 100_000, "{picture} bytes: series are not thinned");
}

/// For `ci/report`, which looks at them in a browser.
#[test]
#[ignore = "writes into the directory that SEAWALL_REPORTS names"]
fn reports_to_look_at() {
    let directory = std::env::var_os("SEAWALL_REPORTS").expect("SEAWALL_REPORTS names a directory");
    let directory = PathBuf::from(directory);
    let write = |kind: &str, found: &Findings| {
        for (end, text) in [
            (".html", report::html(found)),
            (".svg", report::svg(found)),
            (".json", report::json(found)),
            (".csv", report::csv(found)),
            ("-summary.csv", report::csv_summary(found)),
            (".txt", report::terminal(found, 80, false, true)),
        ] {
            fs::write(directory.join(format!("{kind}{end}")), text).expect("it can be written");
        }
    };
    let storm = Ready::find("retry-storm").expect("it is ready-made").study().seeds(3).run();
    write("retry-storm", &storm);
    every_kind().iter().for_each(|(kind, found)| write(kind, found));
}
