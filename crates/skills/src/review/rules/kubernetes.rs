//! Kubernetes manifests and Helm charts.

use super::actions::is_workflow;
use super::container::{is_compose, is_unpinned};
use super::yaml::{Entry, children, entries, inline_items};
use crate::review::Severity::{High, Low, Medium};
use crate::review::sink::Sink;
use crate::review::source::Source;
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
        category: Category::Kubernetes,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("k8s-privileged", "Privileged container", High, "A privileged container has every right on its node."),
    rule("k8s-host-namespace", "Namespaces of the host", High, "The pod shares the network, processes or memory of its node."),
    rule("k8s-host-path", "Folder of the host mounted", Medium, "The pod reads or writes the file system of its node."),
    rule("k8s-unpinned-image", "Image without a version", Medium, "An image is named without a tag or by latest, so a restart may run another one."),
    rule("k8s-run-as-root", "Container runs as root", Medium, "The container is told to run as root."),
    rule("k8s-privilege-escalation", "Rights can grow", Medium, "A process may gain more rights than its parent, for example by a set-uid program."),
    rule("k8s-dangerous-capability", "Dangerous capability", High, "A Linux capability is added that amounts to root on the node or its network."),
    rule("k8s-no-limits", "No resource limits", Low, "A new workload has no limits: one leak takes the node's memory from all others."),
    rule("k8s-plain-secret", "Secret in a manifest", High, "A Secret is committed with its values; base64 hides nothing."),
    rule("k8s-wildcard-rbac", "Rights on everything", High, "A role allows every verb, or a binding gives cluster-admin."),
];

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let yaml = matches!(source.extension(), "yml" | "yaml" | "tpl");
    if !yaml || is_workflow(source) || is_compose(source) || source.traits.docs || source.traits.test {
        return;
    }
    let manifest = is_manifest(source);
    for lines in source.regions() {
        let all = entries(&lines);
        for (at, entry) in all.iter().enumerate() {
            settings(source, entry, sink);
            if manifest {
                in_manifest(source, &all, at, sink);
            }
        }
        if manifest {
            let starts: Vec<u32> = lines
                .iter()
                .filter(|line| line.text.starts_with("---"))
                .map(|line| line.number)
                .collect();
            for document in documents(&all, &starts) {
                plain_secret(source, document, sink);
                if source.whole() {
                    limits(source, document, sink);
                }
            }
        }
    }
}

fn is_manifest(source: &Source<'_>) -> bool {
    const FOLDERS: &[&str] = &[
        "k8s",
        "kubernetes",
        "manifests",
        "helm",
        "charts",
        "chart",
        "kustomize",
        "overlays",
    ];
    let folder = source.lower_path.split('/').any(|part| FOLDERS.contains(&part));
    folder
        || source
            .file
            .lines()
            .any(|line| line.text.starts_with("apiVersion:"))
}

/// Keys that mean one thing only, wherever they stand.
fn settings<'a>(source: &Source<'a>, entry: &Entry<'a>, sink: &mut Sink<'a>) {
    let (rule, severity, message, suggestion) = match (entry.key, entry.value) {
        ("privileged", "true") => (
            "k8s-privileged",
            High,
            "A privileged container has every right on its node, and so has whoever breaks into it.",
            "Leave it out; add the single capability that is needed, if any.",
        ),
        ("hostNetwork" | "hostPID" | "hostIPC", "true") => (
            "k8s-host-namespace",
            High,
            "The pod sees the network, processes or memory of its node and of all other pods there.",
            "Leave it out; use a Service or a port, and an agent made for the purpose where the node must be seen.",
        ),
        ("runAsUser" | "runAsGroup", "0") | ("runAsNonRoot", "false") => (
            "k8s-run-as-root",
            Medium,
            "The container runs as root.",
            "Set runAsNonRoot: true and a runAsUser above 0, and let the image own its files accordingly.",
        ),
        ("allowPrivilegeEscalation", "true") => (
            "k8s-privilege-escalation",
            Medium,
            "A process may gain more rights than the one that started it.",
            "Set allowPrivilegeEscalation: false.",
        ),
        _ => return,
    };
    if entry.line.added {
        sink.report(source.at(rule, severity, entry.line, message, suggestion));
    }
}

/// Keys that need a manifest around them to mean what they seem to.
fn in_manifest<'a>(source: &Source<'a>, all: &[Entry<'a>], at: usize, sink: &mut Sink<'a>) {
    let entry = &all[at];
    let value_file = source.name().starts_with("values");
    let unpinned = match entry.key {
        "image" => is_unpinned(entry.value),
        "tag" => value_file && entry.value == "latest",
        _ => false,
    };
    if unpinned && entry.line.added {
        sink.report(source.at(
            "k8s-unpinned-image",
            Medium,
            entry.line,
            "Pods of one workload may run different images, and a roll-back brings nothing back.",
            "Name a version, or better a digest: `image:1.2.3@sha256:...`.",
        ));
    }
    match entry.key {
        "hostPath" => host_path(source, entry, children(all, at), sink),
        "add" | "verbs" => list(source, entry, list_items(all, at), sink),
        "name" if entry.value == "cluster-admin" && entry.line.added => sink.report(wildcard(source, entry)),
        _ => {}
    }
}

fn host_path<'a>(source: &Source<'a>, entry: &Entry<'a>, inside: &[Entry<'a>], sink: &mut Sink<'a>) {
    const SENSITIVE: &[&str] = &[
        "/etc",
        "/proc",
        "/root",
        "/var/run",
        "/run",
        "/var/lib/kubelet",
        "/var/lib/docker",
        "/sys",
        "/dev",
    ];
    let path = inside.iter().find(|child| child.key == "path");
    let Some(line) = [Some(entry), path]
        .into_iter()
        .flatten()
        .find(|found| found.line.added)
    else {
        return;
    };
    let value = path.map_or("", |path| path.value);
    let sensitive = value == "/"
        || SENSITIVE
            .iter()
            .any(|start| value == *start || value.starts_with(&format!("{start}/")));
    sink.report(source.at(
        "k8s-host-path",
        if sensitive { High } else { Medium },
        line.line,
        "The pod reaches into the file system of its node, past every other wall.",
        "Use a volume made for the purpose: emptyDir, a ConfigMap, a Secret, a persistent volume claim.",
    ));
}

/// The items of a list, in one line or below, with the entry that each stands in.
fn list_items<'e, 'a>(all: &'e [Entry<'a>], at: usize) -> Vec<(&'e Entry<'a>, &'e str)> {
    let entry = &all[at];
    let mut items: Vec<(&Entry<'a>, &str)> = inline_items(entry.value).map(|item| (entry, item)).collect();
    let below = all[at + 1..]
        .iter()
        .take_while(|child| child.key.is_empty() && child.item && child.indent >= entry.indent);
    items.extend(below.map(|child| (child, child.value)));
    items
}

fn list<'a>(source: &Source<'a>, entry: &Entry<'a>, items: Vec<(&Entry<'a>, &str)>, sink: &mut Sink<'a>) {
    const CAPABILITIES: &[&str] = &[
        "ALL",
        "SYS_ADMIN",
        "SYS_PTRACE",
        "SYS_MODULE",
        "SYS_RAWIO",
        "NET_ADMIN",
        "DAC_READ_SEARCH",
        "BPF",
    ];
    for (place, item) in items.into_iter().filter(|(place, _)| place.line.added) {
        if entry.key == "verbs" && item == "*" {
            let mut report = wildcard(source, place);
            report.severity = Medium;
            sink.report(report);
        }
        if entry.key == "add" && CAPABILITIES.contains(&item.trim_start_matches("CAP_")) {
            sink.report(source.at(
                "k8s-dangerous-capability",
                High,
                place.line,
                "This capability amounts to root on the node or its network.",
                "Drop ALL, and add only what the program was seen to need.",
            ));
        }
    }
}

fn wildcard<'a>(source: &Source<'a>, entry: &Entry<'a>) -> crate::review::sink::Report<'a> {
    source.at(
        "k8s-wildcard-rbac",
        High,
        entry.line,
        "Whoever holds this role may do everything, also what is added to the cluster later.",
        "List the verbs and resources that are used; bind a Role in one namespace instead of a ClusterRole.",
    )
}

/// The documents of a region, told apart by the lines on which `---` stands.
fn documents<'e, 'a>(all: &'e [Entry<'a>], starts: &[u32]) -> Vec<&'e [Entry<'a>]> {
    let mut documents = Vec::new();
    let mut from = 0;
    for start in starts {
        let to = all.partition_point(|entry| entry.line.number <= *start);
        documents.push(&all[from..to.max(from)]);
        from = to.max(from);
    }
    documents.push(&all[from..]);
    documents
}

fn kind<'a>(document: &[Entry<'a>]) -> &'a str {
    document
        .iter()
        .find(|entry| entry.indent == 0 && entry.key == "kind")
        .map_or("", |entry| entry.value)
}

fn plain_secret<'a>(source: &Source<'a>, document: &[Entry<'a>], sink: &mut Sink<'a>) {
    let encrypted = document
        .iter()
        .any(|entry| entry.key == "sops" || entry.value.contains("ENC["));
    if kind(document) != "Secret" || encrypted {
        return;
    }
    for (at, _) in document
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry.key, "data" | "stringData") && entry.indent == 0)
    {
        let real = |entry: &&Entry<'a>| {
            let block = !entry.block.is_empty();
            let literal = entry.value.len() >= 4 && !entry.value.contains(['{', '$', '<']);
            entry.line.added && (block || literal)
        };
        if let Some(entry) = children(document, at).iter().find(real) {
            let mut report = source.at(
                "k8s-plain-secret",
                High,
                entry.line,
                "This Secret carries its values; base64 hides nothing from whoever can read the repository.",
                "Keep it in a secret store (External Secrets) or encrypted (SOPS, Sealed Secrets), and revoke what was committed.",
            );
            if let Some(from) = entry.line.text.find(entry.value) {
                report.focus = from..from + entry.value.len();
                report.secret = true;
            }
            sink.report(report);
        }
    }
}

fn limits<'a>(source: &Source<'a>, document: &[Entry<'a>], sink: &mut Sink<'a>) {
    let workload = [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Pod",
        "ReplicaSet",
    ]
    .contains(&kind(document));
    let template = document
        .iter()
        .any(|entry| entry.key == "resources" && entry.value.contains("{{"))
        || document.iter().any(|entry| entry.line.text.contains("toYaml"));
    let limited = document.iter().any(|entry| entry.key == "limits");
    let containers = document.iter().find(|entry| entry.key == "containers");
    if let Some(containers) = containers.filter(|_| workload && !limited && !template) {
        sink.report(source.at(
            "k8s-no-limits",
            Low,
            containers.line,
            "No container here has resource limits: one leak takes the node's memory from all others.",
            "Set resources.requests and resources.limits.memory for each container.",
        ));
    }
}
