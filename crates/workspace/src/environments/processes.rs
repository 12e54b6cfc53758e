//! What the kernel says about processes, read from /proc.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A process and nothing else: ids are reused, but not together with start time and boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it was started, in clock ticks since the boot.
    start_ticks: u64,
    /// The boot it belongs to.
    boot: String,
}

struct Stat {
    state: u8,
    session: u32,
    start_ticks: u64,
}

impl Identity {
    /// The process that has this id now, when there is one that has not ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|stat| !ended(stat))?;
        Some(Self {
            pid,
            start_ticks: stat.start_ticks,
            boot: boot(),
        })
    }

    /// The child that was just spawned and not waited for: it exists, though it may have ended already.
    pub fn of_child(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: stat(pid)?.start_ticks,
            boot: boot(),
        })
    }

    /// Whether this very process is still there.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Whether one of this process's session listens on a TCP port of the loopback interface. `None` when the kernel
    /// does not say who listens there.
    pub fn listens_on(&self, port: u16) -> Option<bool> {
        let sockets = listening_sockets(port);
        if sockets.is_empty() {
            return None;
        }
        let ours = pids().filter(|pid| {
            *pid == self.pid || stat(*pid).is_some_and(|stat| stat.session == self.pid && !ended(&stat))
        });
        let mut readable = false;
        for pid in ours {
            let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
                continue;
            };
            readable = true;
            let held = descriptors
                .flatten()
                .filter_map(|entry| fs::read_link(entry.path()).ok());
            if held
                .map(|target| target.to_string_lossy().into_owned())
                .any(|target| sockets.contains(&target))
            {
                return Some(true);
            }
        }
        readable.then_some(false)
    }
}

/// The processes in whose first environment `name=value` stands.
pub fn with_variable(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    };
    pids()
        .filter(marked)
        .filter(|pid| stat(*pid).is_some_and(|stat| !ended(&stat)))
        .collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn ended(stat: &Stat) -> bool {
    matches!(stat.state, b'Z' | b'X')
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also spaces and parentheses.
    let after = text.iter().rposition(|byte| *byte == b')')?;
    let text = String::from_utf8_lossy(&text[after + 1..]).into_owned();
    let fields: Vec<&str> = text.split_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The listening sockets on a port, as /proc/PID/fd names them.
fn listening_sockets(port: u16) -> Vec<String> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(Path::new(table)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let listens = *state == "0A" && local.ends_with(&format!(":{port:04X}"));
            if listens {
                sockets.push(format!("socket:[{inode}]"));
            }
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env("MARK", "x1")
            .spawn()
            .unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        let mut other = identity.clone();
        other.start_ticks += 1;
        assert!(!other.is_alive(), "another process with the same id is not it");
        // The kernel shows the new program's environment a moment after it has begun to execute it.
        while with_variable("MARK", "x1") != [child.id()] {
            assert!(identity.is_alive());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!identity.is_alive());
        assert!(with_variable("MARK", "x1").is_empty());
    }

    #[test]
    fn the_listener_of_a_port_is_found_by_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(
            Identity::of(std::process::id()).unwrap().listens_on(port),
            Some(true)
        );
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let stranger = Identity::of(child.id()).unwrap();
        assert_eq!(stranger.listens_on(port), Some(false));
        drop(listener);
        assert_eq!(stranger.listens_on(port), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
