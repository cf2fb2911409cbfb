//! What the environment says of colours.

use std::env::var_os;

/// Whether a terminal may be sent colours: not where `NO_COLOR` is set (<https://no-color.org>),
/// nor to one that says by `TERM=dumb` that it knows none.
pub(crate) fn colours_are_wanted() -> bool {
    let unwanted = var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = var_os("TERM").is_some_and(|value| value == "dumb");
    !unwanted && !dumb
}

/// Makes help and usage errors follow [`colours_are_wanted`] too. By itself the library that
/// colours them takes any process of a build service (`CI` is set) for one with colours, also on a
/// dumb terminal.
pub(crate) fn settle_colours() {
    if !colours_are_wanted() {
        anstream::ColorChoice::Never.write_global();
    }
}
