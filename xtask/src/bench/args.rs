//! What may be asked of `cargo xtask bench`.

use super::contended;
use clap::{Parser, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// Measures the fleet, with the floor beside it in the same run.
///
/// Without --url it starts a fleet of its own in each host mode (throw-away Postgres and Redis, a small git
/// repository) and stops it again. Results go to stdout, everything else to stderr. Exit status: 0 when every
/// operation succeeded, 1 when some did not, 2 when the bench could not work.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench", max_term_width = 110)]
pub struct Args {
    /// One JSON object per line instead of a table.
    #[arg(long)]
    pub json: bool,

    /// Only this case; may be repeated.
    #[arg(long, value_name = "NAME", value_enum)]
    pub only: Vec<Case>,

    /// How many connections work at once; several, separated by commas, are measured one after the other.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16], value_parser = connections)]
    pub connections: Vec<usize>,

    /// Only this mode of the embedded host; may be repeated.
    #[arg(long, value_enum, conflicts_with = "url")]
    pub mode: Vec<HostMode>,

    /// Seconds of measuring per line, after one second of warm-up.
    #[arg(long, value_name = "N", default_value = "5", value_parser = seconds)]
    pub seconds: Duration,

    /// Measure the fleet that already runs there, on whatever runtime: http://HOST:PORT.
    #[arg(long)]
    pub url: Option<String>,

    /// The API token for --url; GUILDHALL_TOKEN is the fallback.
    #[arg(long, requires = "url")]
    pub token: Option<String>,

    /// The database of the fleet at --url, for the floors in SQL; they are left out without it.
    #[arg(long, requires = "url")]
    pub database_url: Option<String>,

    /// What to ask in chat-to-run-started at --url: a request that the fleet's repository can serve.
    #[arg(long, requires = "url", value_name = "TEXT")]
    pub message: Option<String>,

    /// The guildhall program that starts the fleets, instead of building one.
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub guildhall: Option<PathBuf>,
}

/// What is measured. The order is the order of measuring: what leaves work behind comes late, and idleness is what is
/// left after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// GET /livez.
    BareComponent,
    /// GET /v1/agents/{id}.
    RegistryRead,
    /// GET /v1/agents by skill and by words, among 10,000 agents.
    Discovery,
    /// POST /v1/agents/{id}/heartbeat of one among 10,000 agents.
    Heartbeat,
    /// Acquire and release of a lock, as one operation.
    LockAcquireRelease,
    /// One lock that 64 clients want, each holding it for 5 ms.
    LockContended,
    /// From a release to the next holder, with 50 in line.
    LockHandOff,
    /// From the request that closes a circle of waits to the victim's answer.
    Deadlock,
    /// POST /v1/requests until the agent's answer.
    RequestRoundTrip,
    /// POST /chat until the answer with the run's id.
    ChatToRunStarted,
    /// Statements and processor time of a fleet that nobody asks anything.
    Idle,
}

impl Case {
    /// With how many connections it is measured, if not with those that were asked for.
    pub fn own_connections(self) -> Option<usize> {
        match self {
            Case::LockContended => Some(contended::CONTENDERS),
            Case::LockHandOff => Some(contended::IN_LINE),
            Case::Deadlock => Some(2),
            Case::Idle => Some(0),
            _ => None,
        }
    }

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Case::BareComponent => "bare-component",
            Case::RegistryRead => "registry-read",
            Case::Discovery => "discovery",
            Case::Heartbeat => "heartbeat",
            Case::LockAcquireRelease => "lock-acquire-release",
            Case::LockContended => "lock-contended",
            Case::LockHandOff => "lock-hand-off",
            Case::Deadlock => "deadlock",
            Case::RequestRoundTrip => "request-round-trip",
            Case::ChatToRunStarted => "chat-to-run-started",
            Case::Idle => "idle",
        }
    }
}

/// A mode of the embedded host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostMode {
    /// As Spin behaves.
    Strict,
    /// With safeguards.
    Hardened,
}

impl HostMode {
    /// Its name in results and for `guildhall up --mode`.
    pub fn name(self) -> &'static str {
        match self {
            HostMode::Strict => "strict",
            HostMode::Hardened => "hardened",
        }
    }
}

impl Args {
    /// The cases to measure, each once, in the order of measuring.
    pub fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| self.only.is_empty() || self.only.contains(case);
        Case::value_variants().iter().copied().filter(wanted).collect()
    }

    /// The host modes to measure, each once.
    pub fn modes(&self) -> Vec<HostMode> {
        let wanted = |mode: &HostMode| self.mode.is_empty() || self.mode.contains(mode);
        HostMode::value_variants()
            .iter()
            .copied()
            .filter(wanted)
            .collect()
    }
}

/// Enough to overload two cores; beyond this the file descriptors of a default shell run out.
const MOST_CONNECTIONS: usize = 400;

fn connections(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=MOST_CONNECTIONS) => Ok(count),
        _ => Err(format!("a whole number from 1 to {MOST_CONNECTIONS} is wanted")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number from 0.1 to 3600 is wanted".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Args, String> {
        Args::try_parse_from(std::iter::once("bench").chain(words.split_whitespace()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_measured_by_default() {
        let args = parse("").unwrap();
        assert_eq!(args.connections, [1, 16]);
        assert_eq!(args.seconds, Duration::from_secs(5));
        assert_eq!(args.modes(), [HostMode::Strict, HostMode::Hardened]);
        let names: Vec<_> = args.cases().into_iter().map(Case::name).collect();
        assert_eq!(
            names,
            [
                "bare-component",
                "registry-read",
                "discovery",
                "heartbeat",
                "lock-acquire-release",
                "lock-contended",
                "lock-hand-off",
                "deadlock",
                "request-round-trip",
                "chat-to-run-started",
                "idle"
            ]
        );
        assert!(!args.json);
    }

    #[test]
    fn a_case_named_twice_is_measured_once_and_in_order() {
        let args =
            parse("--only chat-to-run-started --only bare-component --only chat-to-run-started").unwrap();
        assert_eq!(args.cases(), [Case::BareComponent, Case::ChatToRunStarted]);
        assert_eq!(
            parse("--mode hardened --mode hardened").unwrap().modes(),
            [HostMode::Hardened]
        );
        assert_eq!(parse("--connections 4,2").unwrap().connections, [4, 2]);
    }

    #[test]
    fn the_name_given_is_the_name_printed() {
        for case in Case::value_variants() {
            assert_eq!(parse(&format!("--only {}", case.name())).unwrap().only, [*case]);
        }
        for mode in HostMode::value_variants() {
            assert_eq!(parse(&format!("--mode {}", mode.name())).unwrap().mode, [*mode]);
        }
    }

    #[test]
    fn wrong_arguments_say_what_is_wanted() {
        for (words, expected) in [
            ("--only registry", "registry-read"),
            ("--mode fast", "hardened"),
            ("--connections 0", "from 1 to 400"),
            ("--connections 401", "from 1 to 400"),
            ("--connections many", "from 1 to 400"),
            ("--seconds 0", "from 0.1 to 3600"),
            ("--seconds NaN", "from 0.1 to 3600"),
            ("--seconds 1e9", "from 0.1 to 3600"),
            ("--token secret", "--url"),
            ("--database-url postgres://x", "--url"),
            ("--message hello", "--url"),
            ("--url http://x --mode strict", "--mode"),
            ("--url http://x --guildhall /bin/guildhall", "--guildhall"),
            ("everything", "everything"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(expected), "{words:?} is answered with {error}");
        }
    }
}
