//! Asking a service over HTTP whether it is well. Only the loopback interface is ever asked.

use super::processes::Identity;
use super::service::log_tail;
use super::{Record, ServiceState};
use crate::commands::{Stopping, printable};
use crate::config::Service;
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use url::{Host, Url};

const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(150);
const BODY_MAX: u64 = 64 << 10;
const EXCERPT_MAX: usize = 500;
const LOG_EXCERPT: u64 = 2000;

/// How a service fares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it answered 2xx and the process that was started is the one that answers. Without a health URL:
    /// whether the process runs.
    pub healthy: bool,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// How long the last answer took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The beginning of the last answer's body.
    pub body_excerpt: String,
    /// How often it was asked.
    pub attempts: u32,
    /// The process that was started, when it runs.
    pub pid: Option<u32>,
    /// Whether the kernel confirms that this process listens there; null when it does not say.
    pub owner_verified: Option<bool>,
    /// The commit id that it runs.
    pub revision: Option<String>,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The end of the service's log, when it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
}

/// Where to ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    address: SocketAddr,
    host: String,
    path: String,
}

/// Reads a health URL; the error says why it is refused.
pub fn target(url: &str) -> Result<Target, String> {
    let parsed = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    if parsed.scheme() != "http" {
        return Err(format!("{url:?} must begin with http://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(format!("{url:?} must not carry a user name or password"));
    }
    let address = match parsed.host() {
        Some(Host::Ipv4(address)) if address.is_loopback() => IpAddr::V4(address),
        Some(Host::Ipv6(address)) if address == Ipv6Addr::LOCALHOST => IpAddr::V6(address),
        Some(Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => {
            return Err(format!(
                "{url:?} must be on the loopback interface: 127.0.0.1, [::1] or localhost"
            ));
        }
    };
    let port = parsed.port_or_known_default().unwrap_or(80);
    let mut path = parsed.path().to_owned();
    if let Some(query) = parsed.query() {
        path = format!("{path}?{query}");
    }
    let host = format!("{}:{port}", parsed.host_str().unwrap_or_default());
    Ok(Target {
        address: SocketAddr::new(address, port),
        host,
        path,
    })
}

/// Asks until the service is healthy, has ended, or its time is up.
pub fn check(
    service: &Service,
    record: &Record,
    directory: &Path,
    stopping: &Stopping,
) -> ToolResult<Health> {
    let mut health = Health {
        healthy: false,
        status: None,
        latency_ms: None,
        body_excerpt: String::new(),
        attempts: 0,
        pid: None,
        owner_verified: None,
        revision: record.service.as_ref().map(|service| service.revision.clone()),
        reason: None,
        log_tail: None,
    };
    let target = match &service.health {
        None => None,
        Some(url) => Some(target(url).map_err(|why| ToolError::new("configuration_invalid", why, ""))?),
    };
    let deadline = Instant::now() + Duration::from_secs(service.health_timeout_s);
    loop {
        health.pid = record.service.as_ref().and_then(|service| service.pid());
        let Some(process) = record
            .service
            .as_ref()
            .and_then(|service| service.process.as_ref())
        else {
            health.reason = Some(match &record.service {
                Some(_) => "the service could not be started".to_owned(),
                None => "the service was never started, or was stopped".to_owned(),
            });
            break;
        };
        if health.pid.is_none() {
            debug_assert_eq!(record.service_status(true).state, ServiceState::Exited);
            health.reason = Some(format!("the service's process {} has ended", process.pid));
            break;
        }
        match &target {
            None => health.healthy = true,
            Some(target) => ask_once(target, process, deadline, &mut health),
        }
        if health.healthy || Instant::now() + PAUSE >= deadline || stopping.is_set() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    if health.healthy {
        health.reason = None;
    } else {
        health.log_tail = Some(log_tail(directory, LOG_EXCERPT));
    }
    Ok(health)
}

fn ask_once(target: &Target, process: &Identity, deadline: Instant, health: &mut Health) {
    health.attempts += 1;
    let began = Instant::now();
    let limit = deadline
        .saturating_duration_since(began)
        .clamp(Duration::from_millis(100), ATTEMPT_LIMIT);
    match get(target, limit) {
        Err(error) => {
            health.status = None;
            health.reason = Some(format!(
                "http://{}{} does not answer: {error}",
                target.host, target.path
            ));
        }
        Ok((status, body)) => {
            health.status = Some(status);
            health.latency_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            health.body_excerpt = printable(&body).chars().take(EXCERPT_MAX).collect();
            health.owner_verified = process.listens_on(target.address.port());
            if health.owner_verified == Some(false) {
                health.reason = Some(format!(
                    "another process than {} answers on {}",
                    process.pid, target.address
                ));
            } else if !(200..300).contains(&status) {
                health.reason = Some(format!("http://{}{} answers {status}", target.host, target.path));
            } else {
                health.healthy = true;
            }
        }
    }
}

/// One GET in HTTP/1.0, so that the answer comes whole and unchunked and the connection ends with it.
fn get(target: &Target, limit: Duration) -> io::Result<(u16, Vec<u8>)> {
    let deadline = Instant::now() + limit;
    let mut stream = TcpStream::connect_timeout(&target.address, limit)?;
    stream.set_write_timeout(Some(limit))?;
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: guildhall-workspace\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path, target.host
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while (answer.len() as u64) < BODY_MAX && !is_whole(&answer) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            n => answer.extend_from_slice(&buffer[..n]),
        }
    }
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let (head, body) = split(&answer).ok_or_else(bad)?;
    let mut words = head.split_whitespace();
    let version = words.next().ok_or_else(bad)?;
    let status = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    if !version.starts_with("HTTP/1.") {
        return Err(bad());
    }
    Ok((status, body.to_vec()))
}

fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((
        String::from_utf8_lossy(&answer[..end]).into_owned(),
        &answer[end + 4..],
    ))
}

/// Whether the answer has as many bytes as it announced: some servers keep the connection open all the same.
fn is_whole(answer: &[u8]) -> bool {
    let Some((head, body)) = split(answer) else {
        return false;
    };
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok())
        .is_some_and(|length| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_loopback_urls_are_targets() {
        let fine = target("http://127.0.0.1:8123/healthz?full=1").unwrap();
        assert_eq!(
            (fine.path.as_str(), fine.host.as_str()),
            ("/healthz?full=1", "127.0.0.1:8123")
        );
        assert_eq!(
            target("http://localhost/").unwrap().address,
            "127.0.0.1:80".parse().unwrap()
        );
        assert_eq!(
            target("http://[::1]:1/").unwrap().address,
            "[::1]:1".parse().unwrap()
        );
        for url in [
            "http://169.254.169.254/latest",
            "http://localhost.example.org/",
            "http://127.0.0.1.nip.io/",
            "file:///etc/passwd",
            "http://0.0.0.0/",
            "http://a:b@127.0.0.1/",
            "https://127.0.0.1/",
            "127.0.0.1:80",
            "",
        ] {
            target(url).expect_err(url);
        }
    }
}
