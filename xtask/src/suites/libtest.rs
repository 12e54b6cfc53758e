//! Reads what a test program prints.

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Held.
    pub passed: usize,
    /// Did not hold, or could not be run.
    pub failed: usize,
    /// Were left out, and said so.
    pub skipped: usize,
}

impl Counts {
    /// Adds another program's counts.
    pub fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Counts the results in a test program's output. `None` when it has no result line: the program died.
///
/// A test that cannot be run where it is prints a line `skipped: …` and passes; it counts as skipped.
pub fn counts(output: &str) -> Option<Counts> {
    let mut total: Option<Counts> = None;
    let skipped_by_tests = output
        .lines()
        .filter(|line| line.starts_with("skipped: "))
        .count();
    for line in output.lines() {
        let Some(rest) = line.strip_prefix("test result: ") else {
            continue;
        };
        let number = |word: &str| -> usize {
            let before = rest
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word));
            before.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
        };
        let counts = Counts {
            passed: number("passed"),
            failed: number("failed"),
            skipped: number("ignored"),
        };
        total.get_or_insert_default().add(counts);
    }
    total.map(|counts| {
        let skipped = skipped_by_tests.min(counts.passed);
        Counts {
            passed: counts.passed - skipped,
            failed: counts.failed,
            skipped: counts.skipped + skipped,
        }
    })
}

/// The lines that people want to see although all is well: seeds, and what was skipped.
pub fn notes(output: &str) -> Vec<&str> {
    let wanted = |line: &&str| line.starts_with("seed: ") || line.starts_with("skipped: ");
    let mut notes: Vec<&str> = output.lines().filter(wanted).collect();
    notes.dedup();
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_over_all_result_lines() {
        let output = "test a ... ok\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\
                      test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s\n";
        assert_eq!(
            counts(output),
            Some(Counts {
                passed: 6,
                failed: 2,
                skipped: 1
            })
        );
    }

    #[test]
    fn tests_that_say_they_skip_are_not_passed() {
        let output = "---- x stdout ----\nskipped: x: needs a fleet\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            counts(output),
            Some(Counts {
                passed: 1,
                failed: 0,
                skipped: 1
            })
        );
        assert_eq!(notes(output), ["skipped: x: needs a fleet"]);
    }

    #[test]
    fn a_program_that_died_has_no_result() {
        assert_eq!(counts("running 3 tests\ntest a ... "), None);
    }
}
