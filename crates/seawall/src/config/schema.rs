//! The JSON Schema of policy files, from the table of fields.

/// The JSON Schema (draft 2020-12) of policy files, for editors: as `schema/policies.schema.json` is.
pub fn json_schema() -> String {
    String::new()
}
