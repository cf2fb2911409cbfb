//! The forms of root moves, for `kvs setroot`: a line an event for people, one JSON object an event
//! for programs.

use serde::Serialize;

use super::changes::Who;
use super::escape::escape;
use super::pieces::Halves;

/// Something that happened to the root of a namespace, as it is printed as JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum RootReport {
    /// How things stand.
    State {
        /// Whether moves before it could not be told.
        lost: bool,
        /// The namespaces.
        namespaces: Vec<Standing>,
    },
    /// A root moved.
    Moved {
        /// The namespace.
        namespace: String,
        /// Its new version.
        version: u64,
        /// The new root, a blobref.
        root: String,
        /// The root before.
        previous: String,
        /// A reference to the new state.
        snapshot: String,
        /// When, in seconds since the epoch.
        time: f64,
        /// Who made it: one entry a transaction.
        transactions: Vec<Who>,
        /// The keys that it touched, which may be any number, are printed one by one.
        changes: [(); 0],
    },
    /// A namespace was made.
    Created {
        /// Its name.
        namespace: String,
        /// The user id of its owner.
        owner: u32,
        /// Its incarnation.
        incarnation: u64,
        /// When, in seconds since the epoch.
        time: f64,
    },
    /// A namespace goes on under a new incarnation.
    Reincarnated {
        /// Its name.
        namespace: String,
        /// The new incarnation.
        incarnation: u64,
        /// When, in seconds since the epoch.
        time: f64,
    },
    /// A namespace has another owner.
    OwnerChanged {
        /// Its name.
        namespace: String,
        /// The user id of its owner.
        owner: u32,
        /// The user id of who owned it before.
        before: u32,
        /// When, in seconds since the epoch.
        time: f64,
    },
    /// A namespace was removed.
    Removed {
        /// Its name.
        namespace: String,
        /// When, in seconds since the epoch.
        time: f64,
    },
}

/// Where the root of a namespace stands.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    /// The namespace.
    pub(crate) namespace: String,
    /// The user id of its owner.
    pub(crate) owner: u32,
    /// Its newest version.
    pub(crate) version: u64,
    /// Its root, a blobref.
    pub(crate) root: String,
}

/// A key that was touched.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Touched<'k> {
    /// The key.
    pub(crate) key: &'k str,
    /// `put`, `append`, `unlink`, `mkdir` or `link`.
    pub(crate) kind: &'static str,
}

/// A report and where to go on behind it.
#[derive(Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    report: &'a RootReport,
    place: &'a str,
}

impl RootReport {
    /// One JSON object on one line, not ended, with the place behind the event.
    pub(crate) fn json(&self, place: &str) -> serde_json::Result<String> {
        serde_json::to_string(&Placed {
            report: self,
            place,
        })
    }

    /// The JSON object of a move in two halves: between them stand the keys in brackets.
    pub(crate) fn moved(&self, place: &str) -> serde_json::Result<Halves> {
        let object = self.json(place)?;
        Ok(
            Halves::new(&object, "changes", "[]").unwrap_or_else(|| Halves {
                before: object,
                after: String::new(),
            }),
        )
    }

    /// Lines for people, each beginning with the namespace.
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
    /// A JSON object.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// A part of the line of a move.
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
