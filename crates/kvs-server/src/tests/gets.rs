//! Lookups answered by the fast path return the same as those on the ordinary path.

use super::*;
use kvs_client::{ClientError, LookupAnswer, Namespace, NamespaceCreate};

/// A lookup on the fast path, and one with a tree object, which always takes the ordinary path.
async fn both_ways(
    namespace: &Namespace,
    key: &str,
    inline_max: Option<u64>,
) -> [Result<LookupAnswer, ClientError>; 2] {
    let asked = |treeobj| {
        let mut asked = LookupOptions::new();
        (asked.treeobj, asked.inline_max) = (treeobj, inline_max);
        asked
    };
    let plain = namespace.lookup(key, asked(false)).await;
    let with_object = namespace.lookup(key, asked(true)).await.map(|mut found| {
        assert_eq!(found.treeobj.is_some(), found.entry.is_some());
        found.treeobj = None;
        found
    });
    [plain, with_object]
}

#[tokio::test]
async fn a_lookup_that_is_answered_at_once_tells_what_any_other_tells() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    let transaction = Transaction::new()
        .put("a.b", "1")
        .put("a.long", vec![7; 128])
        .put("a.longer", vec![7; 129])
        .put("a.longest", vec![7; 70_000])
        .put("empty", "")
        .link("l", "a")
        .link("loop", "loop");
    primary.commit(transaction).await.unwrap();
    let keys = [
        "a.b",
        ".a..b.",
        "a.long",
        "a.longer",
        "a.longest",
        "empty",
        "l.b",
        "l",
        "a",
        "a.b.c",
        "none",
        ".",
        "",
        "loop",
    ];
    for round in 0..2 {
        for key in keys {
            for inline_max in [None, Some(0), Some(127), Some(128)] {
                let [plain, with_object] = both_ways(&primary, key, inline_max).await;
                assert_eq!(plain, with_object, "{key:?} up to {inline_max:?}, {round}");
            }
        }
        primary.put("z", "another state").await.unwrap();
    }
}

#[tokio::test]
async fn a_namespace_made_anew_is_another_also_for_lookups_answered_at_once() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let create = NamespaceCreate::named("other");
    let other = client.namespace("other");
    let mut positions = Vec::new();
    for _ in 0..2 {
        client.create_namespace(create.clone()).await.unwrap();
        let put = other.put("k", "x").await.unwrap();
        let [plain, with_object] = both_ways(&other, "k", None).await;
        assert_eq!(plain, with_object);
        assert_eq!(plain.unwrap().position, put.position);
        positions.push(put.position);
        client.remove_namespace("other").await.unwrap();
        let [plain, with_object] = both_ways(&other, "k", None).await;
        assert_eq!(plain, with_object);
        assert_eq!(plain.unwrap_err().code, ErrorCode::NoNamespace);
    }
    assert_ne!(positions.first(), positions.last());
}

#[tokio::test]
async fn who_may_not_read_is_not_answered_at_once() {
    let shared = daemon().await;
    commit(&shared, 1, "secret").await;
    let key = kvs_tree::Key::parse("k").unwrap();
    let seen = |uid| {
        let see = |seen: kvs_engine::Glimpse<'_>| seen.value.to_vec();
        shared
            .engine
            .glimpse(Principal::Uid(uid), "primary", &key, see)
    };
    assert_eq!(seen(OWNER).as_deref(), Some(&b"secret"[..]));
    assert_eq!(seen(OWNER + 1), None);
}
