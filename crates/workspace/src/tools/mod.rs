//! The tools: names, shapes, schemas. Each takes JSON, does one thing through the rooms below, and gives JSON.

mod changes;
mod checks;
mod environments;
mod files;
mod repository;

use crate::error::{ToolError, ToolResult};
use crate::workspace::Workspace;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// What a call does to the world; clients see it as annotations.
#[derive(Clone, Copy)]
enum Kind {
    /// It changes nothing.
    Read,
    /// It runs code of the repository, but changes nothing that lasts.
    Run,
    /// It adds something that can be taken away again.
    Add,
    /// It changes what others rely on.
    Change,
}

type Handler = Box<dyn Fn(&Workspace, Value) -> ToolResult<Value> + Send + Sync>;

/// All tools, in a fixed order.
pub struct Tools {
    tools: Vec<(Tool, Handler)>,
}

impl Tools {
    /// The tools of a workspace.
    pub fn new() -> Self {
        let mut tools = Self { tools: Vec::new() };
        repository::register(&mut tools);
        files::register(&mut tools);
        changes::register(&mut tools);
        checks::register(&mut tools);
        environments::register(&mut tools);
        tools
    }

    /// How clients see them.
    pub fn list(&self) -> Vec<Tool> {
        self.tools.iter().map(|(tool, _)| tool.clone()).collect()
    }

    /// How clients see one of them.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools
            .iter()
            .map(|(tool, _)| tool)
            .find(|tool| tool.name == name)
    }

    /// Calls a tool; `None` when there is none of this name.
    pub fn call(&self, workspace: &Workspace, name: &str, arguments: Value) -> Option<ToolResult<Value>> {
        let (_, handler) = self.tools.iter().find(|(tool, _)| tool.name == name)?;
        Some(handler(workspace, arguments))
    }

    /// A tool whose answer is encoded from its own type.
    fn add<I, O>(
        &mut self,
        name: &'static str,
        kind: Kind,
        description: &'static str,
        run: fn(&Workspace, I) -> ToolResult<O>,
    ) where
        I: DeserializeOwned + JsonSchema + 'static,
        O: Serialize + JsonSchema + 'static,
    {
        let handler = move |workspace: &Workspace, arguments: Value| {
            let answer = run(workspace, input(name, arguments)?)?;
            serde_json::to_value(answer)
                .map_err(|error| ToolError::internal("cannot encode the answer", error))
        };
        self.push(
            name,
            kind,
            description,
            schema::<I>(),
            schema::<O>(),
            Box::new(handler),
        );
    }

    /// A tool whose answer comes out of the effect store: that of its type `O`, plus `replayed`.
    fn add_effect<I, O>(
        &mut self,
        name: &'static str,
        kind: Kind,
        description: &'static str,
        run: fn(&Workspace, I, &Value) -> ToolResult<Value>,
    ) where
        I: DeserializeOwned + JsonSchema + 'static,
        O: JsonSchema + 'static,
    {
        let mut output = schema::<O>();
        with_replayed(&mut output);
        let handler = move |workspace: &Workspace, arguments: Value| {
            run(workspace, input(name, arguments.clone())?, &arguments)
        };
        self.push(name, kind, description, schema::<I>(), output, Box::new(handler));
    }

    fn push(
        &mut self,
        name: &'static str,
        kind: Kind,
        description: &'static str,
        input: JsonObject,
        output: JsonObject,
        handler: Handler,
    ) {
        let destructive = matches!(kind, Kind::Change);
        let annotations = ToolAnnotations::new()
            .read_only(matches!(kind, Kind::Read))
            .destructive(destructive)
            .idempotent(true) // Reads by nature, effects by their idempotency key.
            .open_world(matches!(kind, Kind::Run | Kind::Change));
        let tool = Tool::new(name, description, Arc::new(input))
            .with_raw_output_schema(Arc::new(output))
            .with_annotations(annotations);
        self.tools.push((tool, handler));
    }
}

fn input<I: DeserializeOwned>(name: &str, arguments: Value) -> ToolResult<I> {
    serde_json::from_value(arguments).map_err(|error| {
        ToolError::invalid(
            format!("{name} does not take these arguments: {error}"),
            "tools/list gives the schema of each tool's arguments.",
        )
    })
}

/// A JSON Schema 2020-12 without references, since not every client follows them.
fn schema<T: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(mut schema) => {
            schema.remove("title");
            schema
        }
        _ => JsonObject::new(),
    }
}

fn with_replayed(schema: &mut JsonObject) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let about = "Whether this is the stored answer of an earlier call with the same idempotency key.";
        properties.insert(
            "replayed".into(),
            serde_json::json!({ "type": "boolean", "description": about }),
        );
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("replayed".into());
    }
}

/// A number within bounds, or the default.
fn bounded(given: Option<u64>, default: usize, max: usize) -> usize {
    given
        .map_or(default, |given| usize::try_from(given).unwrap_or(max))
        .clamp(1, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_schemas_and_annotations() {
        let tools = Tools::new().list();
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(
            names,
            [
                "repository_describe",
                "revision_resolve",
                "file_read",
                "file_list",
                "text_search",
                "change_describe",
                "change_diff",
                "file_commit",
                "change_merge",
                "check_run",
                "environment_describe",
                "environment_deploy",
                "environment_rollback",
                "service_health",
                "service_restart",
                "service_stop",
            ]
        );
        for tool in &tools {
            let input = Value::Object((*tool.input_schema).clone());
            assert_eq!(input["type"], "object", "{}", tool.name);
            assert_eq!(input["additionalProperties"], false, "{}", tool.name);
            let output = Value::Object((**tool.output_schema.as_ref().unwrap()).clone());
            assert_eq!(output["type"], "object", "{}", tool.name);
            assert!(
                !output.to_string().contains("$ref") && !input.to_string().contains("$ref"),
                "{}",
                tool.name
            );
            for (name, property) in input["properties"].as_object().into_iter().flatten() {
                assert!(
                    property.get("description").is_some(),
                    "{}.{name} has no description",
                    tool.name
                );
            }
            let annotations = tool.annotations.as_ref().unwrap();
            assert!(annotations.read_only_hint.is_some() && annotations.destructive_hint.is_some());
            let effect = input["properties"].get("idempotency_key").is_some();
            assert_eq!(effect, annotations.read_only_hint == Some(false), "{}", tool.name);
            assert_eq!(
                effect,
                output["properties"].get("replayed").is_some(),
                "{}",
                tool.name
            );
        }
    }
}
