//! What to do about missing packages: install them where that is possible without asking, else say how.

use crate::error::{Attempt, Error, Result};
use crate::{find, os};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Keeps Debian's postgresql package from making and starting a cluster of its own.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/guildhall.conf";
/// Keeps Debian packages from starting services while they are installed.
const NO_START: &str = "/usr/sbin/policy-rc.d";

/// Something that the project needs from the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The database server.
    Postgres,
    /// The doorbell server.
    Redis,
    /// pgTAP, plpgsql_check and pg_prove, for the SQL tests.
    SqlTests,
}

/// The commands that install everything, for each system that we know.
pub fn hint() -> String {
    "install Postgres 13 or newer and Redis or Valkey:\n\
     Debian/Ubuntu:  sudo apt-get install --no-install-recommends postgresql redis-server\n\
     Fedora:         sudo dnf install postgresql-server postgresql-contrib valkey\n\
     macOS:          brew install postgresql@17 redis"
        .into()
}

fn hint_sql_tests(major: u32) -> String {
    format!(
        "install the SQL test tools for Postgres {major}:\n\
         Debian/Ubuntu:  sudo apt-get install --no-install-recommends postgresql-{major}-pgtap \
         postgresql-{major}-plpgsql-check libtap-parser-sourcehandler-pgtap-perl\n\
         Fedora:         sudo dnf install pgtap plpgsql_check perl-TAP-Parser-SourceHandler-pgTAP\n\
         macOS:          brew install pgtap cpanminus && cpanm TAP::Parser::SourceHandler::pgTAP"
    )
}

/// Which of `wanted` is not installed.
pub fn missing(wanted: &[Need]) -> Vec<Need> {
    wanted
        .iter()
        .copied()
        .filter(|need| match need {
            Need::Postgres => find::postgres(None).is_err(),
            Need::Redis => find::redis().is_err(),
            Need::SqlTests => !sql_tests_installed(),
        })
        .collect()
}

fn sql_tests_installed() -> bool {
    let Ok(postgres) = find::postgres(None) else {
        return false;
    };
    let Ok(output) = Command::new(postgres.program("pg_config"))
        .arg("--sharedir")
        .output()
    else {
        return false;
    };
    let extensions = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("extension");
    ["pgtap.control", "plpgsql_check.control"]
        .iter()
        .all(|file| extensions.join(file).exists())
        && Command::new("pg_prove")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
}

/// Installs what is missing of `wanted`. `say` gets each line for people before the thing is done.
///
/// Only on Debian and Ubuntu, and only as root or with sudo that asks no password; otherwise an error whose hint
/// has the exact commands. Neither a system-wide cluster nor a service is started.
pub fn ensure(wanted: &[Need], say: &mut dyn FnMut(&str)) -> Result<()> {
    let servers: Vec<Need> = missing(wanted)
        .into_iter()
        .filter(|need| *need != Need::SqlTests)
        .collect();
    if !servers.is_empty() {
        let packages: Vec<String> = servers
            .iter()
            .map(|need| {
                if *need == Need::Postgres {
                    "postgresql"
                } else {
                    "redis-server"
                }
                .to_string()
            })
            .collect();
        apt_install(&packages, &hint(), say)?;
    }
    // The names of the test packages carry the version that is installed by now.
    if missing(wanted).contains(&Need::SqlTests) {
        let major = find::postgres(None)?.major;
        let packages = [
            format!("postgresql-{major}-pgtap"),
            format!("postgresql-{major}-plpgsql-check"),
            "libtap-parser-sourcehandler-pgtap-perl".to_string(),
        ];
        apt_install(&packages, &hint_sql_tests(major), say)?;
    }
    match missing(wanted).as_slice() {
        [] => Ok(()),
        left => Err(Error::new(format!(
            "{left:?} cannot be found although its packages were installed"
        ))
        .hint("set GUILDHALL_POSTGRES_BIN or GUILDHALL_REDIS_SERVER to where they are")),
    }
}

/// `[]` as root, `["sudo", "-n"]` when sudo asks no password, `None` otherwise.
fn privilege() -> Option<Vec<&'static str>> {
    if os::effective_uid() == 0 {
        return Some(Vec::new());
    }
    let works = Command::new("sudo")
        .args(["-n", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    works
        .is_ok_and(|status| status.success())
        .then(|| vec!["sudo", "-n"])
}

fn apt_install(packages: &[String], hint: &str, say: &mut dyn FnMut(&str)) -> Result<()> {
    let list = packages.join(" ");
    let refuse = |why: &str| Err(Error::new(format!("cannot install {list}")).cause(why).hint(hint));
    if !Path::new("/usr/bin/apt-get").exists() {
        return refuse("only apt-get (Debian, Ubuntu) is used by itself on this system");
    }
    let Some(privilege) = privilege() else {
        return refuse("this is not root, and sudo asks for a password");
    };
    say(&format!("installing with apt-get: {list}"));
    say("  without starting any service, and without making a system-wide Postgres cluster");
    let root = Root { privilege };
    let guards = Guards::set(&root, packages.iter().any(|name| name == "postgresql"))?;
    let done = root.run("apt-get", &["update", "-qq"]).and_then(|()| {
        let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
        args.extend(["-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"]);
        args.extend(packages.iter().map(String::as_str));
        root.run("apt-get", &args)
    });
    guards.lift(&root);
    done.map_err(|error| error.hint(hint))?;
    if packages.iter().any(|name| name == "redis-server") && Path::new("/run/systemd/system").exists() {
        say("  and switching off the redis-server service, which would begin at the next boot");
        root.run("systemctl", &["disable", "--quiet", "redis-server"])?;
    }
    Ok(())
}

/// Runs commands as root.
struct Root {
    privilege: Vec<&'static str>,
}

impl Root {
    fn run(&self, program: &str, args: &[&str]) -> Result<()> {
        let mut words: Vec<&str> = self.privilege.clone();
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", program]);
        words.extend(args);
        let mut command = Command::new(words[0]);
        // Data belongs on standard output; apt-get's chatter does not.
        let output = command
            .args(&words[1..])
            .stdin(Stdio::null())
            .output()
            .attempt(|| format!("cannot run {program}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let lines: Vec<&str> = said.trim().lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        Err(Error::new(format!(
            "{program} {} failed with {}",
            args.join(" "),
            output.status
        ))
        .cause(tail))
    }

    fn write(&self, file: &str, text: &str, mode: &str) -> Result<()> {
        let script =
            format!("mkdir -p \"$(dirname {file})\" && printf '{text}' > {file} && chmod {mode} {file}");
        self.run("sh", &["-c", &script])
    }
}

/// Files that hold back packages while they are installed; only those that were not there before.
struct Guards {
    written: Vec<&'static str>,
}

impl Guards {
    fn set(root: &Root, postgres: bool) -> Result<Guards> {
        let mut written = Vec::new();
        if !Path::new(NO_START).exists() {
            root.write(NO_START, "#!/bin/sh\\nexit 101\\n", "755")?;
            written.push(NO_START);
        }
        if postgres && !Path::new(NO_CLUSTER).exists() {
            root.write(NO_CLUSTER, "create_main_cluster = false\\n", "644")?;
            written.push(NO_CLUSTER);
        }
        Ok(Guards { written })
    }

    fn lift(self, root: &Root) {
        for file in self.written {
            // A file left behind only keeps later installations quiet; it is not worth failing for.
            let _ = root.run("rm", &["-f", file]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_a_command_for_each_system() {
        for system in ["apt-get install", "dnf install", "brew install"] {
            assert!(hint().contains(system));
            assert!(hint_sql_tests(15).contains(system));
        }
        assert!(hint_sql_tests(15).contains("postgresql-15-pgtap"));
    }
}
