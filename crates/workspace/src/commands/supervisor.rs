//! The process between the server and a command. It is the only place that speaks to the kernel without a net.
//!
//! server ── supervisor ── command ── whatever the command starts
//!
//! The supervisor is a fork of the server that never executes another program. As a "child subreaper" it inherits
//! every orphan below it, so that even a process which took a session of its own stays in its reach. It ends all of
//! them when the command ends, when it is told to, and when the server dies in whatever way: the kernel then sends
//! it SIGTERM. It is asked by signals: USR1 means "ask the command to end", TERM means "end everything now".
#![allow(unsafe_code)] // fork, prctl and signals have no safe form; everything below is async-signal-safe.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Asks a supervisor to send the command's process group SIGTERM.
pub const ASK_TO_END: i32 = libc::SIGUSR1;
/// Asks a supervisor to kill everything below it.
pub const END_ALL: i32 = libc::SIGTERM;

/// Makes `command` run below a supervisor of its own. The spawned child's id is the supervisor's. When everything has
/// ended, the supervisor writes the command's raw wait status (four bytes, native order) to `status`.
///
/// The kernel watches the *thread* that spawns: it must stay alive for as long as the command may run.
pub fn supervise(command: &mut Command, status: &impl AsRawFd) {
    let status = status.as_raw_fd();
    let server = std::process::id() as libc::pid_t;
    // SAFETY: the closure runs between fork and exec in a single-threaded process and uses only async-signal-safe
    // functions, no allocation and no locks.
    unsafe {
        command.pre_exec(move || split(server, status));
    }
}

/// Makes `command` the leader of a session of its own, so that it outlives the server and its terminal.
pub fn detach(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(())
            }
        });
    }
}

/// Sends a signal to a process; `false` when there is no such process.
pub fn signal(pid: u32, signal: i32) -> bool {
    // SAFETY: kill has no memory effects. Id 0 and ids beyond pid_t would mean process groups; they are refused.
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid > 1 => unsafe { libc::kill(pid, signal) == 0 },
        _ => false,
    }
}

/// Sends a signal to the process group of this leader; `false` when there is none.
pub fn signal_group(leader: u32, signal: i32) -> bool {
    // SAFETY: as for `signal`.
    match libc::pid_t::try_from(leader) {
        Ok(leader) if leader > 1 => unsafe { libc::kill(-leader, signal) == 0 },
        _ => false,
    }
}

/// Waits until one of the descriptors can be read or has ended; says which. A negative descriptor is passed over.
pub fn wait_readable(descriptors: [RawFd; 2], timeout: std::time::Duration) -> io::Result<[bool; 2]> {
    let mut polled = descriptors.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = i32::try_from(timeout.as_millis().max(1)).unwrap_or(i32::MAX);
    // SAFETY: the array is valid for its length.
    if unsafe { libc::poll(polled.as_mut_ptr(), 2, timeout) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok([false; 2]);
    }
    Ok(polled.map(|fd| fd.revents != 0))
}

extern "C" fn wake(_: libc::c_int) {}

/// Runs in the forked child: forks once more, returns in the command's process and never in the supervisor's.
unsafe fn split(server: libc::pid_t, status: RawFd) -> io::Result<()> {
    unsafe {
        libc::setsid();
        #[cfg(target_os = "linux")]
        {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
            libc::prctl(libc::PR_SET_NAME, c"guildhall-super".as_ptr());
        }
        let mut watched: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut watched);
        for signal in [libc::SIGCHLD, ASK_TO_END, END_ALL] {
            libc::sigaddset(&mut watched, signal);
            // A handler, even one that does nothing, keeps the signal from being dropped while it is blocked.
            libc::signal(signal, wake as extern "C" fn(libc::c_int) as libc::sighandler_t);
        }
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_BLOCK, &watched, &mut before);
        // From here on the server's death is noticed; it may have come before.
        if libc::getppid() != server {
            libc::_exit(1);
        }
        let supervisor = libc::getpid();
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                libc::setsid();
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if libc::getppid() != supervisor {
                    libc::_exit(1);
                }
                keep_descriptors();
                // Whoever started the server in the background (a shell's `&`, nohup) may have had these ignored, and an
                // ignored signal stays ignored in the command.
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                libc::sigprocmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
                Ok(())
            }
            command => watch(command, status, &watched),
        }
    }
}

/// Lets no descriptor but the standard ones outlive the coming exec: whoever started the server may have left some
/// open for it.
unsafe fn keep_descriptors() {
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

unsafe fn watch(command: libc::pid_t, status: RawFd, watched: &libc::sigset_t) -> ! {
    unsafe {
        // Every descriptor of the server is here too; held open, they would keep pipes and locks from ending.
        libc::dup2(status, 3);
        for standard in 0..3 {
            libc::close(standard);
        }
        #[cfg(target_os = "linux")]
        let closed = libc::syscall(libc::SYS_close_range, 4u32, u32::MAX, 0u32) == 0;
        #[cfg(not(target_os = "linux"))]
        let closed = false;
        if !closed {
            let limit = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 65_536) as RawFd;
            for descriptor in 4..limit {
                libc::close(descriptor);
            }
        }
        let mut ended: Option<libc::c_int> = None;
        while ended.is_none() {
            let mut signal = 0;
            if libc::sigwait(watched, &mut signal) != 0 {
                break;
            }
            match signal {
                ASK_TO_END => {
                    libc::kill(-command, libc::SIGTERM);
                }
                libc::SIGCHLD => loop {
                    let mut raw = 0;
                    match libc::waitpid(-1, &mut raw, libc::WNOHANG) {
                        pid if pid == command => ended = Some(raw),
                        pid if pid > 0 => {}
                        _ => break,
                    }
                },
                _ => break,
            }
        }
        // The command's own end comes first; what it left behind must not change what is told of it.
        let mut raw = ended.unwrap_or(0);
        loop {
            kill_children(command, ended.is_none());
            let mut other = 0;
            match libc::waitpid(-1, &mut other, 0) {
                pid if pid == command => {
                    raw = other;
                    ended = Some(other);
                }
                pid if pid > 0 => {}
                _ if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
                _ => break,
            }
        }
        libc::write(3, (&raw const raw).cast(), size_of::<libc::c_int>());
        libc::_exit(0);
    }
}

/// Kills every direct child. Their children become ours, and the next round takes them.
unsafe fn kill_children(command: libc::pid_t, command_lives: bool) {
    unsafe {
        let list = libc::open(
            c"/proc/thread-self/children".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if list < 0 {
            if command_lives {
                libc::kill(-command, libc::SIGKILL);
            }
            return;
        }
        let mut buffer = [0u8; 512];
        let mut pid: libc::pid_t = 0;
        loop {
            let read = libc::read(list, buffer.as_mut_ptr().cast(), buffer.len());
            if read <= 0 {
                break;
            }
            for byte in &buffer[..read as usize] {
                if byte.is_ascii_digit() {
                    pid = pid.wrapping_mul(10).wrapping_add(libc::pid_t::from(byte - b'0'));
                } else {
                    if pid > 1 {
                        libc::kill(pid, libc::SIGKILL);
                    }
                    pid = 0;
                }
            }
        }
        libc::close(list);
    }
}
