use super::{Built, build};
use crate::{
    Call, Kept, Secrets,
    address::Address,
    perform,
    problems::Outcome,
    testing::{Script, answer, json_answer, run},
};
use guildhall_flow::{
    engine::{Action, Problem},
    yaml,
};
use serde_json::{Value, json};

const SWAGGER: &str = "
swagger: '2.0'
host: petstore.example
basePath: /v2
schemes: [http, https]
paths:
  /pet/findByStatus:
    get:
      operationId: findPetsByStatus
      parameters:
        - {name: status, in: query, required: true, type: array, items: {type: string}, collectionFormat: multi}
        - {name: tags, in: query, type: array, items: {type: string}}
        - {name: pipes, in: query, type: array, collectionFormat: pipes}
  /pet/{petId}:
    parameters:
      - {name: petId, in: path, required: true, type: integer}
    get: {operationId: getPetById}
    post:
      operationId: updatePetWithForm
      consumes: [application/x-www-form-urlencoded]
      parameters:
        - {name: name, in: formData, type: string}
        - {name: api_key, in: header, type: string}
  /pet:
    post:
      operationId: addPet
      consumes: [application/xml, application/json]
      parameters:
        - $ref: '#/parameters/Pet'
parameters:
  Pet: {name: pet, in: body, required: true, schema: {type: object}}
";

const OPENAPI: &str = "
openapi: 3.1.0
servers:
  - url: 'https://{region}.api.example/{base}'
    variables: {region: {default: eu}, base: {default: v3}}
paths:
  /things/{id}/{list}:
    get:
      operationId: get
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: list, in: path, required: true, style: matrix, explode: true, schema: {}}
        - {name: tag, in: query, schema: {type: array}}
        - {name: csv, in: query, explode: false, schema: {type: array}}
        - {name: deep, in: query, style: deepObject, schema: {type: object}}
        - {name: filter, in: query, content: {application/json: {}}}
        - {name: X-Ids, in: header, schema: {type: array}}
        - {name: session, in: cookie, schema: {type: string}}
  /things:
    servers: [{url: /other}]
    post:
      operationId: make
      parameters: [{name: dry, in: query, schema: {type: boolean}}]
      requestBody: {$ref: '#/components/requestBodies/Thing'}
  /remote: {$ref: 'https://elsewhere.example/paths.yaml'}
components:
  requestBodies:
    Thing:
      required: true
      content: {application/json: {schema: {type: object}}}
";

fn made(document: &str, operation: &str, parameters: Value) -> Outcome<Built> {
    let at = Address::parse("https://docs.example/v2/api.yaml").expect("an address");
    let document = yaml::parse(document).expect("YAML").to_value();
    build(
        &at,
        &document,
        operation,
        parameters.as_object().expect("an object"),
    )
}

fn uri(document: &str, operation: &str, parameters: Value) -> String {
    match made(document, operation, parameters) {
        Ok(built) => format!("{} {}", built.method, built.address),
        Err(problem) => problem.detail.unwrap_or_default(),
    }
}

#[test]
fn operations_of_2_0_are_built() {
    for (operation, parameters, wanted) in [
        (
            "findPetsByStatus",
            json!({"status": "available"}),
            "GET https://petstore.example/v2/pet/findByStatus?status=available",
        ),
        (
            "findPetsByStatus",
            json!({"status": ["a b", "c"], "tags": ["x", "y"], "pipes": [1, 2]}),
            "GET https://petstore.example/v2/pet/findByStatus?status=a%20b&status=c&tags=x,y&pipes=1%7C2",
        ),
        (
            "getPetById",
            json!({"petId": 1}),
            "GET https://petstore.example/v2/pet/1",
        ),
        (
            "getPetById",
            json!({"petId": "a/../b?c"}),
            "GET https://petstore.example/v2/pet/a%2F..%2Fb%3Fc",
        ),
    ] {
        assert_eq!(uri(SWAGGER, operation, parameters), wanted);
    }
    let form = made(
        SWAGGER,
        "updatePetWithForm",
        json!({"petId": 1, "name": "a b", "api_key": "k"}),
    )
    .expect("a form");
    assert_eq!(
        form.body,
        Some(("application/x-www-form-urlencoded".into(), b"name=a%20b".to_vec()))
    );
    assert_eq!(form.headers, [("api_key".to_owned(), "k".to_owned())]);
    let body = made(SWAGGER, "addPet", json!({"pet": {"id": 1}})).expect("a body");
    assert_eq!(
        body.body,
        Some(("application/json".into(), br#"{"id":1}"#.to_vec()))
    );
}

#[test]
fn operations_of_3_are_built() {
    let parameters = json!({
        "id": "é", "list": ["a", "b"], "tag": ["x", "y"], "csv": [1, 2], "deep": {"k": "v"}, "filter": {"a": 1},
        "X-Ids": [1, 2], "session": "s",
    });
    let built = made(OPENAPI, "get", parameters).expect("an operation");
    assert_eq!(
        built.address.to_string(),
        "https://eu.api.example/v3/things/%C3%A9/;list=a;list=b?tag=x&tag=y&csv=1,2&deep%5Bk%5D=v&filter=%7B%22a%22%3A1%7D"
    );
    assert_eq!(
        built.headers,
        [
            ("X-Ids".to_owned(), "1,2".to_owned()),
            ("cookie".to_owned(), "session=s".to_owned())
        ]
    );
    for parameters in [
        json!({"dry": true, "body": {"a": 1}}),
        json!({"dry": true, "a": 1}),
    ] {
        let built = made(OPENAPI, "make", parameters).expect("an operation");
        assert_eq!(
            built.address.to_string(),
            "https://docs.example/other/things?dry=true"
        );
        assert_eq!(
            built.body,
            Some(("application/json".into(), br#"{"a":1}"#.to_vec()))
        );
    }
}

#[test]
fn what_does_not_fit_is_said() {
    for (document, operation, parameters, words) in [
        (
            SWAGGER,
            "findPetsByStatus",
            json!({}),
            "needs the parameter `status`",
        ),
        (
            SWAGGER,
            "getPetById",
            json!({"petId": null}),
            "needs the parameter `petId`",
        ),
        (SWAGGER, "getPetById", json!({"petId": ".."}), "part of the path"),
        (SWAGGER, "getPetById", json!({"petId": ""}), "part of the path"),
        (
            SWAGGER,
            "getPetById",
            json!({"petId": 1, "more": 2}),
            "no parameter `more`; it has: petId",
        ),
        (
            SWAGGER,
            "getPetByName",
            json!({}),
            "no operation `getPetByName`. It has, among others: addPet",
        ),
        (SWAGGER, "addPet", json!({}), "needs the parameter `pet`"),
        (OPENAPI, "make", json!({}), "needs a body"),
        (
            OPENAPI,
            "get",
            json!({"id": "a", "list": "b", "deep": 1}),
            "must be an object",
        ),
        (OPENAPI, "missing", json!({}), "another document"),
        ("{a: 1}", "get", json!({}), "no description in OpenAPI"),
    ] {
        let said = uri(document, operation, parameters);
        assert!(said.contains(words), "{operation}: {said}");
    }
}

fn called(script: &Script, kept: &Kept) -> Result<Value, Problem> {
    let action: Action = serde_json::from_value(json!({
        "action": "openapi", "document": {"uri": "https://docs.example/v2/api.yaml", "authentication": null},
        "operation_id": "getPetById", "parameters": {"petId": 1}, "authentication": null, "output": "response",
        "redirect": false,
    }))
    .expect("an action");
    let call = Call {
        action: &action,
        key: "run-1/do/0/ask",
        fences: &[],
    };
    run(perform(script, &Secrets::default(), kept, call))
}

#[test]
fn a_description_is_read_once_a_minute() {
    let pet = json_answer(200, &json!({"id": 1}));
    let script = Script::new([
        answer(200, "text/yaml", SWAGGER),
        pet.clone(),
        pet.clone(),
        answer(200, "", SWAGGER),
        pet,
    ]);
    let kept = Kept::default();
    for elapsed_ms in [0, 59_999, 60_001] {
        script.elapsed_ms.set(elapsed_ms);
        assert_eq!(
            called(&script, &kept).expect("an answer")["content"],
            json!({"id": 1})
        );
    }
    let asked: Vec<String> = script.sent().into_iter().map(|request| request.uri).collect();
    let (document, pet) = (
        "https://docs.example/v2/api.yaml",
        "https://petstore.example/v2/pet/1",
    );
    assert_eq!(asked, [document, pet, pet, document, pet]);
}

#[test]
fn a_description_that_cannot_be_read_is_an_error() {
    let mut moved = answer(301, "text/html", "");
    moved
        .headers
        .push(("location".into(), "https://elsewhere.example/".into()));
    for (response, kind, words) in [
        (moved, "communication", "leads to https://elsewhere.example/"),
        (answer(404, "text/html", ""), "communication", "status 404"),
        (
            answer(200, "text/html", "<p>: - ["),
            "configuration",
            "neither JSON nor YAML",
        ),
        (
            answer(200, "application/json", "[]"),
            "configuration",
            "not an object",
        ),
    ] {
        let problem = called(&Script::new([response]), &Kept::default()).expect_err("a problem");
        assert!(problem.kind.ends_with(&format!("/{kind}")), "{problem:?}");
        assert!(
            problem.detail.clone().unwrap_or_default().contains(words),
            "{problem:?}"
        );
    }
}
