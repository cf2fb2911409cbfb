//! Whether the environment allows colours.

use std::env::var_os;

/// Whether colours may be sent to a terminal: not if `NO_COLOR` is set (<https://no-color.org>) or
/// `TERM=dumb`.
pub(crate) fn colours_are_wanted() -> bool {
    let unwanted = var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = var_os("TERM").is_some_and(|value| value == "dumb");
    !unwanted && !dumb
}

/// Applies [`colours_are_wanted`] to help and usage errors too. By default, the library that prints
/// them uses colours whenever `CI` is set, even on a dumb terminal.
pub(crate) fn settle_colours() {
    if !colours_are_wanted() {
        anstream::ColorChoice::Never.write_global();
    }
}
