//! The JSON Schema of policy files, from the table of fields.

use super::{
    fields::{BUDGET, BUDGET_PRESETS, ENTRY, Field, Kind, LIMITS, LayerKind, MUST_BE_GIVEN},
    inherit::PRESET_NAMES,
    rules::RULES,
};
use std::{fmt::Write as _, time::Duration};

/// The JSON Schema (draft 2020-12) of policy files, for editors.
///
/// It knows fields, types and ranges. What depends on other fields, or on what is inherited, only the
/// reader knows.
pub fn json_schema() -> String {
    let mut text = String::new();
    schema().write(&mut text, 0);
    text.push('\n');
    text
}

fn schema() -> Json {
    let entry = |name| ENTRY.iter().find(|(known, _)| *known == name).map_or("", |(_, doc)| doc);
    let mut policy: Vec<(&str, Json)> =
        LayerKind::USUAL_ORDER.iter().map(|kind| (kind.as_str(), layer(*kind))).collect();
    policy.push(("extends", described(word_or_list(text()), entry("extends"))));
    let layers = LayerKind::USUAL_ORDER.map(LayerKind::as_str);
    let order = word_or_list(object([("enum", words(&layers))]));
    policy.push(("order", described(order, entry("order"))));
    policy.push(("limits", described(table(LIMITS.iter()), entry("limits"))));
    let allow = RULES.iter().map(|rule| (rule.id, described(text(), rule.summary)));
    policy.push(("allow", described(closed(allow), entry("allow"))));

    let mut budget = table(BUDGET.iter());
    budget.set("required", words(&["ratio", "floor"]));
    let budgets = object([("type", "object".into()), ("additionalProperties", budget)]);
    let budgets = described(budgets, "Retry budgets that policies share by name.");
    let mut top = vec![("$schema", text()), ("budgets", budgets)];
    // Presets are extended, not written.
    top.extend(PRESET_NAMES.map(|name| (name, Json::Flag(false))));

    let unit = "(n(s|sec|anos)|(u|\u{b5})s(ec)?|m(s|sec|illis)|s(ec(s|onds?)?)?|m(in(s|utes?)?)?|h(rs?|ours?)?|d(ays?)?|w(ks?|eeks?)?|M|months?|y(rs?|ears?)?)";
    let duration = format!("^\\s*(0|([0-9]+(\\.[0-9]+)?\\s*{unit}\\s*)+)\\s*$");
    object([
        ("$schema", "https://json-schema.org/draft/2020-12/schema".into()),
        ("title", "Seawall policy file".into()),
        ("type", "object".into()),
        ("properties", object(top)),
        ("propertyNames", object([("minLength", Json::Number("1".into()))])),
        ("additionalProperties", reference("policy")),
        (
            "$defs",
            object([
                ("policy", closed(policy)),
                (
                    "duration",
                    object([("type", "string".into()), ("pattern", Json::Text(duration))]),
                ),
            ]),
        ),
    ])
}

fn layer(kind: LayerKind) -> Json {
    let fields = table(kind.fields().into_iter());
    let short = match kind {
        LayerKind::Timeout | LayerKind::TotalTimeout => {
            vec![
                fields,
                length(Duration::ZERO, Duration::MAX),
                object([("const", Json::Flag(false))]),
            ]
        }
        _ => vec![fields, object([("type", "boolean".into())])],
    };
    described(object([("anyOf", Json::List(short))]), kind.doc())
}

/// A table of these fields and no others, without those that exclude one another.
fn table(fields: impl Iterator<Item = &'static Field> + Clone) -> Json {
    let mut members = Vec::new();
    let mut apart: Vec<Json> = Vec::new();
    let mut both = |one: &str, other: &str| {
        apart.push(object([("not", object([("required", words(&[one, other]))]))]));
    };
    for field in fields {
        let told = match field.default {
            MUST_BE_GIVEN => format!("{} It must be given.", field.doc),
            default => format!("{} Default: {default}.", field.doc),
        };
        members.push((field.name, described(value(field.kind), &told)));
        if let Some(alias) = field.alias {
            let told = format!("The same as {}.", field.name);
            members.push((alias, described(value(field.kind), &told)));
            both(field.name, alias);
        }
        // Each of the two excludes the other: once is enough.
        if let Some(other) = field.excludes.filter(|other| field.name < *other) {
            both(field.name, other);
        }
    }
    let mut table = closed(members);
    if !apart.is_empty() {
        table.set("allOf", Json::List(apart));
    }
    table
}

fn value(kind: Kind) -> Json {
    let whole = |number: u32| Json::Number(number.to_string());
    match kind {
        Kind::Count { least, most } => object([
            ("type", "integer".into()),
            ("minimum", whole(least)),
            ("maximum", whole(most)),
        ]),
        Kind::Number { least, most } => {
            let mut number =
                object([("type", "number".into()), ("minimum", Json::Number(least.to_string()))]);
            if most < f64::MAX {
                number.set("maximum", Json::Number(most.to_string()));
            }
            number
        }
        Kind::Length { least, most } => length(least, most),
        Kind::Flag => object([("type", "boolean".into())]),
        Kind::Word(known) => object([("enum", words(known))]),
        Kind::Jitter => {
            let percent = object([
                ("type", "string".into()),
                ("pattern", "^plus_minus_(100|[1-9]?[0-9])$".into()),
            ]);
            let known = object([("enum", words(kind.words()))]);
            any_of([known, object([("type", "boolean".into())]), percent])
        }
        Kind::Text => text(),
        Kind::Budget => {
            let preset = object([("enum", words(&BUDGET_PRESETS))]);
            any_of([table(BUDGET.iter()), preset, text()])
        }
        Kind::Anything => object([]),
    }
}

fn length(least: Duration, most: Duration) -> Json {
    let mut seconds = object([
        ("type", "number".into()),
        ("minimum", Json::Number(least.as_secs_f64().to_string())),
    ]);
    if most < Duration::MAX {
        seconds.set("maximum", Json::Number(most.as_secs_f64().to_string()));
    }
    any_of([reference("duration"), seconds])
}

fn text() -> Json {
    object([("type", "string".into()), ("pattern", "\\S".into())])
}

fn word_or_list(word: Json) -> Json {
    let list = object([("type", "array".into()), ("items", word.clone())]);
    any_of([word, list])
}

fn any_of(schemas: impl IntoIterator<Item = Json>) -> Json {
    object([("anyOf", Json::List(schemas.into_iter().collect()))])
}

/// An object of these members and no others.
fn closed<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    object([
        ("type", "object".into()),
        ("properties", object(members)),
        ("additionalProperties", Json::Flag(false)),
    ])
}

fn reference(name: &str) -> Json {
    object([("$ref", Json::Text(format!("#/$defs/{name}")))])
}

fn described(mut schema: Json, doc: &str) -> Json {
    schema.set("description", Json::Text(doc.replace('`', "")));
    schema
}

fn words(words: &[&str]) -> Json {
    Json::List(words.iter().map(|word| (*word).into()).collect())
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// As much of JSON as a schema needs.
#[derive(Debug, Clone)]
enum Json {
    Flag(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Json {
    fn set(&mut self, key: &str, value: Self) {
        if let Self::Object(members) = self {
            members.push((key.to_owned(), value));
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Flag(flag) => _ = write!(out, "{flag}"),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => quote(text, out),
            Self::List(list) => {
                let plain = |item: &Self| !matches!(item, Self::Object(_) | Self::List(_));
                let short = list.iter().all(plain);
                out.push('[');
                for (n, item) in list.iter().enumerate() {
                    match (short, n) {
                        (true, 0) => {}
                        (true, _) => out.push_str(", "),
                        (false, 0) => line(out, depth + 1),
                        (false, _) => {
                            out.push(',');
                            line(out, depth + 1);
                        }
                    }
                    item.write(out, depth + 1);
                }
                if !short {
                    line(out, depth);
                }
                out.push(']');
            }
            Self::Object(members) if members.is_empty() => out.push_str("{}"),
            Self::Object(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    quote(key, out);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
        }
    }
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => _ = write!(out, "\\u{:04x}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
}
