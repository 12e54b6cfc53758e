//! Terraform and OpenTofu.

mod hcl;

use self::hcl::{Attribute, Block, blocks};
use crate::review::Severity::{High, Medium};
use crate::review::sink::Sink;
use crate::review::source::{NewLine, Source};
use crate::review::{Category, RuleInfo, Severity};

const fn rule(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    description: &'static str,
) -> RuleInfo {
    RuleInfo {
        id,
        title,
        severity,
        category: Category::Infrastructure,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("tf-public-bucket", "Public storage", High, "A bucket, container or object is opened to everybody."),
    rule("tf-open-ingress", "Sensitive port open to the internet", High, "A firewall lets every address reach a port for administration or data."),
    rule("tf-unencrypted-storage", "Storage without encryption", Medium, "Encryption of stored data is switched off, or left off where it is not the default."),
    rule("tf-iam-wildcard", "Rights on everything", High, "A policy allows every action on every resource, or a role of that kind is given."),
    rule("tf-public-database", "Database reachable from the internet", High, "A database gets a public address."),
    rule("tf-deletion-protection-off", "Nothing stops a deletion", Medium, "Deletion protection or the last snapshot is switched off, so one wrong plan loses the data."),
    rule("tf-unpinned-module", "Module without a version", Medium, "A module comes from a Git repository without a fixed revision, so its owner can change what is applied."),
];

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let terraform = matches!(source.extension(), "tf" | "tofu" | "hcl");
    let policy = source.extension() == "json"
        && source
            .file
            .lines()
            .any(|line| line.text.contains("\"Statement\""));
    if source.traits.docs || source.traits.test || source.traits.lock || !(terraform || policy) {
        return;
    }
    for lines in source.regions() {
        wildcard(source, &lines, sink);
        if terraform {
            let blocks = blocks(&lines);
            for (at, block) in blocks.iter().enumerate() {
                for attribute in &block.attributes {
                    settings(source, block, attribute, sink);
                    ingress(source, &blocks, at, attribute, sink);
                }
                unencrypted(source, block, sink);
            }
        }
    }
}

/// Attributes that are a risk by themselves.
fn settings<'a>(source: &Source<'a>, block: &Block<'a>, attribute: &Attribute<'a>, sink: &mut Sink<'a>) {
    let value = attribute.value.trim_matches('"');
    let public_member =
        || attribute.value.contains("\"allUsers\"") || attribute.value.contains("\"allAuthenticatedUsers\"");
    let (rule, severity, message, suggestion) = match (attribute.name.as_str(), value) {
        ("acl", "public-read" | "public-read-write")
        | ("container_access_type", "blob" | "container")
        | (
            "block_public_acls" | "block_public_policy" | "ignore_public_acls" | "restrict_public_buckets",
            "false",
        )
        | ("allow_nested_items_to_be_public" | "allow_blob_public_access", "true") => (
            "tf-public-bucket",
            High,
            "Everybody on the internet can read what is stored here, or may be allowed to.",
            "Keep it private and give access by signed addresses, a content network or a role.",
        ),
        ("member" | "members", _) if public_member() => (
            "tf-public-bucket",
            High,
            "Everybody on the internet gets this role.",
            "Name the accounts or groups that need it.",
        ),
        (
            "encrypted"
            | "storage_encrypted"
            | "at_rest_encryption_enabled"
            | "transit_encryption_enabled"
            | "encryption_at_host_enabled"
            | "enable_disk_encryption",
            "false",
        ) => (
            "tf-unencrypted-storage",
            Medium,
            "Encryption is switched off: whoever gets the disk, a snapshot or the traffic gets the data.",
            "Set it to true; it cannot be changed later without moving the data.",
        ),
        ("publicly_accessible", "true") => (
            "tf-public-database",
            High,
            "The database gets a public address: one weak password is all between it and the internet.",
            "Set it to false, and reach it through the private network, a tunnel or a bastion.",
        ),
        ("deletion_protection" | "prevent_destroy" | "deletion_protection_enabled", "false")
        | ("skip_final_snapshot" | "force_destroy", "true") => (
            "tf-deletion-protection-off",
            Medium,
            "One wrong plan can now delete the data, with nothing to restore it from.",
            "Keep the protection on in production, and switch it off in a change of its own when it has to go.",
        ),
        ("source", _)
            if block.header.first().is_some_and(|word| word == "module") && is_unpinned_module(value) =>
        {
            (
                "tf-unpinned-module",
                Medium,
                "Whoever controls that repository changes what is applied here.",
                "Add a revision: `?ref=<tag or commit>`.",
            )
        }
        ("policy_arn", "arn:aws:iam::aws:policy/AdministratorAccess")
        | ("role", "roles/owner" | "roles/editor") => (
            "tf-iam-wildcard",
            High,
            "This gives every right, on everything, also on what is added later.",
            "Give the roles or actions that are used.",
        ),
        _ => return,
    };
    if let Some(line) = attribute.added_with(&["allUsers", "allAuthenticatedUsers"]) {
        sink.report(source.at(rule, severity, line, message, suggestion));
    }
}

fn is_unpinned_module(value: &str) -> bool {
    let git = ["git::", "git@", "github.com/", "bitbucket.org/"]
        .iter()
        .any(|start| value.starts_with(start));
    git && !value.contains("ref=")
}

/// Resources whose storage is not encrypted unless the named attribute says so.
fn unencrypted<'a>(source: &Source<'a>, block: &Block<'a>, sink: &mut Sink<'a>) {
    let (kind, attribute) = match block.header.get(1).map(String::as_str) {
        Some("aws_db_instance" | "aws_rds_cluster") => ("database", "storage_encrypted"),
        Some("aws_ebs_volume") => ("volume", "encrypted"),
        _ => return,
    };
    let derived = [
        "snapshot_identifier",
        "snapshot_id",
        "replicate_source_db",
        "kms_key_id",
    ];
    if !block.closed
        || block.header[0] != "resource"
        || block.value(attribute).is_some()
        || derived.iter().any(|name| block.value(name).is_some())
    {
        return;
    }
    if let Some(line) = block.line.filter(|line| line.added) {
        sink.report(source.at(
            "tf-unencrypted-storage",
            Medium,
            line,
            format!("This {kind} is not encrypted: `{attribute}` is not set, and it is off by default."),
            "Set it to true; it cannot be changed later without moving the data.",
        ));
    }
}

const EVERYWHERE: &[&str] = &["0.0.0.0/0", "::/0"];

/// Ports behind which administration or data waits.
const SENSITIVE: &[u32] = &[
    21, 22, 23, 135, 139, 445, 1433, 1521, 2049, 2375, 2376, 2379, 3306, 3389, 5432, 5601, 5900, 5985, 5986,
    6379, 6443, 8500, 9042, 9092, 9200, 9300, 10250, 11211, 27017, 27018,
];

fn ingress<'a>(
    source: &Source<'a>,
    blocks: &[Block<'a>],
    at: usize,
    attribute: &Attribute<'a>,
    sink: &mut Sink<'a>,
) {
    const NAMES: &[&str] = &[
        "cidr_blocks",
        "ipv6_cidr_blocks",
        "cidr_ipv4",
        "cidr_ipv6",
        "source_ranges",
        "source_addresses",
        "source_address_prefix",
        "source_address_prefixes",
    ];
    let value = attribute.value.trim_matches('"');
    let anybody = EVERYWHERE
        .iter()
        .any(|range| attribute.value.contains(&format!("\"{range}\"")))
        || (attribute.name.starts_with("source_address_prefix") && matches!(value, "*" | "Internet"));
    let block = &blocks[at];
    if !NAMES.contains(&attribute.name.as_str()) || !anybody || is_outgoing(block) {
        return;
    }
    // Google's firewall keeps ports in inner blocks.
    let inner = block.children.iter().take(PORTS_MAX).map(|child| &blocks[*child]);
    let inner = inner.filter(|inner| inner.header.first().is_some_and(|word| word == "allow"));
    let ranges: Vec<Option<(u32, u32)>> = std::iter::once(block).chain(inner).flat_map(ports).collect();
    let reach = |(low, high): (u32, u32)| SENSITIVE.iter().any(|port| (low..=high).contains(port));
    let severity = if ranges.iter().flatten().any(|range| reach(*range)) {
        High
    } else if ranges.is_empty() {
        Medium
    } else {
        return;
    };
    let Some(line) = attribute.added_with(EVERYWHERE) else {
        return;
    };
    let message = if severity == High {
        "Every address on the internet can reach a port for administration or data."
    } else {
        "Every address on the internet is let in; the ports are not visible in this change."
    };
    sink.report(source.at("tf-open-ingress", severity, line, message,
        "Let in the addresses or security groups that need it; reach administration through a tunnel or bastion."));
}

/// The most port ranges, and blocks of them, that are looked at for one rule.
const PORTS_MAX: usize = 100;

fn is_outgoing(block: &Block<'_>) -> bool {
    let header = block
        .header
        .iter()
        .any(|word| word.contains("egress") || word.contains("outbound") || word.contains("route"));
    let direction = block
        .value("type")
        .or(block.value("direction"))
        .unwrap_or("")
        .to_ascii_lowercase();
    let denied = block
        .value("access")
        .is_some_and(|access| access.eq_ignore_ascii_case("deny"))
        || block.value("action") == Some("deny");
    header || denied || direction == "egress" || direction == "outbound"
}

/// The ranges of ports that a block opens. None for a value that is a variable.
fn ports(block: &Block<'_>) -> Vec<Option<(u32, u32)>> {
    let mut found = Vec::new();
    let protocol = block
        .value("protocol")
        .or(block.value("ip_protocol"))
        .unwrap_or("");
    if matches!(protocol, "-1" | "all") {
        found.push(Some((0, 65_535)));
    }
    if matches!(protocol, "icmp" | "icmpv6") {
        found.push(None);
    }
    let number = |name: &str| block.value(name).map(|value| value.parse::<u32>().ok());
    if let (Some(from), Some(to)) = (number("from_port"), number("to_port")) {
        found.push(from.zip(to));
    }
    for name in [
        "port_range",
        "destination_port_range",
        "destination_port_ranges",
        "ports",
    ] {
        let Some(value) = block.value(name) else { continue };
        for part in value
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '*'))
            .filter(|part| !part.is_empty())
            .take(PORTS_MAX)
        {
            found.push(match part.split_once('-') {
                _ if matches!(part, "all" | "*") => Some((0, 65_535)),
                Some((low, high)) => low.parse().ok().zip(high.parse().ok()),
                None => part.parse().ok().map(|port| (port, port)),
            });
        }
    }
    found
}

/// Statements that allow `*` on `*`, in HCL or JSON. Looked for line by line, since policies come in heredocs,
/// `jsonencode` and documents alike: a statement ends where its bracket closes or another effect begins.
fn wildcard<'a>(source: &Source<'a>, lines: &[NewLine<'a>], sink: &mut Sink<'a>) {
    let (mut action, mut resource, mut deny): (Option<NewLine<'a>>, Option<NewLine<'a>>, bool) =
        (None, None, false);
    let mut flush =
        |action: &mut Option<NewLine<'a>>, resource: &mut Option<NewLine<'a>>, deny: &mut bool| {
            if let (Some(action), Some(resource), false) = (&action, &resource, *deny)
                && let Some(line) = [action, resource].into_iter().find(|line| line.added)
            {
                sink.report(source.at(
                    "tf-iam-wildcard",
                    High,
                    *line,
                    "This allows every action on every resource, also on what is added later.",
                    "List the actions that are used, on the resources that they are used on.",
                ));
            }
            (*action, *resource, *deny) = (None, None, false);
        };
    for line in lines {
        let squeezed: String = line
            .text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '"' | '[' | ']' | ','))
            .collect();
        let lower = squeezed.to_ascii_lowercase().replace(':', "=");
        match lower.as_str() {
            "action=*" | "actions=*" => action = Some(*line),
            "resource=*" | "resources=*" => resource = Some(*line),
            "effect=deny" => deny = true,
            "}" | "}{" | "statement{" | "})" => flush(&mut action, &mut resource, &mut deny),
            _ => {}
        }
    }
    flush(&mut action, &mut resource, &mut deny);
}
