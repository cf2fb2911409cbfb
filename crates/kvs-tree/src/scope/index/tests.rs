//! Compares the index with matching patterns one by one, and bounds the cost of a search.

use proptest::prelude::*;

use super::*;
use crate::key::Key;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn glob(text: &str) -> GlobPattern {
    GlobPattern::parse(text).unwrap()
}

fn index<'a>(patterns: impl IntoIterator<Item = &'a str>) -> PatternIndex<String> {
    let mut index = PatternIndex::default();
    for text in patterns {
        index.insert(&glob(text), text.to_owned());
    }
    index
}

/// Searches in slices of `slice` visits; returns the matches and the total number of visits.
fn find(
    index: &PatternIndex<String>,
    text: &str,
    below: bool,
    slice: usize,
) -> (Vec<String>, usize) {
    let (mut search, mut found, mut visited) = (PatternSearch::default(), Vec::new(), 0);
    index.begin(&mut search, &key(text), below);
    loop {
        let mut left = slice;
        let done = index.search(&mut search, &mut left, |id| {
            found.push(index.get(id).unwrap().clone());
        });
        visited += slice - left;
        if done {
            found.sort();
            return (found, visited);
        }
    }
}

/// Patterns of every kind with a number to vary, none of which matches `a.b.c` or `a.b.c7`.
const MANY: [&str; 14] = [
    "*.b.kN",
    "**.kN",
    "a.b.*kN",
    "a.b.kN*",
    "**.*x*N.**",
    "?.?.?N?",
    "a.[a-z].N",
    "a.[!x-z].*[0-9]kN",
    "**.a.**.b.**.kN.**",
    "*.*.*.N",
    "a.b.kN.**",
    "*a*.*b*.*c*N",
    "a.?*.??N",
    "**.b.**.c.**.N.**",
];

#[test]
fn a_key_costs_the_nodes_that_are_alive_and_not_the_number_of_patterns() {
    for kind in MANY {
        let visits = |count: usize| {
            let all: Vec<String> = (0..count)
                .map(|n| kind.replace('N', &n.to_string()))
                .collect();
            let index = index(all.iter().map(String::as_str));
            assert_eq!(index.len(), count);
            let (found, plain) = find(&index, "a.b.c", false, usize::MAX);
            assert!(found.is_empty(), "{kind} {found:?}");
            let (found, other) = find(&index, "a.b.some-name", false, usize::MAX);
            assert!(found.is_empty(), "{kind} {found:?}");
            plain + other
        };
        let (few, many) = (visits(10), visits(10_000));
        assert!(
            many <= few + 8,
            "{kind}: {few} visits among 10, {many} among 10,000"
        );
        assert!(many < 200, "{kind}: {many} visits");
    }
}

#[test]
fn what_was_added_and_removed_leaves_no_node_behind() {
    let mut index = PatternIndex::default();
    index.insert(&glob("a.*.z"), 0);
    let before = index.nodes();
    for round in 0..3 {
        for kind in MANY {
            for n in 0..200 {
                index.insert(&glob(&kind.replace('N', &n.to_string())), n);
            }
        }
        let mut all: Vec<_> = MANY
            .iter()
            .flat_map(|kind| (0..200).map(move |n| kind.replace('N', &n.to_string())))
            .collect();
        if round == 1 {
            all.reverse();
        }
        for text in &all {
            let id = index.find(&glob(text)).unwrap();
            assert!(index.remove(id).is_some() && index.remove(id).is_none());
            assert!(index.find(&glob(text)).is_none(), "{text}");
        }
        index.tidy();
        assert_eq!((index.nodes(), index.len()), (before, 1));
        assert!(index.classes.is_empty());
    }
    index.remove(index.find(&glob("a.*.z")).unwrap());
    index.tidy();
    assert_eq!((index.nodes(), index.len()), (1, 0));
}

#[test]
fn what_is_removed_and_added_during_a_search_does_not_harm_it() {
    let mut index = index(["a.*", "a.b*", "**", "a.[bc]", "x.y.*"]);
    let mut search = PatternSearch::default();
    let mut found = Vec::new();
    index.begin(&mut search, &key("a.b"), false);
    for round in 0.. {
        let done = index.search(&mut search, &mut 1, |id| found.push(id));
        if done {
            break;
        }
        let text = format!("a.b.q{round}.*");
        index.insert(&glob(&text), text.clone());
        if round == 2 {
            index.remove(index.find(&glob("a.b*")).unwrap());
            index.remove(index.find(&glob("x.y.*")).unwrap());
        }
    }
    let mut names: Vec<_> = found.iter().filter_map(|id| index.get(*id)).collect();
    names.sort();
    assert_eq!(names, ["**", "a.*", "a.[bc]"]);
    index.tidy();
    assert!(index.find(&glob("a.b*")).is_none());
}

#[test]
fn a_subtree_is_walked_once_however_many_nodes_above_it_are_alive() {
    let texts: Vec<String> = (0..100).map(|n| format!("**.a.**.b{n}")).collect();
    let index = index(texts.iter().map(String::as_str));
    let (found, visits) = find(&index, "a.a.a.a", true, usize::MAX);
    assert_eq!(found.len(), 100);
    assert!(visits < 200, "{visits}");
}

proptest! {
    #[test]
    fn an_index_finds_what_each_pattern_matches_by_itself_in_slices_of_any_size(
        patterns in prop::collection::btree_set(
            prop::collection::vec(
                prop_oneof![
                    "[ab]", "[*]", "[*][*]", "[ab*?]{1,4}", Just("[a-b]".to_owned()), Just("[!a]*".to_owned()), Just("x[ab]".to_owned()),
                ],
                1..5,
            ).prop_map(|parts| parts.join(".")),
            0..12,
        ),
        removed in prop::collection::vec(any::<bool>(), 12),
        names in prop::collection::vec("[abx]{1,3}", 0..5),
        below in any::<bool>(),
        slice in 1_usize..6,
    ) {
        let mut index = index(patterns.iter().map(String::as_str));
        let mut kept = Vec::new();
        for (text, removed) in patterns.iter().zip(&removed) {
            match (removed, index.find(&glob(text))) {
                (true, Some(id)) => drop(index.remove(id)),
                _ => kept.push(glob(text)),
            }
        }
        if slice % 2 == 0 {
            index.tidy();
        }
        let text = if names.is_empty() { ".".to_owned() } else { names.join(".") };
        // Patterns that differ only in their text, as `***` and `**` in a name, are one.
        let wanted = kept.iter().filter(|one| {
            one.matches(&key(&text)) || (below && one.may_match_below(&key(&text)))
        });
        let mut wanted: Vec<_> = wanted.filter_map(|one| index.find(one)).collect();
        wanted.sort();
        wanted.dedup();
        let (mut search, mut found) = (PatternSearch::default(), Vec::new());
        index.begin(&mut search, &key(&text), below);
        while !index.search(&mut search, &mut slice.clone(), |id| found.push(id)) {}
        found.sort();
        prop_assert_eq!(&found, &wanted);
        prop_assert_eq!(index.matches(&mut search, &key(&text), below), !wanted.is_empty());
    }
}
