//! Formats of root moves, for `kvs setroot`: one line per event for people, one JSON object per
//! event for programs.

use serde::Serialize;

use super::changes::Who;
use super::escape::escape;
use super::pieces::Halves;

/// An event about the root of a namespace; serializes as its JSON object.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum RootReport {
    /// The current roots.
    State {
        /// Whether earlier moves could not be reported.
        lost: bool,
        namespaces: Vec<Standing>,
    },
    /// A root moved.
    Moved {
        namespace: String,
        /// The new version.
        version: u64,
        /// Blobref of the new root.
        root: String,
        /// Blobref of the previous root.
        previous: String,
        /// The snapshot reference of the new version.
        snapshot: String,
        /// Seconds since the epoch.
        time: f64,
        /// Authors, one for each transaction.
        transactions: Vec<Who>,
        /// The touched keys. Their number is not bounded, so they are printed one by one.
        changes: [(); 0],
    },
    Created {
        namespace: String,
        /// User id of the owner.
        owner: u32,
        incarnation: u64,
        /// Seconds since the epoch.
        time: f64,
    },
    /// A namespace continues under a new incarnation.
    Reincarnated {
        namespace: String,
        /// The new incarnation.
        incarnation: u64,
        /// Seconds since the epoch.
        time: f64,
    },
    OwnerChanged {
        namespace: String,
        /// User id of the new owner.
        owner: u32,
        /// User id of the previous owner.
        before: u32,
        /// Seconds since the epoch.
        time: f64,
    },
    Removed {
        namespace: String,
        /// Seconds since the epoch.
        time: f64,
    },
}

/// The current root of a namespace.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    pub(crate) namespace: String,
    /// User id of the owner.
    pub(crate) owner: u32,
    pub(crate) version: u64,
    /// Blobref of its root.
    pub(crate) root: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Touched<'k> {
    pub(crate) key: &'k str,
    /// `put`, `append`, `unlink`, `mkdir` or `link`.
    pub(crate) kind: &'static str,
}

/// A report and the position to resume from after it.
#[derive(Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    report: &'a RootReport,
    place: &'a str,
}

impl RootReport {
    /// One JSON object on one line, without a newline, with the position after the event.
    pub(crate) fn json(&self, place: &str) -> serde_json::Result<String> {
        serde_json::to_string(&Placed {
            report: self,
            place,
        })
    }

    /// The JSON object of a move in two halves: the caller writes the keys between them, in
    /// brackets.
    pub(crate) fn moved(&self, place: &str) -> serde_json::Result<Halves> {
        let object = self.json(place)?;
        Ok(
            Halves::new(&object, "changes", "[]").unwrap_or_else(|| Halves {
                before: object,
                after: String::new(),
            }),
        )
    }

    /// Lines for people; each begins with the namespace.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            RootReport::State { lost, namespaces } => {
                let kind = if *lost { "lost" } else { "state" };
                let line = |one: &Standing| {
                    let name = escape(&one.namespace);
                    format!("{name} {kind} {} {}", one.version, one.root)
                };
                namespaces.iter().map(line).collect()
            }
            RootReport::Moved {
                namespace,
                version,
                root,
                ..
            } => vec![format!("{} moved {version} {root}", escape(namespace))],
            RootReport::Created {
                namespace, owner, ..
            } => vec![format!("{} created {owner}", escape(namespace))],
            RootReport::Reincarnated {
                namespace,
                incarnation,
                ..
            } => vec![format!("{} reincarnated {incarnation}", escape(namespace))],
            RootReport::OwnerChanged {
                namespace, owner, ..
            } => vec![format!("{} owner-changed {owner}", escape(namespace))],
            RootReport::Removed { namespace, .. } => {
                vec![format!("{} removed", escape(namespace))]
            }
        }
    }
}

impl Touched<'_> {
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The key as words of the line of a move.
    pub(crate) fn word(&self) -> String {
        format!(" {} {}", self.kind, escape(self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> RootReport {
        RootReport::Moved {
            namespace: "primary".into(),
            version: 7,
            root: "blake3-01".into(),
            previous: "blake3-00".into(),
            snapshot: "primary@7:blake3-01".into(),
            time: 1.5,
            transactions: Vec::new(),
            changes: [],
        }
    }

    #[test]
    fn a_move_is_one_line_with_its_keys() {
        assert_eq!(moved().lines(), ["primary moved 7 blake3-01"]);
        let (key, kind) = ("b\u{1b}", "unlink");
        assert_eq!(Touched { key, kind }.word(), " unlink b\\u{1b}");
    }

    #[test]
    fn json_says_first_what_it_is() {
        let Halves { before, after } = moved().moved("p").unwrap();
        let (key, kind) = ("b\u{1b}", "unlink");
        let touched = Touched { key, kind }.json().unwrap();
        assert_eq!(
            format!("{before}[{touched}]{after}"),
            "{\"event\":\"moved\",\"namespace\":\"primary\",\"version\":7,\"root\":\"blake3-01\",\
             \"previous\":\"blake3-00\",\"snapshot\":\"primary@7:blake3-01\",\"time\":1.5,\"transactions\":[],\
             \"changes\":[{\"key\":\"b\\u001b\",\"kind\":\"unlink\"}],\"place\":\"p\"}"
        );
    }

    #[test]
    fn a_change_of_hands_names_the_new_owner() {
        let changed = RootReport::OwnerChanged {
            namespace: "n".into(),
            owner: 1001,
            before: 1000,
            time: 1.5,
        };
        assert_eq!(changed.lines(), ["n owner-changed 1001"]);
        assert_eq!(
            changed.json("p").unwrap(),
            "{\"event\":\"owner_changed\",\"namespace\":\"n\",\"owner\":1001,\"before\":1000,\"time\":1.5,\"place\":\"p\"}"
        );
    }

    #[test]
    fn a_state_after_a_loss_says_so() {
        let state = |lost| RootReport::State {
            lost,
            namespaces: vec![Standing {
                namespace: "n".into(),
                owner: 1,
                version: 3,
                root: "r".into(),
            }],
        };
        assert_eq!(state(true).lines(), ["n lost 3 r"]);
        assert_eq!(state(false).lines(), ["n state 3 r"]);
    }
}
