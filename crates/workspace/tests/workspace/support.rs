//! A repository, a server over it, and a client that writes HTTP by hand.

use guildhall_workspace::{RunningWorkspace, WorkspaceOptions, serve};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "a-token-for-tests-0123456789";

/// A git repository with a work tree, in a temporary directory.
pub struct Repository {
    root: tempfile::TempDir,
}

impl Repository {
    /// A repository with one commit on main.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("repo")).unwrap();
        let repository = Self { root };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit(files);
        repository
    }

    /// A repository whose guildhall.toml has this text after `version = 1`.
    pub fn configured(configuration: &str, files: &[(&str, &str)]) -> Self {
        let text = format!("version = 1\n{configuration}");
        let mut all = vec![("guildhall.toml", text.as_str())];
        all.extend_from_slice(files);
        Self::new(&all)
    }

    pub fn path(&self) -> PathBuf {
        self.root.path().join("repo")
    }

    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// A directory beside repository and state.
    pub fn outside(&self) -> &Path {
        self.root.path()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Writes files and commits everything on the current branch; gives the commit id.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            self.write(path, content);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "Change"]);
        self.head("HEAD")
    }

    /// A branch from main with these files committed; main is checked out afterwards.
    pub fn branch(&self, name: &str, files: &[(&str, &str)]) -> String {
        self.git(&["checkout", "-q", "-b", name, "main"]);
        let head = self.commit(files);
        self.git(&["checkout", "-q", "main"]);
        head
    }

    pub fn head(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision])
    }

    /// Runs git as a user would, without the machine's configuration, and gives its trimmed output.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn options(&self) -> WorkspaceOptions {
        WorkspaceOptions {
            repository: self.path(),
            state_dir: self.state(),
            listen: "127.0.0.1:0".parse().unwrap(),
            token: TOKEN.to_owned(),
            base_branch: None,
        }
    }

    pub fn serve(&self) -> Server {
        Server::start(self.options())
    }

    /// The lines of effects.log.
    pub fn effects_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("effects.log")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How often a step was started for a key.
    pub fn started(&self, key: &str, step: &str) -> usize {
        let line = |line: &&Value| line["key"] == key && line["step"] == step && line["event"] == "started";
        self.effects_log().iter().filter(line).count()
    }

    /// Takes the outcome out of an effect's record, as if the server had died before it could write it down.
    pub fn forget_outcome(&self, key: &str) {
        let mut found = false;
        for entry in fs::read_dir(self.state().join("effects")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            if record["key"] == key {
                assert!(!record["result"].is_null(), "the effect has no outcome to forget");
                (record["result"], record["finished_ms"]) = (Value::Null, Value::Null);
                fs::write(&path, record.to_string()).unwrap();
                found = true;
            }
        }
        assert!(found, "there is no effect {key}");
    }
}

/// A server in this process, with a runtime of its own.
pub struct Server {
    pub address: SocketAddr,
    running: Option<RunningWorkspace>,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start(options: WorkspaceOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(serve(options)).unwrap();
        Self {
            address: running.address,
            running: Some(running),
            runtime,
        }
    }

    /// Calls a tool: its structured content, or the structured content of its error.
    pub fn call(&self, tool: &str, arguments: Value) -> Result<Value, Value> {
        call(self.address, tool, arguments)
    }

    /// Calls a tool that must fail, and gives the code of its error.
    pub fn code(&self, tool: &str, arguments: Value) -> String {
        let shown = format!("{tool} {arguments}");
        let error = self.call(tool, arguments).expect_err(&shown);
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{shown}: {error}"
        );
        error["code"].as_str().unwrap().to_owned()
    }

    pub fn shutdown(mut self) {
        let running = self.running.take().unwrap();
        self.runtime.block_on(running.shutdown());
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends one request and reads the whole answer.
pub fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("not HTTP: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}

/// Posts JSON to the server as a client with its token does.
pub fn post(address: SocketAddr, extra: &[(&str, &str)], body: &Value) -> Answer {
    let (host, token) = (address.to_string(), format!("Bearer {TOKEN}"));
    let mut headers = vec![
        ("Host", host.as_str()),
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
    ];
    headers.extend_from_slice(extra);
    http(address, "POST", "/mcp", &headers, &body.to_string())
}

/// Calls a tool without a handshake, as the components do.
pub fn call(address: SocketAddr, tool: &str, arguments: Value) -> Result<Value, Value> {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments }
    });
    let answer = post(address, &[], &body);
    assert_eq!(answer.status, 200, "{tool}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let reply = answer.json();
    let result = &reply["result"];
    assert!(result.is_object(), "{tool}: {reply}");
    let content = result["structuredContent"].clone();
    // The text content repeats the structured content, for clients that know no other.
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, content);
    if result["isError"] == true {
        Err(content)
    } else {
        Ok(content)
    }
}

/// Waits for something that must come true; the limit is only for a test that has failed.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process exists and has not ended.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next())
        .is_some_and(|state| state != 'Z')
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
