//! Fencing: the highest token seen for a resource, durably. Whoever comes with a lower one lost the lock meanwhile.

use crate::durable::{self, FileLock};
use crate::error::{ToolError, ToolResult};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The lock that a caller holds, as it presents it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The name of the locked resource.
    pub resource: String,
    /// The fencing token that came with the lock; it only rises.
    pub fencing_token: u64,
}

/// The highest tokens of one state directory.
pub struct Fences {
    directory: PathBuf,
}

impl Fences {
    /// Opens or makes the store under `state_dir`.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: durable::private_directory(state_dir.join("fences"))?,
        })
    }

    /// Refuses a token lower than any that came before for this resource, and remembers a higher one.
    pub fn admit(&self, fence: &Fence) -> ToolResult<()> {
        if fence.resource.is_empty() || fence.resource.len() > 512 || fence.fencing_token == 0 {
            return Err(ToolError::invalid(
                "a fence needs a resource name of 1 to 512 bytes and a fencing token of at least 1",
                "Acquire the lock first; its reply carries both.",
            ));
        }
        let name = durable::name_of(&fence.resource);
        let path = self.directory.join(format!("{name}.json"));
        let _lock = FileLock::acquire(&self.directory.join(format!("{name}.lock")))?;
        let highest: Option<Fence> = durable::read_json(&path)?;
        let highest = highest.map_or(0, |fence| fence.fencing_token);
        if fence.fencing_token < highest {
            return Err(ToolError::new(
                "stale_fencing_token",
                format!(
                    "the fencing token {} for {:?} is out of date: {highest} has been seen",
                    fence.fencing_token, fence.resource
                ),
                "Another holder has the lock now. Acquire it again and use the new token.",
            ));
        }
        if fence.fencing_token > highest {
            durable::write_json(&path, fence)
                .map_err(|error| ToolError::internal("cannot record the fencing token", error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fence(token: u64) -> Fence {
        Fence {
            resource: "deployment:production".into(),
            fencing_token: token,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_token_is_admitted_exactly_when_none_higher_came_before(tokens in prop::collection::vec(1u64..20, 1..12)) {
            let directory = tempfile::tempdir().unwrap();
            let mut highest = 0;
            for token in tokens {
                // Opened anew each time: what counts is what the disk remembers.
                let admitted = Fences::open(directory.path()).unwrap().admit(&fence(token));
                prop_assert_eq!(admitted.is_ok(), token >= highest);
                highest = highest.max(token);
            }
        }
    }

    #[test]
    fn resources_are_fenced_apart_and_zero_is_no_token() {
        let directory = tempfile::tempdir().unwrap();
        let fences = Fences::open(directory.path()).unwrap();
        fences.admit(&fence(9)).unwrap();
        fences
            .admit(&Fence {
                resource: "deployment:staging".into(),
                fencing_token: 1,
            })
            .unwrap();
        assert_eq!(fences.admit(&fence(8)).unwrap_err().code, "stale_fencing_token");
        assert_eq!(fences.admit(&fence(0)).unwrap_err().code, "invalid_arguments");
    }
}
