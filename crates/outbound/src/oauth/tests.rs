use crate::{
    Kept, Secrets,
    address::Address,
    caller::Caller,
    problems::Outcome,
    testing::{Script, json_answer, run},
    wire::{Request, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const SECRETS: &str = r#"{"idp": {
    "hosts": ["idp.example", "api.example"], "authority": "https://idp.example/realm", "grant": "client_credentials",
    "client": {"id": "me", "secret": "very-secret"}
}}"#;

fn sent(script: &Script, kept: &Kept, policy: &Value) -> Outcome<Response> {
    let secrets = Secrets::parse(SECRETS).expect("secrets");
    let caller = Caller::new(script, &secrets, kept, "key");
    let address = Address::parse("https://api.example/pets").expect("an address");
    let request = caller.request("GET", &address);
    run(caller.send(policy, &address, request))
}

fn token(token: &str, lasts_s: u64) -> Response {
    json_answer(
        200,
        &json!({"access_token": token, "token_type": "Bearer", "expires_in": lasts_s}),
    )
}

fn ok() -> Response {
    json_answer(200, &json!({}))
}

fn body(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

fn oauth2(more: Value) -> Value {
    let mut policy = json!({
        "authority": "https://idp.example/realm", "grant": "client_credentials",
        "client": {"id": "me", "secret": "very-secret"},
    });
    if let (Some(policy), Some(more)) = (policy.as_object_mut(), more.as_object()) {
        policy.extend(more.clone());
    }
    json!({"oauth2": policy})
}

#[test]
fn a_token_is_got_used_and_kept() {
    let script = Script::new([token("t1", 100), ok(), ok(), token("t2", 100), ok()]);
    let (kept, policy) = (Kept::default(), json!({"oauth2": {"use": "idp"}}));
    for elapsed_ms in [0, 69_999, 70_000] {
        script.elapsed_ms.set(elapsed_ms);
        sent(&script, &kept, &policy).expect("an answer");
    }
    let sent = script.sent();
    assert_eq!(sent[0].uri, "https://idp.example/realm/oauth2/token");
    assert_eq!(
        body(&sent[0]),
        "client_id=me&client_secret=very-secret&grant_type=client_credentials"
    );
    let tokens: Vec<_> = sent
        .iter()
        .filter_map(|request| request.header("authorization"))
        .collect();
    assert_eq!(tokens, ["Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[test]
fn a_kept_token_that_is_refused_is_replaced_once() {
    let script = Script::new([
        token("t1", 100),
        ok(),
        json_answer(401, &json!({})),
        token("t2", 100),
        json_answer(401, &json!({})),
    ]);
    let kept = Kept::default();
    sent(&script, &kept, &oauth2(json!({}))).expect("an answer");
    assert_eq!(
        sent(&script, &kept, &oauth2(json!({})))
            .expect("an answer")
            .status,
        401
    );
    assert_eq!(script.sent().len(), 5);
}

#[test]
fn clients_prove_who_they_are_as_asked() {
    let client = |more: Value| {
        let mut client = json!({"id": "me:x", "secret": "very-secret"});
        client
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        oauth2(json!({"client": client, "scopes": ["a", "b"], "audiences": ["x", "y"]}))
    };
    let script = Script::new([token("t", 0), ok()]);
    sent(
        &script,
        &Kept::default(),
        &client(json!({"authentication": "client_secret_basic"})),
    )
    .expect("an answer");
    let asked = &script.sent()[0];
    assert_eq!(
        asked.header("authorization"),
        Some("Basic bWUlM0F4OnZlcnktc2VjcmV0")
    );
    assert_eq!(
        body(asked),
        "audience=x&audience=y&grant_type=client_credentials&scope=a%20b"
    );

    let script = Script::new([token("t", 0), ok()]);
    sent(
        &script,
        &Kept::default(),
        &client(json!({"authentication": "client_secret_jwt"})),
    )
    .expect("an answer");
    let asked = body(&script.sent()[0]);
    assert!(
        !asked.contains("very-secret") && asked.contains("client_id=me%3Ax"),
        "{asked}"
    );
    let assertion = asked
        .split("client_assertion=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("an assertion");
    let claims = BASE64_URL_SAFE_NO_PAD
        .decode(assertion.split('.').nth(1).expect("claims"))
        .expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("me:x"), &json!("https://idp.example/realm/oauth2/token"))
    );
    assert_eq!(
        claims["exp"].as_u64().zip(claims["iat"].as_u64()),
        Some((1_800_000_060, 1_800_000_000))
    );

    let script = Script::new([token("t", 0), ok()]);
    sent(
        &script,
        &Kept::default(),
        &client(json!({"authentication": "none"})),
    )
    .expect("an answer");
    assert!(!body(&script.sent()[0]).contains("secret"));
    assert!(
        sent(
            &Script::default(),
            &Kept::default(),
            &client(json!({"authentication": "private_key_jwt"}))
        )
        .is_err()
    );
}

#[test]
fn grants_carry_what_they_need() {
    let script = Script::new([token("t", 0), ok()]);
    let policy = oauth2(
        json!({"grant": "password", "username": "u", "password": "p w", "request": {"encoding": "application/json"}}),
    );
    sent(&script, &Kept::default(), &policy).expect("an answer");
    let asked: Value = serde_json::from_slice(&script.sent()[0].body).expect("JSON");
    assert_eq!(
        (&asked["grant_type"], &asked["username"], &asked["password"]),
        (&json!("password"), &json!("u"), &json!("p w"))
    );

    let script = Script::new([token("t", 0), ok()]);
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let policy = oauth2(json!({"grant": grant, "subject": {"token": "s", "type": "urn:x"}}));
    sent(&script, &Kept::default(), &policy).expect("an answer");
    assert!(body(&script.sent()[0]).contains("subject_token=s&subject_token_type=urn%3Ax"));
    for grant in ["authorization_code", "refresh_token", grant, "password"] {
        let problem = sent(
            &Script::default(),
            &Kept::default(),
            &oauth2(json!({"grant": grant})),
        )
        .expect_err(grant);
        assert!(problem.kind.ends_with("/configuration"), "{problem:?}");
    }
}

#[test]
fn openid_metadata_tells_where_tokens_are() {
    let metadata = json_answer(200, &json!({"token_endpoint": "https://idp.example/token"}));
    let script = Script::new([metadata, token("t", 0), ok()]);
    sent(&script, &Kept::default(), &json!({"oidc": {"use": "idp"}})).expect("an answer");
    let asked: Vec<String> = script.sent().into_iter().map(|request| request.uri).collect();
    assert_eq!(
        asked,
        [
            "https://idp.example/realm/.well-known/openid-configuration",
            "https://idp.example/token",
            "https://api.example/pets"
        ]
    );
    // Metadata cannot lead the secret away from where it may go.
    let metadata = json_answer(200, &json!({"token_endpoint": "https://evil.example/token"}));
    let script = Script::new([metadata]);
    let problem = sent(&script, &Kept::default(), &json!({"oidc": {"use": "idp"}})).expect_err("led away");
    assert!(
        problem
            .detail
            .is_some_and(|detail| detail.contains("https://evil.example"))
    );
    assert_eq!(script.sent().len(), 1);
}

#[test]
fn what_is_no_token_is_not_used() {
    let jwt = |issuer: &str| {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({"iss": issuer}).to_string());
        format!("e30.{claims}.sig")
    };
    let listed = oauth2(json!({"issuers": ["https://idp.example"]}));
    let script = Script::new([token(&jwt("https://idp.example"), 0), ok()]);
    sent(&script, &Kept::default(), &listed).expect("an answer");
    for (policy, response) in [
        (
            oauth2(json!({})),
            json_answer(400, &json!({"error": "invalid_client"})),
        ),
        (
            oauth2(json!({})),
            json_answer(200, &json!({"token_type": "Bearer"})),
        ),
        (
            oauth2(json!({})),
            json_answer(200, &json!({"access_token": "a b", "token_type": "Bearer"})),
        ),
        (
            oauth2(json!({})),
            json_answer(200, &json!({"access_token": "t", "token_type": "mac"})),
        ),
        (listed.clone(), token("opaque", 0)),
        (listed.clone(), token(&jwt("https://other.example"), 0)),
    ] {
        let problem = sent(&Script::new([response]), &Kept::default(), &policy).expect_err("no token");
        assert!(problem.kind.ends_with("/authentication"), "{problem:?}");
    }
}
