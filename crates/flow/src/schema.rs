//! JSON Schemas in documents (dsl-reference.md, "Schema"): draft 2020-12 where a schema names no other, nothing fetched.

use serde_json::Value;

/// Most places that one error names.
const MAX_PLACES: usize = 5;

fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("this is not a usable JSON Schema: {error}"))
}

/// Whether a schema can be used.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    compile(schema).map(drop)
}

/// Whether a value fits a schema; the error names the places that do not.
pub fn check_value(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = compile(schema)?;
    let places: Vec<String> = validator
        .iter_errors(value)
        .take(MAX_PLACES)
        .map(|error| match error.instance_path().to_string() {
            path if path.is_empty() => error.to_string(),
            path => format!("{path}: {error}"),
        })
        .collect();
    if places.is_empty() {
        Ok(())
    } else {
        Err(places.join("; "))
    }
}
