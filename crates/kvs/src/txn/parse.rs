//! Parses the whole text of a transaction.

use std::fmt;

use super::step::{Numbered, Step};
use super::{json, words};

/// A line that is not a valid step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextError {
    /// Line number, from 1; in an array, the number of the item.
    pub(crate) line: usize,
    /// What is wrong with the line.
    pub(crate) message: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for TextError {}

/// Parses a text: a JSON array if it begins with `[`, else one step per line. Lines that begin with
/// `{` are JSON; blank lines and lines that begin with `#` are skipped.
pub(crate) fn parse(text: &str) -> Result<Vec<Numbered>, TextError> {
    if text.trim_start().starts_with('[') {
        return array(text);
    }
    let mut steps = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let step = if trimmed.starts_with('{') {
            json::parse(trimmed)
        } else {
            words::parse(line)
        };
        steps.push(numbered(index, step)?);
    }
    Ok(steps)
}

fn array(text: &str) -> Result<Vec<Numbered>, TextError> {
    let items: Vec<json::Object> = serde_json::from_str(text).map_err(|error| TextError {
        line: error.line(),
        message: json::plain(&error),
    })?;
    let steps = items.into_iter().enumerate();
    steps
        .map(|(index, item)| numbered(index, item.step()))
        .collect()
}

fn numbered(index: usize, step: Result<Step, String>) -> Result<Numbered, TextError> {
    let line = index + 1;
    match step {
        Ok(step) => Ok(Numbered { line, step }),
        Err(message) => Err(TextError { line, message }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_json_may_be_mixed_and_lines_keep_their_numbers() {
        let text = "# a comment\n\nput a=1\n  {\"op\":\"unlink\",\"key\":\"b\"}\r\n\tmkdir c\n";
        let steps = parse(text).unwrap();
        let lines: Vec<usize> = steps.iter().map(|numbered| numbered.line).collect();
        assert_eq!(lines, [3, 4, 5]);
    }

    #[test]
    fn an_array_is_the_same_as_its_items() {
        let array = "\n [ {\"op\":\"mkdir\",\"key\":\"a\"},\n{\"op\":\"unlink\",\"key\":\"b\"} ]\n";
        assert_eq!(parse(array), parse("mkdir a\nunlink b"));
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }

    #[test]
    fn errors_name_their_line() {
        let error = parse("put a=1\n\nfrob").unwrap_err();
        assert_eq!(error.to_string(), "line 3: there is no operation 'frob'");
        assert_eq!(
            parse("[{\"op\":\"mkdir\",\"key\":\"a\"},{\"op\":\"x\"}]")
                .unwrap_err()
                .line,
            2
        );
        assert_eq!(parse("[\n\n1]").unwrap_err().line, 3);
    }

    #[test]
    fn a_line_may_end_as_on_windows() {
        assert_eq!(parse("put a=1\r\nput b=2\r\n"), parse("put a=1\nput b=2\n"));
    }
}
