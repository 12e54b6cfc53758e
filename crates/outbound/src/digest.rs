//! Digest access authentication (RFC 7616): a challenge and the answer to it.

use crate::{
    problems::{Outcome, configuration},
    wire::Response,
};
use md5::Digest as _;
use sha2::Digest as _;

/// What a server wants to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    session: bool,
    /// Whether `qop=auth` was offered; without any the older form of RFC 2069 is meant.
    auth: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

/// Who answers.
pub(crate) struct Asker<'a> {
    pub username: &'a str,
    pub password: &'a str,
}

/// The strongest challenge that can be answered; none where there is no digest challenge at all.
pub(crate) fn challenge(response: &Response) -> Outcome<Option<Challenge>> {
    let values = response
        .headers
        .iter()
        .filter(|(name, _)| name == "www-authenticate")
        .map(|(_, value)| value.as_str());
    let (mut found, mut refused) = (None::<Challenge>, None);
    for parameters in values.flat_map(digests) {
        match read(&parameters) {
            Ok(challenge) if found.as_ref().is_none_or(|best| best.algorithm == Algorithm::Md5) => {
                found = Some(challenge);
            }
            Ok(_) => {}
            Err(why) => refused = Some(why),
        }
    }
    match (found, refused) {
        (Some(challenge), _) => Ok(Some(challenge)),
        (None, None) => Ok(None),
        (None, Some(why)) => Err(configuration(format!(
            "The digest challenge cannot be answered: {why}."
        ))),
    }
}

fn read(parameters: &[(String, String)]) -> Result<Challenge, String> {
    let find = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    };
    let named = find("algorithm")
        .unwrap_or_else(|| "MD5".into())
        .to_ascii_uppercase();
    let (base, session) = match named.strip_suffix("-SESS") {
        Some(base) => (base, true),
        None => (named.as_str(), false),
    };
    let algorithm = match base {
        "MD5" => Algorithm::Md5,
        "SHA-256" => Algorithm::Sha256,
        _ => {
            return Err(format!(
                "its algorithm is {named}, and only MD5 and SHA-256 are known"
            ));
        }
    };
    let qop = find("qop");
    let auth = match &qop {
        None => false,
        Some(offered)
            if offered
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case("auth")) =>
        {
            true
        }
        Some(offered) => return Err(format!("it wants a qop of {offered}, and only `auth` is known")),
    };
    if session && !auth {
        return Err("a session without a qop is not defined".into());
    }
    Ok(Challenge {
        realm: find("realm").ok_or("it has no realm")?,
        nonce: find("nonce").ok_or("it has no nonce")?,
        opaque: find("opaque"),
        algorithm,
        session,
        auth,
    })
}

/// The parameters of each digest challenge in a header's value, which may hold challenges of several schemes.
fn digests(value: &str) -> Vec<Vec<(String, String)>> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for piece in pieces(value) {
        let piece = piece.trim();
        let (head, parameter) = match piece.split_once(char::is_whitespace) {
            Some((scheme, rest)) if !scheme.contains(['=', '"']) => (Some(scheme), rest.trim()),
            _ if !piece.contains('=') => (Some(piece), ""),
            _ => (None, piece),
        };
        if let Some(scheme) = head.filter(|scheme| !scheme.is_empty()) {
            challenges.push((scheme.to_ascii_lowercase(), Vec::new()));
        }
        if let (Some((name, value)), Some((_, parameters))) =
            (parameter.split_once('='), challenges.last_mut())
        {
            parameters.push((name.trim().to_owned(), unquote(value.trim())));
        }
    }
    let digests = challenges.into_iter().filter(|(scheme, _)| scheme == "digest");
    digests.map(|(_, parameters)| parameters).collect()
}

/// A value's pieces between commas that are not quoted.
fn pieces(value: &str) -> Vec<String> {
    let (mut pieces, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in value.chars() {
        match c {
            ',' if !quoted => {
                pieces.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The value of `Authorization` that answers a challenge for `(method, target)`.
pub(crate) fn answer(
    challenge: &Challenge,
    asker: &Asker<'_>,
    request: (&str, &str),
    cnonce: &str,
) -> String {
    let hash = |text: String| match challenge.algorithm {
        Algorithm::Md5 => hex::encode(md5::Md5::digest(text.as_bytes())),
        Algorithm::Sha256 => hex::encode(sha2::Sha256::digest(text.as_bytes())),
    };
    let (method, target) = request;
    let Challenge { realm, nonce, .. } = challenge;
    let mut secret = hash(format!("{}:{realm}:{}", asker.username, asker.password));
    if challenge.session {
        secret = hash(format!("{secret}:{nonce}:{cnonce}"));
    }
    let asked = hash(format!("{method}:{target}"));
    let response = match challenge.auth {
        true => hash(format!("{secret}:{nonce}:00000001:{cnonce}:auth:{asked}")),
        false => hash(format!("{secret}:{nonce}:{asked}")),
    };
    let mut parts = vec![
        format!("username={}", quote(asker.username)),
        format!("realm={}", quote(realm)),
        format!("nonce={}", quote(nonce)),
        format!("uri={}", quote(target)),
        format!("response=\"{response}\""),
    ];
    let name = match challenge.algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    };
    parts.push(format!(
        "algorithm={name}{}",
        if challenge.session { "-sess" } else { "" }
    ));
    if challenge.auth {
        parts.push("qop=auth".into());
        parts.push("nc=00000001".into());
        parts.push(format!("cnonce={}", quote(cnonce)));
    }
    if let Some(opaque) = &challenge.opaque {
        parts.push(format!("opaque={}", quote(opaque)));
    }
    format!("Digest {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn challenged(values: &[&str]) -> Outcome<Option<Challenge>> {
        let headers = values
            .iter()
            .map(|value| ("www-authenticate".to_owned(), (*value).to_owned()))
            .collect();
        challenge(&Response {
            status: 401,
            headers,
            body: Vec::new(),
        })
    }

    /// The example of RFC 7616, section 3.9.1.
    #[test]
    fn the_examples_of_the_specification_hold() {
        let rest = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                    opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let asker = Asker {
            username: "Mufasa",
            password: "Circle of Life",
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = challenged(&[&format!("Digest {rest}, algorithm={algorithm}")])
                .expect("readable")
                .expect("a challenge");
            let answer = answer(&challenge, &asker, ("GET", "/dir/index.html"), CNONCE);
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(
                answer.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""),
                "{answer}"
            );
        }
    }

    /// The example of RFC 2069, with the correction of its erratum 749.
    #[test]
    fn the_form_without_qop_holds() {
        let value = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let challenge = challenged(&[value]).expect("readable").expect("a challenge");
        let asker = Asker {
            username: "Mufasa",
            password: "CircleOfLife",
        };
        let answer = answer(&challenge, &asker, ("GET", "/dir/index.html"), "");
        assert!(
            answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{answer}"
        );
        assert!(!answer.contains("qop"), "{answer}");
    }

    #[test]
    fn the_strongest_challenge_is_taken() {
        let both = [
            "Digest realm=\"a, \\\"b\", nonce=\"1\", algorithm=MD5, Basic realm=\"x\"",
            "Digest realm=\"c\",nonce=2,algorithm=SHA-256,qop=auth",
        ];
        let taken = challenged(&both).expect("readable").expect("a challenge");
        assert_eq!(
            (taken.algorithm, taken.realm.as_str(), taken.nonce.as_str()),
            (Algorithm::Sha256, "c", "2")
        );
        let first = challenged(&both[..1]).expect("readable").expect("a challenge");
        assert_eq!(first.realm, "a, \"b");
        assert_eq!(
            challenged(&["Basic realm=\"x\"", "Negotiate"]).expect("readable"),
            None
        );
        for bad in [
            "Digest realm=\"x\", nonce=\"1\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\"",
            "Digest realm=\"x\"",
        ] {
            assert!(challenged(&[bad]).is_err(), "{bad}");
        }
    }
}
