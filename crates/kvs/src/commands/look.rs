//! How events of an eventlog are printed: the options, and the printer that applies them.

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::eventlog::{Entry, Formatter};
use crate::output::{Sink, colours_are_wanted};

/// How events are printed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Look {
    /// Print events as JSON
    #[arg(short, long, visible_alias = "json", conflicts_with = "human")]
    unformatted: bool,
    /// Print times for people: the minute, then seconds within it
    #[arg(short = 'H', long)]
    human: bool,
    /// Colour the output: auto, if a terminal shows it and NO_COLOR is not set; always, also
    /// without WHEN; never
    #[arg(
        short = 'L',
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

/// Prints events.
pub(super) struct Printer {
    pub(super) sink: Sink,
    formatter: Option<Formatter>,
}

impl Printer {
    pub(super) fn new(look: Look) -> Self {
        let sink = Sink::new();
        let color = match look.color {
            When::Always => true,
            When::Never => false,
            When::Auto => sink.is_terminal() && colours_are_wanted(),
        };
        let formatter =
            (!look.unformatted).then(|| Formatter::new(look.human, color, TimeZone::system()));
        Self { sink, formatter }
    }

    pub(super) fn print(&mut self, entry: &Entry) -> Result<()> {
        let line = match &mut self.formatter {
            Some(formatter) => formatter.line(entry),
            None => self.sink.clean(&entry.json).into_owned(),
        };
        Ok(self.sink.line(&line)?)
    }
}
