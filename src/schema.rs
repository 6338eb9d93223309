//! The published schemas, docs/schema/, are made from the model, and cannot drift from it: a test
//! compares them, `BINLOGSEC_UPDATE_GOLDEN=1 cargo test --lib published_schemas` renews them.

use crate::command::audit::report::AuditReport;
use crate::command::check::report::CheckReport;
use crate::command::config::report::ConfigReport;
use crate::command::decrypt::report::DecryptReport;
use crate::command::encrypt::report::EncryptReport;
use crate::command::events::found::FoundReport;
use crate::command::events::report::EventEntry;
use crate::command::events::report::EventsEnd;
use crate::command::events::report::StatsReport;
use crate::command::explain::report::ExplainReport;
use crate::command::inspect::report::InspectReport;
use crate::command::keyring::change::KeyringChangeReport;
use crate::command::keyring::coverage_report::CoverageReport;
use crate::command::keyring::report::KeyringReport;
use crate::command::recover::report::RecoverReport;
use crate::command::rekey::report::HeaderDumpReport;
use crate::command::rekey::report::HeaderReport;
use crate::command::rekey::report::RekeyReport;
use crate::command::salvage::report::SalvageReport;
use crate::command::seal::report::{AnchorReport, KeygenReport, SealReport, SealVerifyReport};
use crate::command::verify::report::VerifyReport;
use std::collections::BTreeMap;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::log_entry::*;

/// `binlogsec events --format json`, which the command writes piece by piece.
#[derive(Serialize, JsonSchema)]
struct EventsReport {
    /// `binlogsec.events/1`.
    schema: &'static str,
    /// Every log that could be opened.
    files: Vec<EventsFile>,
    /// What could not be read.
    failures: Vec<Failure>,
}

/// One log.
#[derive(Serialize, JsonSchema)]
struct EventsFile {
    /// As given, or as found.
    path: String,
    /// Its events, but for `--stats`.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventEntry<'static>>>,
    /// Its figures, with `--stats`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<StatsReport>,
    /// What stands behind its events.
    summary: EventsEnd,
}

/// One line of `binlogsec rows --format json`: a change of a row. There is no document around the lines.
#[derive(Serialize, JsonSchema)]
struct RowLine {
    /// The log, as it was named.
    log: String,
    /// Plain offset of the row event; of one in a compressed transaction, that of the payload.
    position: u64,
    /// Where the row event starts in the unfolded payload; absent for other events.
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_offset: Option<u64>,
    /// Which row of its event, from 1.
    #[schemars(range(min = 1))]
    row: u64,
    /// When the statement began (RFC 3339, UTC).
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// The transaction, or null where it has none.
    gtid: Option<String>,
    /// The server that wrote the row first.
    server_id: u32,
    /// The connection; absent where the log does not tell it, as MariaDB's.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<u32>,
    /// Its database.
    database: String,
    /// Its table.
    table: String,
    /// `insert`, `update` or `delete`.
    #[schemars(extend("enum" = ["insert", "update", "delete"]))]
    op: &'static str,
    /// The row before, by its columns' names or `@n`; null for an insert. A column that the image
    /// leaves out is absent. docs/json/rows.md has the forms of values.
    before: Option<BTreeMap<String, Value>>,
    /// The row after; null for a delete.
    after: Option<BTreeMap<String, Value>>,
}

/// No member but those that are named, and words for people instead of links for rustdoc.
#[derive(Clone)]
struct Strict;

impl Transform for Strict {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if schema.get("properties").is_some() {
            let alternatives = schema.get_mut("anyOf").and_then(Value::as_array_mut);
            let key = match alternatives {
                // Members that are one or the other: none of the two knows the rest.
                Some(alternatives) => {
                    let objects = alternatives.iter_mut().filter_map(Value::as_object_mut);
                    objects.for_each(|object| drop(object.remove("additionalProperties")));
                    "unevaluatedProperties"
                }
                None => "additionalProperties",
            };
            schema.insert(key.to_owned(), json!(false));
        }
        let description = schema.get("description").and_then(Value::as_str);
        if let Some(text) = description.map(without_links) {
            schema.insert("description".to_owned(), Value::from(text));
        }
    }
}

/// ``[`Type::name`](path)`` becomes `` `Type::name` ``.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let (name, after) = link.split_once("`]").unwrap();
        plain += &format!("{before}`{name}`");
        rest = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').unwrap().1,
            None => after,
        };
    }
    plain + rest
}

fn root_schema_of<T: JsonSchema>(report: &str) -> (Schema, String) {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(Strict);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let name = format!("binlogsec.{report}/1");
    schema.insert("title".to_owned(), json!(name));
    (schema, name)
}

fn schema_of<T: JsonSchema>(report: &str) -> Value {
    let (mut schema, name) = root_schema_of::<T>(report);
    let properties = schema.get_mut("properties").unwrap();
    properties["schema"] = json!({ "const": name });
    schema.to_value()
}

#[test]
fn published_schemas_are_those_of_the_model() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let schemas = [
        ("audit", schema_of::<AuditReport<'_>>("audit")),
        ("check", schema_of::<CheckReport<'_>>("check")),
        ("config", schema_of::<ConfigReport>("config")),
        ("decrypt", schema_of::<DecryptReport>("decrypt")),
        ("encrypt", schema_of::<EncryptReport>("encrypt")),
        ("events", schema_of::<EventsReport>("events")),
        ("events-found", schema_of::<FoundReport>("events-found")),
        ("explain", schema_of::<ExplainReport>("explain")),
        ("header", schema_of::<HeaderReport<'_>>("header")),
        ("header-dump", schema_of::<HeaderDumpReport<'_>>("header-dump")),
        ("inspect", schema_of::<InspectReport>("inspect")),
        ("keyring", schema_of::<KeyringReport>("keyring")),
        ("keyring-coverage", schema_of::<CoverageReport>("keyring-coverage")),
        ("keyring-change", schema_of::<KeyringChangeReport<'_>>("keyring-change")),
        ("recover", schema_of::<RecoverReport>("recover")),
        ("rekey", schema_of::<RekeyReport>("rekey")),
        ("rows", root_schema_of::<RowLine>("rows").0.to_value()),
        ("salvage", schema_of::<SalvageReport<'_>>("salvage")),
        ("seal", schema_of::<SealReport<'_>>("seal")),
        ("seal-anchor", schema_of::<AnchorReport>("seal-anchor")),
        ("seal-keygen", schema_of::<KeygenReport>("seal-keygen")),
        ("seal-verify", schema_of::<SealVerifyReport>("seal-verify")),
        ("verify", schema_of::<VerifyReport>("verify")),
    ];
    for (report, schema) in &schemas {
        let path = directory.join(format!("{report}.json"));
        if std::env::var_os("BINLOGSEC_UPDATE_GOLDEN").is_some() {
            let text = serde_json::to_string_pretty(schema).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let published: Value = serde_json::from_str(&text).unwrap();
        assert!(
            published == *schema,
            "{} is not what the model says; BINLOGSEC_UPDATE_GOLDEN=1 renews it",
            path.display()
        );
    }
    let published = std::fs::read_dir(&directory).unwrap().count();
    assert_eq!(published, schemas.len(), "a schema of no report");
}

#[test]
fn links_become_words() {
    let text = "See [`LogKind::name`](binlogsec_core::log::kind::LogKind::name), or [`A`]: x (y).";
    assert_eq!(without_links(text), "See `LogKind::name`, or `A`: x (y).");
}
