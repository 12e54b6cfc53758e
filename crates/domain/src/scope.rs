//! What an API token may do. Every route but health, card discovery and signed webhooks wants one.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A permission that an API token carries. `admin` implies every other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Scope { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl Scope {
            /// Every scope there is, in the order of the documentation.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),+];

            /// The scope's name as tokens and documents spell it.
            pub fn as_str(self) -> &'static str {
                match self { $(Scope::$variant => $text),+ }
            }
        }

        impl FromStr for Scope {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Scope::$variant),)+
                    other => Err(format!(
                        "unknown scope `{other}`; known are {}",
                        Scope::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ")
                    )),
                }
            }
        }
    };
}

scopes! {
    /// Everything, including making tokens.
    Admin = "admin",
    /// Talk to the orchestrator, which may start runs.
    Chat = "chat",
    /// Read workflows, runs, their journals, requests and events.
    RunsRead = "runs:read",
    /// Upload workflows; start, signal and cancel runs; submit requests.
    RunsWrite = "runs:write",
    /// Publish events, which runs may wait for.
    EventsWrite = "events:write",
    /// Read approvals.
    ApprovalsRead = "approvals:read",
    /// Approve or reject. Only tokens of people may use it.
    ApprovalsDecide = "approvals:decide",
    /// Read the registry.
    AgentsRead = "agents:read",
    /// Register the one remote agent that the token is bound to, and report for it.
    AgentsRegister = "agents:register",
    /// Register and deregister agents.
    AgentsWrite = "agents:write",
    /// Read locks.
    LocksRead = "locks:read",
    /// Acquire, renew and release locks.
    LocksWrite = "locks:write",
    /// Scrape `/metrics`.
    MetricsRead = "metrics:read",
}

impl Scope {
    /// Whether a token that carries `granted` may do what `self` permits.
    pub fn is_granted_by(self, granted: &[Scope]) -> bool {
        granted.contains(&Scope::Admin) || granted.contains(&self)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
