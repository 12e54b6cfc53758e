//! One operation, and how it is written down.

use crate::schemas::Schemas;
use guildhall_domain::{Code, scope::Scope};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Makes a schema when the document is written.
pub type SchemaOf = fn(&mut Schemas) -> Value;

/// A parameter in the path, the query or a header.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// `path`, `query` or `header`.
    pub place: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Its JSON Schema.
    pub schema: Value,
    /// Whether it may not be left out.
    pub required: bool,
}

/// A JSON request body.
#[derive(Clone, Debug)]
pub struct Body {
    /// Its JSON Schema.
    pub schema: Value,
    /// Whether it may not be left out.
    pub required: bool,
    /// An example.
    pub example: Value,
}

/// An answer other than a problem.
#[derive(Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub about: &'static str,
    /// Media type and schema; `None` for no body.
    pub content: Option<(&'static str, SchemaOf)>,
    /// Headers that always come with it: name and meaning.
    pub headers: &'static [(&'static str, &'static str)],
}

/// One route with one method.
#[derive(Clone)]
pub struct Operation {
    /// Lower case.
    pub method: &'static str,
    /// The path with `{name}` for parameters, as the component's router has it.
    pub path: &'static str,
    /// The noun it belongs to.
    pub tag: &'static str,
    /// Unique name, camelCase.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The scope a token needs; `None` where no token is needed.
    pub scope: Option<Scope>,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Body.
    pub body: Option<Body>,
    /// Good answers.
    pub replies: Vec<Reply>,
    /// Refusals in another standard's shape, which may come besides problems of the same status.
    pub other_refusals: Vec<Reply>,
    /// Problems of its own, beside those that its shape implies.
    pub problems: Vec<Code>,
    /// Whether it asks the database.
    pub database: bool,
}

impl Operation {
    /// An operation that asks the database and answers JSON.
    pub fn new(
        method: &'static str,
        path: &'static str,
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
        scope: Scope,
    ) -> Operation {
        Operation {
            method,
            path,
            tag,
            id,
            summary,
            scope: Some(scope),
            parameters: Vec::new(),
            body: None,
            replies: Vec::new(),
            other_refusals: Vec::new(),
            problems: Vec::new(),
            database: true,
        }
    }

    /// Needs no token.
    pub fn open(mut self) -> Self {
        self.scope = None;
        self
    }

    /// Asks no database.
    pub fn without_database(mut self) -> Self {
        self.database = false;
        self
    }

    fn parameter(
        mut self,
        name: &'static str,
        place: &'static str,
        about: &'static str,
        schema: Value,
    ) -> Self {
        self.parameters.push(Parameter {
            name,
            place,
            about,
            schema,
            required: place == "path",
        });
        self
    }

    /// A parameter in the query that may not be left out.
    pub fn required_query(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        let mut operation = self.query(name, about, schema);
        if let Some(parameter) = operation.parameters.last_mut() {
            parameter.required = true;
        }
        operation
    }

    /// A parameter in the path; it may name what does not exist, so that 404 is an answer.
    pub fn path(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameter(name, "path", about, schema)
    }

    /// A parameter in the query, which may be left out.
    pub fn query(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameter(name, "query", about, schema)
    }

    /// A header, which may be left out.
    pub fn header(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameter(name, "header", about, schema)
    }

    /// `limit` and `after`.
    pub fn paged(self, cursor: Value) -> Self {
        self.query(
            "limit",
            "Items in the page.",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        )
        .query("after", "The `next` of the page before.", cursor)
    }

    /// `Idempotency-Key`.
    pub fn repeatable(self) -> Self {
        self.header(
            "Idempotency-Key",
            "The same key with the same body gives the first call's thing again.",
            json!({"type": "string", "pattern": "^[!-~]{1,200}$"}),
        )
        .problem(Code::IdempotencyConflict)
    }

    /// A body that must be there.
    pub fn body(mut self, schema: Value, example: Value) -> Self {
        self.body = Some(Body {
            schema,
            required: true,
            example,
        });
        self
    }

    /// A body that may be left out.
    pub fn optional_body(mut self, schema: Value, example: Value) -> Self {
        self.body = Some(Body {
            schema,
            required: false,
            example,
        });
        self
    }

    /// A JSON answer.
    pub fn reply(self, status: u16, about: &'static str, schema: SchemaOf) -> Self {
        self.reply_as(status, about, "application/json", schema, &[])
    }

    /// An answer of another media type, or with headers.
    pub fn reply_as(
        mut self,
        status: u16,
        about: &'static str,
        media: &'static str,
        schema: SchemaOf,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.replies.push(Reply {
            status,
            about,
            content: Some((media, schema)),
            headers,
        });
        self
    }

    /// An answer without a body.
    pub fn empty(mut self, status: u16, about: &'static str) -> Self {
        self.replies.push(Reply {
            status,
            about,
            content: None,
            headers: &[],
        });
        self
    }

    /// A refusal in the shape that another standard prescribes.
    pub fn other_refusal(mut self, status: u16, about: &'static str, schema: SchemaOf) -> Self {
        self.other_refusals.push(Reply {
            status,
            about,
            content: Some(("application/json", schema)),
            headers: &[],
        });
        self
    }

    /// A problem of its own.
    pub fn problem(mut self, code: Code) -> Self {
        self.problems.push(code);
        self
    }

    /// Every problem that may be the answer, by status.
    fn refusals(&self) -> BTreeMap<u16, Vec<Code>> {
        let mut codes = self.problems.clone();
        if self.scope.is_some() {
            codes.extend([Code::Unauthenticated, Code::TokenExpired, Code::Forbidden]);
        }
        if !self.parameters.is_empty() {
            codes.push(Code::InvalidParameter);
        }
        if self.parameters.iter().any(|parameter| parameter.place == "path") {
            codes.extend([Code::NotFound, Code::UnknownRoute]);
        }
        if self.body.is_some() {
            codes.extend([Code::InvalidBody, Code::InvalidParameter, Code::BodyTooLarge]);
        }
        if self.database || self.scope.is_some() {
            codes.extend([
                Code::Internal,
                Code::DatabaseUnavailable,
                Code::SchemaMismatch,
                Code::Overloaded,
            ]);
        }
        let mut refusals: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in codes {
            let known = refusals.entry(code.status()).or_default();
            if !known.contains(&code) {
                known.push(code);
            }
        }
        refusals
    }

    /// The operation object (OpenAPI 3.1, section 4.8.10).
    pub(crate) fn describe(&self, schemas: &mut Schemas) -> Value {
        let mut responses = Map::new();
        for reply in &self.replies {
            let mut response = json!({"description": reply.about});
            if let Some((media, schema)) = &reply.content {
                response["content"] = json!({*media: {"schema": schema(schemas)}});
            }
            for (name, about) in reply.headers {
                response["headers"][*name] = json!({"description": about, "schema": {"type": "string"}});
            }
            responses.insert(reply.status.to_string(), response);
        }
        for (status, codes) in self.refusals() {
            let names: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            // The status may be a good answer's too (503 of /readyz), which then has its own description.
            let refusal = responses.entry(status.to_string()).or_insert_with(|| json!({}));
            if refusal["description"].is_null() {
                refusal["description"] = json!(format!("A problem with the code {}.", names.join(" or ")));
            }
            refusal["content"]["application/problem+json"] =
                json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        }
        for reply in &self.other_refusals {
            if let Some((media, schema)) = &reply.content {
                responses[&reply.status.to_string()]["content"][*media] = json!({"schema": schema(schemas)});
            }
        }
        let mut described = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": responses,
        });
        match self.scope {
            Some(scope) => {
                described["description"] = json!(format!("Wants the scope `{scope}`."));
                described["security"] = json!([{"token": [scope.as_str()]}]);
            }
            None => described["security"] = json!([]),
        }
        if !self.parameters.is_empty() {
            let parameters = self.parameters.iter().map(|parameter| {
                json!({
                    "name": parameter.name,
                    "in": parameter.place,
                    "required": parameter.required,
                    "description": parameter.about,
                    "schema": parameter.schema,
                })
            });
            described["parameters"] = parameters.collect();
        }
        if let Some(body) = &self.body {
            described["requestBody"] = json!({
                "required": body.required,
                "content": {"application/json": {"schema": body.schema, "example": body.example}},
            });
        }
        described
    }
}
