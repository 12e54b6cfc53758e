//! Records for operators on standard error: one line each, with what was attempted, why it failed and what follows.
//! No secret may be passed in; callers log ids, codes and outcomes, never bodies or header values.

/// Something went wrong that the hall copes with (a retry, a degraded part).
pub fn warn(message: impl AsRef<str>) {
    eprintln!("warn: {}", one_line(message.as_ref()));
}

/// A change of state worth a line.
pub fn info(message: impl AsRef<str>) {
    eprintln!("info: {}", one_line(message.as_ref()));
}

/// Logs a condition once when it begins and once when it ends, not at every repetition.
#[derive(Debug, Default)]
pub struct Once {
    failing: std::cell::Cell<bool>,
}

impl Once {
    /// The condition holds. Logs `message` if it did not hold before.
    pub fn failing(&self, message: impl FnOnce() -> String) {
        if !self.failing.replace(true) {
            warn(message());
        }
    }

    /// The condition no longer holds. Logs `message` if it held before.
    pub fn recovered(&self, message: impl FnOnce() -> String) {
        if self.failing.replace(false) {
            info(message());
        }
    }
}

/// Line breaks and control characters would let a text from outside forge a record.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(2000)
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_record_is_one_line() {
        assert_eq!(super::one_line("a\nwarn: b\r\u{1b}[0m"), "a warn: b  [0m");
        assert_eq!(super::one_line(&"x".repeat(5000)).len(), 2000);
    }
}
