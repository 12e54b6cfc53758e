//! Tidies up after a test process however it ends.

use anyhow::Context;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A temporary directory that is removed when this is dropped *or the process dies*, after the fleet or the Postgres
/// that may run in it has been ended. A small shell waits on a pipe that only this process holds open.
#[derive(Debug)]
pub struct Janitor {
    shell: Child,
    dir: std::path::PathBuf,
}

const SCRIPT: &str = r#"
cat >/dev/null
if [ -f "$1/run/up.json" ]; then
  up=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$1/run/up.json")
  kill -CONT "$up" 2>/dev/null
  kill -TERM "$up" 2>/dev/null
  i=0
  while kill -0 "$up" 2>/dev/null && [ $i -lt 400 ]; do sleep 0.1; i=$((i+1)); done
  kill -KILL "$up" 2>/dev/null
fi
file="$1/postgres/data/postmaster.pid"
if [ -f "$file" ]; then
  pid=$(head -n 1 "$file")
  kill -QUIT "$pid" 2>/dev/null
  i=0
  while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done
fi
# Deployed services outlive their fleet on purpose, and live in its directory.
for process in /proc/[0-9]*; do
  case "$(readlink "$process/cwd" 2>/dev/null)" in
    "$1"/*) kill -KILL "${process#/proc/}" 2>/dev/null ;;
  esac
done
i=0
while [ -e "$1" ] && [ $i -lt 20 ]; do rm -rf "$1" 2>/dev/null || sleep 0.1; i=$((i+1)); done
"#;

impl Janitor {
    /// Makes the directory. Other users may pass through it, because as root the database runs as one of them.
    pub fn new(prefix: &str) -> anyhow::Result<Janitor> {
        let dir = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .context("cannot make a temporary directory")?;
        let dir = dir.keep();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))
            .context("cannot open the temporary directory to the database's user")?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "janitor"])
            .arg(&dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh to tidy up afterwards")?;
        Ok(Janitor { shell, dir })
    }

    /// Leaves the directory where it is; what runs in it must have been ended.
    pub fn keep(mut self) -> std::path::PathBuf {
        let _ = self.shell.kill();
        self.dir.clone()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_live_in_the_directory_go_with_it() {
        let janitor = Janitor::new("guildhall-janitor-").unwrap();
        std::fs::create_dir(janitor.dir().join("release")).unwrap();
        let mut service = Command::new("sleep")
            .arg("60")
            .current_dir(janitor.dir().join("release"))
            .spawn()
            .unwrap();
        drop(janitor);
        if cfg!(target_os = "linux") {
            assert!(!service.wait().unwrap().success());
        } else {
            service.kill().unwrap();
            service.wait().unwrap();
        }
    }

    #[test]
    fn the_directory_goes_with_the_janitor() {
        let janitor = Janitor::new("guildhall-janitor-").unwrap();
        let dir = janitor.dir().to_path_buf();
        std::fs::write(dir.join("file"), "x").unwrap();
        drop(janitor);
        assert!(!dir.exists());
    }
}
