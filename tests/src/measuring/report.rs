//! The result of a run, as text and as JSON.

use std::fmt;

use serde_json::{Map, Value, json};

/// The figures and targets of a run.
#[derive(Clone, Debug)]
pub struct Report {
    name: &'static str,
    about: String,
    figures: Vec<(String, f64)>,
    targets: Vec<Target>,
}

/// A target that a figure must meet.
#[derive(Clone, Debug)]
pub struct Target {
    /// Description of the target.
    pub what: String,
    /// Whether the target is met.
    pub met: bool,
}

impl Report {
    /// Creates an empty report; `about` describes the run and the method.
    pub fn new(name: &'static str, about: impl Into<String>) -> Self {
        Self {
            name,
            about: about.into(),
            figures: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Adds a figure. Its name ends with its unit.
    pub fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.push((name.into(), value));
    }

    /// Adds the target that a value is at most `bound`.
    pub fn at_most(&mut self, what: &str, value: f64, bound: f64) {
        self.targets.push(Target {
            what: format!("{what}: {} (at most {})", rounded(value), rounded(bound)),
            met: value <= bound,
        });
    }

    /// Records a guarantee that held. Otherwise the run would have failed with an error.
    pub fn held(&mut self, what: impl Into<String>) {
        self.targets.push(Target {
            what: what.into(),
            met: true,
        });
    }

    /// Returns the value of a figure.
    pub fn value(&self, name: &str) -> Option<f64> {
        let found = self.figures.iter().find(|(figure, _)| figure == name);
        found.map(|(_, value)| *value)
    }

    /// Returns whether all targets are met.
    pub fn met(&self) -> bool {
        self.targets.iter().all(|target| target.met)
    }

    /// Formats one object: `measurement`, `about`, `met`, `targets`, and the figures under
    /// `figures`.
    pub fn to_json(&self) -> Value {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|(name, value)| (name.clone(), number(*value)))
            .collect();
        let targets: Vec<Value> = self
            .targets
            .iter()
            .map(|target| json!({"what": target.what, "met": target.met}))
            .collect();
        json!({
            "measurement": self.name,
            "about": self.about,
            "met": self.met(),
            "targets": targets,
            "figures": figures,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.about)?;
        for (name, value) in &self.figures {
            writeln!(f, "  {name:<36} {:>14}", rounded(*value))?;
        }
        for target in &self.targets {
            let word = if target.met { "yes" } else { "NO " };
            writeln!(f, "  {word} {}", target.what)?;
        }
        Ok(())
    }
}

/// Formats integral numbers as integers.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// Rounds to significant digits.
fn rounded(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_shows() {
        let mut report = Report::new("name", "about");
        report.figure("cost_us", 12.5);
        report.at_most("cost", 12.5, 10.0);
        assert!(!report.met());
        assert_eq!(report.to_json()["figures"]["cost_us"], 12.5);
        assert!(report.to_string().contains("NO  cost: 12.500 (at most 10)"));
    }
}
