//! Transactions that were sent, and the truth once all of them are answered.

use std::collections::BTreeMap;

use kvs_engine::{CommitRequest, Committed, EngineError, ErrorKind};
use tokio::task::JoinHandle;

use super::lives::{LIFE, Lives};
use super::sight::{Truths, Version};
use super::tree::{Doing, Written};

/// A sent transaction and its outcome.
pub(super) struct Sent {
    pub(super) request: CommitRequest,
    pub(super) doings: Vec<Doing>,
    pub(super) task: Option<JoinHandle<Result<Committed, EngineError>>>,
    pub(super) answer: Option<Result<Committed, EngineError>>,
    /// Whether it was sent again because its answer was lost.
    pub(super) again: bool,
}

impl Sent {
    /// Whether both are of one connection and namespace, so that neither may overtake the other.
    pub(super) fn is_of_the_line_of(&self, other: &Sent) -> bool {
        let (one, other) = (&self.request, &other.request);
        one.id.client == other.id.client && one.namespace == other.namespace
    }
}

/// Finds transactions of one connection and namespace that took effect in another order than they
/// were sent. A refused one may take effect later when it is sent again.
pub(super) fn disorder(sent: &[Sent], lives: &Lives) -> Vec<String> {
    let mut newest: BTreeMap<([u8; 16], &str), (u64, u64)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for one in sent.iter().filter(|sent| !sent.again) {
        let Some(Ok(committed)) = &one.answer else {
            continue;
        };
        let (id, name) = (one.request.id, &*one.request.namespace);
        let index = lives.index(name, committed.position);
        let before = newest.entry((id.client, name)).or_default();
        if index < before.0 {
            let (index_before, number) = *before;
            wrong.push(format!(
                "{name}: {} is in version {index}, {number}, sent before it, in {index_before}",
                id.number
            ));
        }
        *before = (index, id.number);
    }
    wrong
}

/// Replays what was acknowledged on the simple model.
pub(super) fn truths(sent: &[Sent], lives: &Lives) -> Truths {
    let mut versions: BTreeMap<(&str, u64), Vec<(&Sent, &Committed)>> = BTreeMap::new();
    for sent in sent {
        match sent.answer.as_ref().unwrap() {
            Ok(committed) => {
                let name = &*sent.request.namespace;
                let index = lives.index(name, committed.position);
                let of = versions.entry((name, index)).or_default();
                of.push((sent, committed));
            }
            Err(error) => assert!(is_refusal(error.kind), "{error:?}"),
        }
    }
    let mut truths = Truths::new();
    for (name, lives) in &lives.0 {
        let truth = truths.entry(name.clone()).or_default();
        for (number, life) in lives.iter().enumerate() {
            let begin = number as u64 * LIFE;
            truth.0.insert(begin, Version::default());
            if let Some((from, root)) = life.continues {
                let kept = truth.0.range(from - from % LIFE..=from);
                let kept: Vec<Version> = kept.map(|(_, version)| version.clone()).collect();
                assert_eq!(kept.len() as u64, from % LIFE + 1, "{name} was at {from}");
                assert!(kept.last().unwrap().root.is_none_or(|own| own == root));
                let kept = kept.into_iter().enumerate();
                truth
                    .0
                    .extend(kept.map(|(at, version)| (begin + at as u64, version)));
            }
            let mut newest = *truth.0.last_key_value().unwrap().0;
            while let Some(transactions) = versions.remove(&(name, newest + 1)) {
                let version = next(&truth.0[&newest], newest + 1, &transactions);
                newest += 1;
                truth.0.insert(newest, version);
            }
        }
    }
    assert!(versions.is_empty(), "versions are contiguous");
    truths
}

fn next(before: &Version, index: u64, transactions: &[(&Sent, &Committed)]) -> Version {
    let mut tree = before.tree.clone();
    let mut written = Written::default();
    let root = transactions[0].1.root;
    for (sent, committed) in transactions {
        assert_eq!(committed.root, root);
        for doing in &sent.doings {
            let done = tree.perform(doing, &mut written);
            assert!(done.is_some(), "{index}: {doing:?} can only be refused");
        }
    }
    let numbers = transactions.iter().map(|(s, _)| s.request.id.number);
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Version {
        root: Some(root),
        numbers,
        tree,
        written,
        done: transactions.iter().map(|(s, _)| short(&s.doings)).collect(),
    }
}

fn short(doings: &[Doing]) -> String {
    let text = format!("{doings:?}")
        .replace("Key(\"", "")
        .replace("\")", "");
    let mut all: Vec<char> = text.chars().collect();
    // Shortens values, which repeat one letter.
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
            | ErrorKind::NoNamespace
    )
}
