//! Transactions that were sent, and what is true once all of them are answered.

use std::collections::BTreeMap;

use kvs_engine::{CommitRequest, Committed, EngineError, ErrorKind};
use tokio::task::JoinHandle;

use super::sight::{Truth, Version};
use super::tree::{Doing, Written};

/// A transaction on its way, and what became of it.
pub(super) struct Sent {
    pub(super) request: CommitRequest,
    pub(super) doings: Vec<Doing>,
    pub(super) task: Option<JoinHandle<Result<Committed, EngineError>>>,
    pub(super) answer: Option<Result<Committed, EngineError>>,
}

/// Plays what was acknowledged on the simple model.
pub(super) fn truth(sent: &[Sent]) -> Truth {
    let mut versions: BTreeMap<u64, Vec<(&Sent, &Committed)>> = BTreeMap::new();
    for sent in sent {
        match sent.answer.as_ref().unwrap() {
            Ok(committed) => {
                let of = versions.entry(committed.position.version).or_default();
                of.push((sent, committed));
            }
            Err(error) => assert!(is_refusal(error.kind), "{error:?}"),
        }
    }
    let mut truth = vec![Version::default()];
    for (version, transactions) in versions {
        assert_eq!(version, truth.len() as u64, "versions are contiguous");
        let mut tree = truth.last().unwrap().tree.clone();
        let mut written = Written::default();
        let root = transactions[0].1.root;
        for (sent, committed) in &transactions {
            assert_eq!(committed.root, root);
            for doing in &sent.doings {
                let done = tree.perform(doing, &mut written);
                assert!(done.is_some(), "{version}: {doing:?} can only be refused");
            }
        }
        let mut numbers: Vec<u64> = transactions
            .iter()
            .map(|(s, _)| s.request.id.number)
            .collect();
        numbers.sort_unstable();
        truth.push(Version {
            root: Some(root),
            numbers,
            tree,
            written,
            done: transactions.iter().map(|(s, _)| short(&s.doings)).collect(),
        });
    }
    Truth(truth)
}

fn short(doings: &[Doing]) -> String {
    let text = format!("{doings:?}")
        .replace("Key(\"", "")
        .replace("\")", "");
    let mut all: Vec<char> = text.chars().collect();
    // Values are one letter many times.
    let mut same = 0;
    let mut last = ' ';
    all.retain(|&letter| {
        same = if letter == last { same + 1 } else { 0 };
        last = letter;
        same < 4
    });
    all.into_iter().collect()
}

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Invalid
            | ErrorKind::NotFound
            | ErrorKind::IsDirectory
            | ErrorKind::NotDirectory
            | ErrorKind::LinkAppend
            | ErrorKind::LinkLoop
    )
}
