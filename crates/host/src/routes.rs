//! Which component serves which path. Patterns are matched by the same library Spin uses.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    error::{ErrorKind, HostError, Result},
    manifest::{HttpTrigger, Route},
};

/// The public routes of an application.
pub(crate) struct Routes(routefinder::Router<Pattern>);

#[derive(Debug)]
struct Pattern {
    component: String,
    /// As the manifest writes it.
    raw: String,
    /// With a slash in front and none behind.
    normal: String,
}

/// A path's component and what the component is told about the match.
pub(crate) struct Matched<'a> {
    pub component: Cow<'a, str>,
    /// The pattern as the manifest writes it.
    pub raw: Cow<'a, str>,
    pub normal: Cow<'a, str>,
    /// What `/...` stands for, slashes kept.
    pub trailing: String,
    pub named: Vec<(String, String)>,
}

impl Matched<'static> {
    /// A request that names its component by service chaining matches as if the component were at `/...`.
    pub fn chained(component: &str, path: &str) -> Self {
        Self {
            component: component.to_string().into(),
            raw: "/...".into(),
            normal: "/...".into(),
            trailing: path.into(),
            named: Vec::new(),
        }
    }
}

impl Matched<'_> {
    /// The pattern as the manifest writes it, without `/...`.
    pub fn prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }
}

impl Routes {
    /// Builds the routes of `triggers`; private ones have none.
    pub fn build<'a>(triggers: impl IntoIterator<Item = &'a HttpTrigger>) -> Result<Self> {
        let mut router = routefinder::Router::new();
        let mut taken: HashMap<String, &HttpTrigger> = HashMap::new();
        for trigger in triggers {
            let Route::Public(raw) = &trigger.route else {
                continue;
            };
            let wrong =
                |cause: String| HostError::new(ErrorKind::Route, format!("{} route", trigger.place), cause);
            let normal = normalize(raw);
            if normal.starts_with("/.well-known/spin/") {
                return Err(wrong(format!(
                    "{raw:?} is below /.well-known/spin/, which the host answers itself"
                )));
            }
            if let Some(other) = taken.insert(normal.clone(), trigger) {
                return Err(wrong(format!(
                    "{raw:?} of component {:?} is already taken by component {:?}",
                    trigger.component, other.component
                ))
                .hint("give each component its own route"));
            }
            if normal.strip_suffix("/...").unwrap_or(&normal).contains("...") {
                return Err(
                    wrong(format!("{raw:?} has `...` before its end")).hint("`/...` may only come last")
                );
            }
            let spec = match normal.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => normal.clone(),
            };
            let pattern = Pattern {
                component: trigger.component.clone(),
                raw: raw.clone(),
                normal,
            };
            router
                .add(spec.as_str(), pattern)
                .map_err(|e| wrong(format!("{raw:?} is no route: {e}")))?;
        }
        Ok(Self(router))
    }

    /// The component for `path`: an exact route before a parameter before `/...`, and the longest prefix.
    pub fn find<'a>(&'a self, path: &'a str) -> Option<Matched<'a>> {
        let found = self.0.best_match(path)?;
        let pattern = found.handler();
        let captures = found.captures();
        // The library trims slashes around what it captures; components are told of them.
        let trailing = match captures.wildcard() {
            None => String::new(),
            Some(rest) => match (rest.is_empty(), path.ends_with('/')) {
                (true, false) => String::new(),
                (true, true) => "/".into(),
                (false, false) => format!("/{rest}"),
                (false, true) => format!("/{rest}/"),
            },
        };
        Some(Matched {
            component: pattern.component.as_str().into(),
            raw: pattern.raw.as_str().into(),
            normal: pattern.normal.as_str().into(),
            trailing,
            named: captures
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        })
    }
}

fn normalize(raw: &str) -> String {
    let path = raw.trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') {
        path.into()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routes(patterns: &[&str]) -> Result<Routes> {
        let triggers: Vec<_> = patterns
            .iter()
            .map(|p| HttpTrigger {
                place: "spin.toml".into(),
                component: p.to_string(),
                route: Route::Public(p.to_string()),
            })
            .collect();
        Routes::build(&triggers)
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            "/",
            "/...",
            "/a",
            "/a/...",
            "/a/b/...",
            "/a/:id",
            "/a/:id/runs/:run",
            "/users/me",
        ])
        .unwrap();
        for (path, pattern) in [
            ("/", "/"),
            ("/x", "/..."),
            ("/x/y", "/..."),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/7", "/a/:id"),
            ("/a/b", "/a/b/..."),
            ("/a/b/c", "/a/b/..."),
            ("/a/7/x", "/a/..."),
            ("/a/7/runs/8", "/a/:id/runs/:run"),
            ("/ab", "/..."),
            ("/users/me", "/users/me"),
            ("/users/you", "/..."),
        ] {
            assert_eq!(routes.find(path).expect(path).raw, pattern, "{path}");
        }
    }

    #[test]
    fn what_was_matched_is_told() {
        let routes = routes(&["/a/:id/...", "/b"]).unwrap();
        let found = routes.find("/a/7/x/y").unwrap();
        assert_eq!((found.trailing.as_str(), found.prefix()), ("/x/y", "/a/:id"));
        assert_eq!(found.named, [("id".to_string(), "7".to_string())]);
        assert_eq!(routes.find("/a/7/").unwrap().trailing, "/");
        assert_eq!(routes.find("/a/7").unwrap().trailing, "");
        assert_eq!(routes.find("/b").unwrap().trailing, "");
        assert!(routes.find("/b/c").is_none());
        assert!(routes.find("/").is_none());
    }

    #[test]
    fn bad_routes_are_refused() {
        for (patterns, cause) in [
            (&["/a", "/a"][..], "already taken"),
            (&["/a/", "/a"], "already taken"),
            (&["/a/.../b"], "before its end"),
            (&["/.well-known/spin/mine"], "answers itself"),
        ] {
            let error = routes(patterns).err().expect("refused");
            assert!(error.to_string().contains(cause), "{error}");
            assert_eq!(error.kind(), ErrorKind::Route);
        }
    }

    proptest! {
        #[test]
        fn finding_never_panics(path in ".*") {
            routes(&["/", "/a/:id", "/a/..."]).unwrap().find(&path);
        }

        /// What stands for `/...` is what follows the prefix.
        #[test]
        fn trailing_is_the_rest(rest in "(/[a-z0-9]{1,4}){0,4}/?") {
            let path = format!("/base{rest}");
            let routes = routes(&["/base/..."]).unwrap();
            let found = routes.find(&path).unwrap();
            prop_assert_eq!(&found.trailing, &rest);
        }
    }
}
