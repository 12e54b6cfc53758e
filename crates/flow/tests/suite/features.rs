//! The Gherkin of the conformance kit, as far as it uses it.

/// A scenario.
pub struct Scenario {
    pub name: String,
    pub steps: Vec<Step>,
}

/// A step, without its keyword, and the document under it.
pub struct Step {
    pub text: String,
    pub document: Option<String>,
}

pub fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("Scenario:") {
            scenarios.push(Scenario {
                name: name.trim().to_owned(),
                steps: Vec::new(),
            });
        } else if let Some(scenario) = scenarios.last_mut() {
            if trimmed.starts_with("\"\"\"") {
                let indent = line.len() - line.trim_start().len();
                let mut document = String::new();
                for line in lines
                    .by_ref()
                    .take_while(|line| !line.trim().starts_with("\"\"\""))
                {
                    document.push_str(line.get(indent..).unwrap_or_default());
                    document.push('\n');
                }
                if let Some(step) = scenario.steps.last_mut() {
                    step.document = Some(document);
                }
            } else if let Some(text) = ["Given ", "When ", "Then ", "And "]
                .iter()
                .find_map(|key| trimmed.strip_prefix(key))
            {
                scenario.steps.push(Step {
                    text: text.trim().to_owned(),
                    document: None,
                });
            }
        }
    }
    scenarios
}
