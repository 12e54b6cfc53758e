//! The few calls that speak to the kernel directly, each behind a safe function.
#![allow(unsafe_code)] // kill, geteuid, isatty and prctl have no safe counterpart in std

use std::process::Command;

/// Signals that are sent to child processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ask to end.
    Term,
    /// Ask to end, as the keyboard does.
    Int,
    /// Ask to end at once.
    Quit,
    /// End without a chance to tidy up.
    Kill,
    /// Freeze.
    Stop,
    /// Thaw.
    Cont,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Term => libc::SIGTERM,
            Signal::Int => libc::SIGINT,
            Signal::Quit => libc::SIGQUIT,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Cont => libc::SIGCONT,
        }
    }
}

/// The effective user id of this process.
pub fn effective_uid() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() }
}

/// Sends a signal to one process. False when there is no such process or it may not be signalled.
pub fn signal(pid: u32, signal: Signal) -> bool {
    match libc::pid_t::try_from(pid) {
        // SAFETY: plain system call; 0 and negative ids, which mean groups, are excluded.
        Ok(pid) if pid > 0 => unsafe { libc::kill(pid, signal.number()) == 0 },
        _ => false,
    }
}

/// Sends a signal to every process of a group. False when there is none.
pub fn signal_group(group: u32, signal: Signal) -> bool {
    match libc::pid_t::try_from(group) {
        // SAFETY: plain system call; groups 0 and 1 (our own, everybody) are excluded.
        Ok(group) if group > 1 => unsafe { libc::kill(-group, signal.number()) == 0 },
        _ => false,
    }
}

/// Whether a process with this id exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let Ok(id) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 only checks.
    let there = id > 0
        && (unsafe { libc::kill(id, 0) } == 0
            || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM));
    there && !is_zombie(pid)
}

/// A dead child that nobody has waited for still has an id.
fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| rest.trim_start().starts_with('Z'))
        })
        .unwrap_or(false)
}

/// The command line of a process, words separated by spaces; `None` when there is no such process.
pub fn command_line(pid: u32) -> Option<String> {
    if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(
            String::from_utf8_lossy(&bytes)
                .replace('\0', " ")
                .trim()
                .to_string(),
        );
    }
    let output = Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Every living process that descends from `pid`, parents before children.
pub fn descendants(pid: u32) -> Vec<u32> {
    let pairs = process_table();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(
            pairs
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(child, _)| *child),
        );
        at += 1;
    }
    found.remove(0);
    found
}

/// (process, parent) of every process: from /proc where there is one, else from `ps`.
fn process_table() -> Vec<(u32, u32)> {
    let from_proc: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    if !from_proc.is_empty() {
        return from_proc;
    }
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .map(|output| output.stdout);
    String::from_utf8_lossy(&output.unwrap_or_default())
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect()
}

/// Makes the child of `command` receive `signal` when the thread that spawns it ends. Linux only; elsewhere nothing.
pub(crate) fn die_with_parent(command: &mut Command, signal: Signal) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let parent = std::process::id() as libc::pid_t;
        let number = signal.number() as libc::c_ulong;
        // SAFETY: prctl, getppid and the error constructor are async-signal-safe; nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, number) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                if libc::getppid() != parent {
                    return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, signal);
}
