//! `kvs completions`, `kvs man` and `kvs help`: generated at run time from the command line
//! definition, so they always match the binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::usage;
use super::manual::sections;
use crate::output::{Sink, colours_are_wanted};

/// Options of `kvs completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(kvs completions bash)                             for this shell
  kvs completions zsh > ~/.zfunc/_kvs                        for good
  kvs completions fish > ~/.config/fish/completions/kvs.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Options of `kvs man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs man | man -l -                      the page of kvs
  kvs man eventlog get | man -l -         the page of a verb
  kvs man --dir /usr/local/share/man/man1 all pages, to be installed")]
pub(crate) struct ManArgs {
    /// Write the pages of kvs and all its verbs into that directory
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    dir: Option<PathBuf>,
    /// The verb [default: the page of kvs itself]
    verb: Vec<String>,
}

/// Options of `kvs help`.
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// The verb [default: all of them]
    verb: Vec<String>,
}

/// Prints the completions of a shell. `program` is the whole command line.
pub(crate) fn run(mut program: Command, args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "kvs", &mut script);
    print(&script)
}

/// Prints the help of a verb, or of kvs. `program` is the whole command line.
pub(crate) fn run_help(mut program: Command, args: &HelpArgs) -> Result<ExitCode> {
    program.build();
    let (mut command, _) = find(&program, "help", &args.verb)?;
    let help = command.render_help();
    let mut sink = Sink::new();
    if sink.is_terminal() && colours_are_wanted() {
        sink.text(&help.ansi().to_string())?;
    } else {
        sink.text(&help.to_string())?;
    }
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a page, or writes all of them. `program` is the whole command line.
pub(crate) fn run_man(mut program: Command, args: &ManArgs) -> Result<ExitCode> {
    // Complete the verbs with the global options.
    program.build();
    if let Some(dir) = &args.dir {
        write_pages(&program, "kvs", dir).with_context(|| dir.display().to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (command, name) = find(&program, "man", &args.verb)?;
    print(&page(&command, &name)?)
}

/// The verb with these names, and the name of its manual page.
fn find(program: &Command, asking: &str, names: &[String]) -> Result<(Command, String)> {
    let mut page = "kvs".to_owned();
    let mut command = program;
    for name in names {
        command = command.find_subcommand(name).ok_or_else(|| {
            let text = format!("{asking}: there is no verb '{name}'; `kvs help` lists them");
            usage(text)
        })?;
        page = format!("{page}-{name}");
    }
    Ok((command.clone(), page))
}

fn write_pages(command: &Command, name: &str, dir: &Path) -> io::Result<()> {
    fs::write(dir.join(format!("{name}.1")), page(command, name)?)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write_pages(verb, &format!("{name}-{}", verb.get_name()), dir)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // Like those of git, the pages of verbs are named kvs-VERB.
    let command = command.clone().display_name(name.to_owned());
    Man::new(command).title(name).render(&mut page)?;
    sections(name).to_writer(&mut page)?;
    Ok(page)
}

fn print(text: &[u8]) -> Result<ExitCode> {
    let mut sink = Sink::new();
    sink.raw(text)?;
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}
