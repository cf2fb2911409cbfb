//! Sections of the manual pages after the options: exit statuses, environment and files. Pure.

use roff::{Roff, bold, roman};

use super::failure::STATUSES;

/// The page of the daemon.
const SERVE: &str = "kvs-serve";
/// Verbs that are or start a daemon; the others are clients of a running one.
const DAEMONS: [&str; 4] = [SERVE, "kvs-start", "kvs-demo", "kvs-bench"];
/// Verbs that use no daemon.
const ALONE: [&str; 3] = ["kvs-completions", "kvs-man", "kvs-help"];

/// Exit statuses of verbs that are not clients of a running daemon, by page.
const OWN_STATUSES: [(&str, &str, &str); 13] = [
    (
        SERVE,
        "0",
        "SIGTERM, SIGINT, SIGHUP or the end of its standard input ended the daemon",
    ),
    (
        SERVE,
        "1",
        "an error that none of the others stands for, such as a damaged store",
    ),
    (SERVE, "2", "the command line is wrong"),
    (
        SERVE,
        "70",
        "a fault of the program; what was acknowledged is there after a restart",
    ),
    (
        SERVE,
        "73",
        "the socket or the directory of the store cannot be made",
    ),
    (SERVE, "74", "the disk failed; nothing more is acknowledged"),
    (
        SERVE,
        "75",
        "something is in the way that may be gone soon, such as another daemon",
    ),
    (SERVE, "77", "a permission is missing"),
    (
        "kvs-start",
        "N",
        "the status of the command; 128 and its number after a signal",
    ),
    (
        "kvs-start",
        "126, 127",
        "the command cannot be run, or is not found",
    ),
    ("kvs-demo", "0", "no client missed anything"),
    ("kvs-demo", "1", "any error, or something was missed"),
    ("kvs-bench", "0, 1", "all was measured, or any error"),
];

/// Environment variables of clients.
const VARIABLES: [(&str, &str); 6] = [
    (
        "KVS_URI",
        "address of the daemon, such as unix:/run/kvs/kvs.sock",
    ),
    (
        "XDG_RUNTIME_DIR",
        "without KVS_URI the daemon is sought at kvs/kvs.sock in it first",
    ),
    ("KVS_NAMESPACE", "namespace of verbs that are given none"),
    (
        "FLUX_KVS_NAMESPACE",
        "the same, if KVS_NAMESPACE is not set",
    ),
    (
        "COLUMNS",
        "line width when standard output is not a terminal",
    ),
    ("NO_COLOR", "if set, output has no colours"),
];

/// Environment variables of `kvs serve`.
const SERVE_VARIABLES: [(&str, &str); 5] = [
    (
        "KVS_URI",
        "address to serve on, such as unix:/run/kvs/kvs.sock",
    ),
    (
        "XDG_RUNTIME_DIR",
        "without KVS_URI the daemon serves at kvs/kvs.sock in it",
    ),
    ("XDG_STATE_HOME", "the store is kvs/store in it"),
    (
        "HOME",
        "without XDG_STATE_HOME the store is .local/state/kvs/store in it",
    ),
    (
        "NOTIFY_SOCKET",
        "set by systemd: the daemon reports there when it is ready and when it stops",
    ),
];

/// Default sockets.
const FILES: [(&str, &str); 2] = [
    (
        "$XDG_RUNTIME_DIR/kvs/kvs.sock",
        "socket of the daemon of a user",
    ),
    ("/run/kvs/kvs.sock", "socket of the daemon of the system"),
];

/// Default stores.
const STORES: [(&str, &str); 1] = [("~/.local/state/kvs/store", "store of the daemon of a user")];

/// The sections that follow the others on a page.
pub(super) fn sections(page: &str) -> Roff {
    let is_daemon = DAEMONS.contains(&page);
    let is_alone = ALONE.contains(&page);
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    let own = OWN_STATUSES.iter().filter(|(of, _, _)| *of == page);
    for (_, status, when) in own.clone() {
        item(&mut roff, status, when);
    }
    if own.count() == 0 {
        for (status, when) in STATUSES {
            item(&mut roff, &status.to_string(), when);
        }
    }
    if is_alone {
        return roff;
    }
    roff.control("SH", ["ENVIRONMENT"]);
    let variables: &[_] = match page {
        SERVE => &SERVE_VARIABLES,
        _ => &VARIABLES,
    };
    for (name, meaning) in variables {
        item(&mut roff, name, meaning);
    }
    roff.control("SH", ["FILES"]);
    for (name, meaning) in FILES {
        item(&mut roff, name, meaning);
    }
    if is_daemon || page == "kvs" {
        for (name, meaning) in STORES {
            item(&mut roff, name, meaning);
        }
    }
    roff
}

fn item(roff: &mut Roff, name: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_its_statuses_and_variables() {
        let client = sections("kvs-get").to_roff();
        for text in [
            ".SH \"EXIT STATUS\"",
            "\\fB6\\fR",
            ".SH ENVIRONMENT",
            "KVS_URI",
            ".SH FILES",
        ] {
            assert!(client.contains(text), "{text} is missing from {client}");
        }
        let serve = sections("kvs-serve").to_roff();
        assert!(serve.contains("XDG_STATE_HOME") && serve.contains("state/kvs/store"));
        assert!(!sections("kvs-man").to_roff().contains("KVS_URI"));
    }
}
