//! URI templates, as far as the DSL has them (dsl-reference.md, "URI Template"): simple string expansion of RFC 6570.

use serde_json::Value;

/// Puts the members of `data` into a template. A name that is not there gives nothing; one whose value is a list or
/// object is an error.
pub fn expand(template: &str, data: &Value) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}') else {
            return Err(format!(
                "the URI template `{template}` has a `{{` that is not closed"
            ));
        };
        out.push_str(&rest[..start]);
        let name = &rest[start + 1..start + end];
        match data.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => encode(text, &mut out),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => encode(&value.to_string(), &mut out),
            Some(_) => {
                return Err(format!(
                    "`{name}` in the URI template `{template}` is a list or an object"
                ));
            }
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_put_in() {
        let data = json!({"id": 7, "name": "a/b é", "flag": true, "none": null, "pet.id": "x", "list": []});
        assert_eq!(
            expand(
                "https://h/{id}/{name}?f={flag}&n={none}{missing}&p={pet.id}",
                &data
            ),
            Ok("https://h/7/a%2Fb%20%C3%A9?f=true&n=&p=x".into())
        );
        assert!(expand("https://h/{list}", &data).is_err());
        assert!(expand("https://h/{id", &data).is_err());
        assert_eq!(expand("https://h/{id}", &json!([1])), Ok("https://h/".into()));
    }
}
