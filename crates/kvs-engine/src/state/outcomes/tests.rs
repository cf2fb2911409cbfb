//! Tests of the remembered outcomes.

use super::*;

const USER: Principal = Principal::Uid(0);

fn transaction(client: u8, number: u64, acknowledged: u64) -> TransactionRecord {
    TransactionRecord {
        principal: USER,
        client: [client; 16],
        number,
        acknowledged,
        name: None,
        results: Vec::new(),
        operations: 1,
        effects: Vec::new(),
    }
}

fn version(version: u64, age_ms: u64) -> TookEffect {
    TookEffect {
        version,
        root: Some(Blobref::of(kvs_tree::HashAlgorithm::Blake3, b"")),
        age_ms,
    }
}

fn id(client: u8, number: u64) -> TransactionId {
    TransactionId {
        client: [client; 16],
        number,
    }
}

#[test]
fn a_repeat_gets_the_first_outcome() {
    let mut outcomes = Outcomes::default();
    outcomes.record(&transaction(1, 5, 0), version(17, 0));
    let Seen::Before(outcome) = outcomes.seen(USER, id(1, 5), None, 1) else {
        panic!()
    };
    assert_eq!(
        (outcome.version, outcome.results()),
        (17, vec![OperationResult::Done])
    );
    assert_eq!(outcomes.seen(USER, id(1, 6), None, 1), Seen::Never);
    assert_eq!(
        outcomes.seen(Principal::Uid(7), id(1, 5), None, 1),
        Seen::Never,
        "ids are scoped by principal"
    );
}

#[test]
fn acknowledged_outcomes_are_forgotten_and_never_evaluated_again() {
    let mut outcomes = Outcomes::default();
    for number in 0..1000 {
        outcomes.record(
            &transaction(1, number, number.saturating_sub(10)),
            version(number + 1, 0),
        );
    }
    assert!(outcomes.len() <= 11 + CHUNK as usize);
    assert_eq!(outcomes.seen(USER, id(1, 3), None, 1), Seen::Unknown);
}

#[test]
fn a_repeat_that_a_later_one_overtook_is_not_evaluated() {
    let mut outcomes = Outcomes::default();
    for (number, at) in [(5, 1), (70, 2)] {
        outcomes.record(&transaction(1, number, 0), version(at, 0));
    }
    let knew = Some(Position {
        incarnation: 1,
        version: 0,
    });
    let seen = |client, number| outcomes.seen(USER, id(client, number), knew, 1);
    assert_eq!(
        [4, 6, 69].map(|number| seen(1, number)),
        [(); 3].map(|()| Seen::Overtaken)
    );
    assert_eq!(seen(1, 71), Seen::Never);
    assert_eq!(seen(2, 4), Seen::Never, "of another client");
    // What is not a repeat was not evaluated before.
    assert_eq!(outcomes.seen(USER, id(1, 6), None, 1), Seen::Never);
}

#[test]
fn a_repeat_from_before_the_horizon_is_unknown() {
    let mut outcomes = Outcomes::default();
    outcomes.record(&transaction(1, 0, 0), version(10, 0));
    let late = version(2 * OUTCOME_VERSIONS, 2 * OUTCOME_AGE_MS);
    outcomes.forget_old(late.version, late.age_ms);
    outcomes.record(&transaction(2, 0, 0), late);
    let at = |version| {
        Some(Position {
            incarnation: 1,
            version,
        })
    };
    assert_eq!(outcomes.seen(USER, id(1, 0), at(9), 1), Seen::Unknown);
    assert_eq!(outcomes.seen(USER, id(3, 0), at(10), 1), Seen::Never);
    let other = Some(Position {
        incarnation: 2,
        version: 11,
    });
    assert_eq!(outcomes.seen(USER, id(3, 0), other, 1), Seen::Unknown);
}

#[test]
fn the_number_of_clients_is_bounded() {
    let mut outcomes = Outcomes::default();
    for n in 0..(OUTCOME_CLIENTS as u64 + 10) {
        let mut t = transaction(0, 0, 0);
        t.client[..8].copy_from_slice(&n.to_be_bytes());
        outcomes.record(&t, version(n, 0));
    }
    assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
    assert_eq!(outcomes.silent.size(), OUTCOME_CLIENTS);
    assert!(outcomes.horizon(USER) > 0);
}

#[test]
fn past_the_limit_the_client_that_was_silent_longest_is_forgotten() {
    let mut outcomes = Outcomes::default();
    let client = |n: u64| {
        let mut t = transaction(0, 0, 0);
        t.client[..8].copy_from_slice(&n.to_be_bytes());
        t
    };
    let clients = OUTCOME_CLIENTS as u64;
    for n in 0..clients {
        outcomes.record(&client(n), version(n * STEP + 1, 0));
    }
    let newer = clients * STEP;
    outcomes.record(&client(0), version(newer + 1, 0));
    outcomes.record(&client(clients), version(newer + 2, 0));
    assert!(outcomes.clients.contains_key(&(USER, client(0).client)));
    assert!(!outcomes.clients.contains_key(&(USER, client(1).client)));
    assert_eq!(outcomes.horizon(USER), STEP + 1);
}

#[test]
fn a_user_with_many_clients_has_no_others_forgotten() {
    let client = |caller: Principal, n: u64| {
        let mut t = transaction(0, 0, 0);
        t.principal = caller;
        t.client[..8].copy_from_slice(&n.to_be_bytes());
        t
    };
    let mut outcomes = Outcomes::default();
    let few = 100;
    for n in 0..few {
        outcomes.record(&client(Principal::Uid(1), n), version(n + 1, 0));
    }
    let before = outcomes.clone();
    for n in 0..3 * OUTCOME_CLIENTS as u64 {
        outcomes.record(&client(Principal::Uid(2), n), version(1_000 + n, 0));
    }
    assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
    assert_eq!(outcomes.counts.values().sum::<usize>(), OUTCOME_CLIENTS);
    for n in 0..few {
        assert!(
            outcomes
                .clients
                .contains_key(&(Principal::Uid(1), client(Principal::Uid(1), n).client))
        );
    }
    // What was never sent before is evaluated, however much another user has had forgotten.
    let knew = Some(Position {
        incarnation: 1,
        version: 5,
    });
    assert_eq!(
        outcomes.seen(Principal::Uid(1), id(9, 1), knew, 1),
        Seen::Never
    );
    assert_eq!(
        outcomes.seen(Principal::Uid(2), id(9, 1), knew, 1),
        Seen::Unknown
    );
    assert_eq!(outcomes.forgotten_since(&before).count(), 0);
    // Those who come back to a full table take the place of one who has most.
    outcomes.record(&client(Principal::Uid(1), few), version(1 << 30, 0));
    assert_eq!(
        outcomes.counts.get(&Principal::Uid(1)),
        Some(&(few as usize + 1))
    );
    assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
    let later = outcomes.clone();
    outcomes.forget_of_most();
    assert_eq!(outcomes.forgotten_since(&later).count(), 1);
}

#[test]
fn the_outcomes_of_a_client_are_bounded_and_older_ones_are_unknown() {
    let mut outcomes = Outcomes::default();
    let most = OUTCOMES_PER_CLIENT as u64;
    for number in 0..=most {
        outcomes.record(&transaction(1, number, 0), version(number + 1, 0));
    }
    assert!(outcomes.len() <= OUTCOMES_PER_CLIENT);
    assert_eq!(outcomes.seen(USER, id(1, 0), None, 1), Seen::Unknown);
    let kept = |number| matches!(outcomes.seen(USER, id(1, number), None, 1), Seen::Before(_));
    assert!(kept(CHUNK) && kept(most));
}

#[test]
fn outcomes_that_come_out_of_order_are_found() {
    let mut outcomes = Outcomes::default();
    for (version_number, number) in [(1, 130), (2, 5), (3, 64), (4, 63), (5, 5)] {
        outcomes.record(&transaction(1, number, 0), version(version_number, 0));
    }
    let at = |number| match outcomes.seen(USER, id(1, number), None, 1) {
        Seen::Before(outcome) => outcome.version,
        _ => 0,
    };
    assert_eq!([5, 63, 64, 130, 6].map(at), [5, 4, 3, 1, 0]);
    assert_eq!(outcomes.len(), 4);
}
