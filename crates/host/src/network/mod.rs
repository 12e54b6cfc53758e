//! Which addresses a component may reach: `allowed_outbound_hosts`, and the networks the operator blocks.

mod allowed;
mod blocked;

pub(crate) use allowed::AllowedHosts;
pub(crate) use blocked::BlockedNetworks;

/// The domain under which components reach each other.
pub(crate) const CHAINING_SUFFIX: &str = ".spin.internal";

/// The component that `host` (with or without a port) names by service chaining, as `ID.spin.internal`.
pub(crate) fn chaining_target(host: &str) -> Option<&str> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim();
    let id = host.strip_suffix(CHAINING_SUFFIX)?;
    (!id.is_empty() && !id.contains('.')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chaining_targets() {
        assert_eq!(chaining_target("b.spin.internal"), Some("b"));
        assert_eq!(chaining_target("b.spin.internal:80"), Some("b"));
        for not in [
            "spin.internal",
            ".spin.internal",
            "a.b.spin.internal",
            "b.spin.internal.com",
            "b",
        ] {
            assert_eq!(chaining_target(not), None, "{not}");
        }
    }
}
