//! Schemas of the domain's types, each under its own name in the document's components.

use guildhall_domain::Problem;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

/// Collects the types that operations name.
pub struct Schemas(SchemaGenerator);

impl Schemas {
    pub(crate) fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            // Answers are described as they are sent, not as they may be read.
            settings.contract = schemars::generate::Contract::Serialize;
        });
        let mut schemas = Schemas(settings.into_generator());
        schemas.of::<Problem>();
        schemas
    }

    /// A reference to the type's schema.
    pub fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// A page of the type.
    pub fn page<T: JsonSchema>(&mut self) -> Value {
        let item = self.of::<T>();
        json!({
            "type": "object",
            "required": ["items", "next"],
            "additionalProperties": false,
            "properties": {
                "items": {"type": "array", "items": item},
                "next": {"type": ["string", "null"], "description": "Give this as `after` to read on; null at the end."},
            },
        })
    }

    pub(crate) fn into_components(mut self) -> Value {
        Value::Object(self.0.take_definitions(true).into_iter().collect())
    }
}
