//! Eventlog lines for people: `1.000000 name key=value…`, or with the time as date and offset.

use anstyle::{AnsiColor, Color, Style};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::entry::Entry;
use crate::output::escape;

const NAME: Style = fg(AnsiColor::Yellow);
const EXCEPTION: Style = fg(AnsiColor::Red).bold();
const TIME: Style = fg(AnsiColor::Green);
const NEW_MINUTE: Style = fg(AnsiColor::Green).bold();
const KEY: Style = fg(AnsiColor::Blue);
const VALUE: Style = fg(AnsiColor::Magenta);
const NUMBER: Style = fg(AnsiColor::White);

const fn fg(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

/// Formats events as lines. The time of a line depends on earlier lines, so use one formatter for a
/// log, from its first line on.
#[derive(Debug)]
pub(crate) struct Formatter {
    /// Print dates and offsets instead of seconds since 1970.
    human: bool,
    color: bool,
    zone: TimeZone,
    /// The minute that was last printed in full, and the time of its first event.
    minute: Option<(String, f64)>,
}

impl Formatter {
    pub(crate) fn new(human: bool, color: bool, zone: TimeZone) -> Self {
        Self {
            human,
            color,
            zone,
            minute: None,
        }
    }

    /// The line of an event, without a newline. Control characters are escaped, so it is always one
    /// line.
    pub(crate) fn line(&mut self, entry: &Entry) -> String {
        let mut line = self.time(entry.timestamp);
        let name = if entry.name == "exception" {
            EXCEPTION
        } else {
            NAME
        };
        line.push(' ');
        line.push_str(&self.paint(name, &escape(&entry.name)));
        for (key, value) in entry.context.iter().flatten() {
            let is_number = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            let style = if is_number { NUMBER } else { VALUE };
            line.push(' ');
            line.push_str(&self.paint(KEY, &escape(key)));
            line.push('=');
            line.push_str(&self.paint(style, &escape(value)));
        }
        line
    }

    fn time(&mut self, timestamp: f64) -> String {
        if !self.human {
            return self.paint(TIME, &format!("{timestamp:.6}"));
        }
        let Some(zoned) = zoned(timestamp, &self.zone) else {
            return self.paint(TIME, &format!("[{timestamp:+11.6}]"));
        };
        let minute = zoned.strftime("%Y-%m-%dT%H:%M%:z").to_string();
        match &self.minute {
            Some((present, since)) if *present == minute => {
                let offset = format!("[{:+11.6}]", timestamp - since);
                self.paint(TIME, &offset)
            }
            _ => {
                self.minute = Some((minute, timestamp));
                self.paint(NEW_MINUTE, &zoned.strftime("[%b%d %H:%M]").to_string())
            }
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// The time in a zone; `None` after the year 9999.
fn zoned(timestamp: f64, zone: &TimeZone) -> Option<Zoned> {
    // Only whole seconds matter. The cast saturates, and the result is then out of range.
    let timestamp = Timestamp::from_second(timestamp.floor() as i64).ok()?;
    Some(timestamp.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(human: bool, color: bool, events: &[&str]) -> Vec<String> {
        let mut formatter = Formatter::new(human, color, TimeZone::UTC);
        let entries = events.iter().map(|event| Entry::parse(event).unwrap());
        entries.map(|entry| formatter.line(&entry)).collect()
    }

    #[test]
    fn a_line_has_the_time_the_name_and_the_context_in_its_order() {
        let event = r#"{"timestamp":1699995759.5377746,"name":"submit","context":{"userid":1001,"note":"a b","deep":{"x":[1]}}}"#;
        assert_eq!(
            lines(false, false, &[event]),
            [r#"1699995759.537775 submit userid=1001 note="a b" deep={"x":[1]}"#]
        );
        assert_eq!(
            lines(
                false,
                false,
                &[r#"{"timestamp":1,"name":"n","context":{}}"#]
            ),
            ["1.000000 n"]
        );
    }

    #[test]
    fn a_minute_is_named_once_and_counted_from() {
        let events = [
            r#"{"timestamp":120,"name":"a"}"#,
            r#"{"timestamp":121,"name":"b"}"#,
            r#"{"timestamp":179.5,"name":"c"}"#,
            r#"{"timestamp":180.25,"name":"d"}"#,
            r#"{"timestamp":180.75,"name":"e"}"#,
            r#"{"timestamp":1e300,"name":"never"}"#,
        ];
        let shown = lines(true, false, &events);
        assert_eq!(
            shown[..5],
            [
                "[Jan01 00:02] a",
                "[  +1.000000] b",
                "[ +59.500000] c",
                "[Jan01 00:03] d",
                "[  +0.500000] e",
            ]
        );
        assert!(shown[5].ends_with("] never"), "{shown:?}");
    }

    #[test]
    fn the_same_minute_of_another_day_is_another_minute() {
        let events = [
            r#"{"timestamp":120,"name":"a"}"#,
            r#"{"timestamp":86520,"name":"b"}"#,
        ];
        assert_eq!(
            lines(true, false, &events),
            ["[Jan01 00:02] a", "[Jan02 00:02] b"]
        );
    }

    #[test]
    fn colours_tell_times_names_keys_and_values() {
        let events = [
            r#"{"timestamp":120,"name":"a","context":{"n":1,"s":"x","b":true}}"#,
            r#"{"timestamp":121,"name":"exception"}"#,
        ];
        assert_eq!(
            lines(true, true, &events),
            [
                "\x1b[1m\x1b[32m[Jan01 00:02]\x1b[0m \x1b[33ma\x1b[0m \x1b[34mn\x1b[0m=\x1b[37m1\x1b[0m \x1b[34ms\x1b[0m=\x1b[35m\"x\"\x1b[0m \x1b[34mb\x1b[0m=\x1b[35mtrue\x1b[0m",
                "\x1b[32m[  +1.000000]\x1b[0m \x1b[1m\x1b[31mexception\x1b[0m",
            ]
        );
    }

    #[test]
    fn control_characters_of_names_are_written_out() {
        assert_eq!(
            lines(
                false,
                false,
                &["{\"timestamp\":1,\"name\":\"a\\n\\u001b[2J\"}"]
            ),
            ["1.000000 a\\n\\u{1b}[2J"]
        );
    }
}
