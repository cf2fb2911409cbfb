//! The fold and the decisions, against simple expectations.

use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::{Blobref, Ctx, Directory, Entry, HashAlgorithm, NoSource, StoreParams, Value};

use super::*;
use crate::error::ErrorKind;
use crate::limits::{EPOCHS, GUEST_PINS, NAMESPACE_EPOCHS, READERS};
use crate::past::GroupInfo;
use crate::reference::SnapshotRef;
use crate::request::{Principal, TransactionId};

const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [7; 32],
};
const OWNER: Principal = Principal::Uid(10);
const GUEST: Principal = Principal::Uid(1000);
const OTHER: Principal = Principal::Uid(1);

fn info(group: u64) -> GroupInfo {
    GroupInfo {
        group,
        epoch: 1,
        time_ms: group * 1000,
        age_ms: group * 1000,
    }
}

fn authority() -> Authority {
    Authority::new(OWNER.uid())
}

fn create(name: &str, owner: Principal, incarnation: u64) -> Change {
    Change::Create {
        name: name.into(),
        owner,
        incarnation,
        root: None,
    }
}

fn share(caller: Principal, principal: Principal, may_read: bool) -> Change {
    Change::Share {
        caller,
        name: "job".into(),
        principal,
        may_read,
    }
}

fn pin(caller: Principal) -> Change {
    Change::Pin {
        snapshot: SnapshotRef {
            namespace: "job".into(),
            version: 0,
            root: Blobref::of(HashAlgorithm::Blake3, b""),
        },
        caller,
        lease_ms: None,
    }
}

/// Decides a change and applies the resulting records.
fn perform(state: &mut State, change: Change) -> Result<Option<Notice>, ErrorKind> {
    let record = state.decide(authority(), change).map_err(|e| e.kind)?;
    let info = info(state.group() + 1);
    Ok(record
        .iter()
        .map(|record| state.apply(info, record).unwrap())
        .last())
}

fn with_job(owner: Principal) -> State {
    let mut state = State::new(&PARAMS);
    perform(&mut state, create("job", owner, 5)).unwrap();
    state
}

fn version(state: &State, version: u64) -> Record {
    transacted(state, version, [1; 16], 0)
}

fn transacted(state: &State, version: u64, client: [u8; 16], acknowledged: u64) -> Record {
    let transaction = TransactionRecord {
        principal: GUEST,
        client,
        number: version,
        acknowledged,
        name: None,
        results: Vec::new(),
        operations: 1,
        effects: Vec::new(),
    };
    Record::Version(Arc::new(VersionRecord {
        namespace: "job".into(),
        incarnation: state
            .namespace("job")
            .map_or(5, |job| job.terms.incarnation),
        version,
        root: Blobref::of(HashAlgorithm::Blake3, &version.to_be_bytes()),
        time_ms: version,
        stamp: version,
        transactions: vec![transaction],
    }))
}

#[test]
fn a_clone_is_not_changed_by_what_comes_later() {
    let mut state = with_job(GUEST);
    let (before, group) = (state.clone(), state.group());
    state.apply(info(2), &version(&state, 1)).unwrap();
    perform(&mut state, share(GUEST, Principal::Uid(7), true)).unwrap();
    perform(&mut state, pin(GUEST)).unwrap();
    perform(&mut state, create("other", OWNER, 6)).unwrap();
    assert_eq!(before.group(), group);
    assert_eq!(before, with_job(GUEST));
    assert_ne!(before, state);
}

#[test]
fn the_head_arrives_where_the_published_state_does_but_for_roots() {
    let mut published = with_job(GUEST);
    let mut head = published.clone();
    let Record::Version(record) = version(&published, 1) else {
        panic!()
    };
    assert_eq!(
        head.open_version("job", info(published.group() + 1))
            .unwrap(),
        1
    );
    for transaction in &record.transactions {
        head.accept("job", transaction);
    }
    let id = TransactionId {
        client: [1; 16],
        number: 1,
    };
    let seen = |state: &State| {
        let job = state.namespace("job").unwrap();
        job.outcomes.seen(GUEST, id, None, 5)
    };
    let Seen::Before(outcome) = seen(&head) else {
        panic!()
    };
    assert_eq!((outcome.version, outcome.root), (1, None));
    let root = record.root;
    published.apply(info(2), &Record::Version(record)).unwrap();
    let Seen::Before(outcome) = seen(&published) else {
        panic!()
    };
    assert_eq!((outcome.version, outcome.root), (1, Some(root)));
    let job = |state: &State| state.namespace("job").unwrap().clone();
    let (head, published) = (job(&head), job(&published));
    assert_eq!(
        (head.version, head.age_ms, &head.terms),
        (published.version, published.age_ms, &published.terms)
    );
}

#[test]
fn a_record_that_cannot_follow_is_corrupt_and_changes_nothing() {
    let state = with_job(GUEST);
    let skips = version(&state, 2);
    let twice = Record::Created {
        namespace: "job".into(),
        owner: OTHER,
        incarnation: 9,
    };
    let absent = Record::Shared {
        namespace: "nosuch".into(),
        principal: OTHER,
    };
    let other = Record::Removed {
        namespace: "job".into(),
        incarnation: 4,
        owner: OTHER,
        readers: Default::default(),
    };
    for record in [skips, twice, absent, other] {
        let mut changed = state.clone();
        let error = changed.apply(info(9), &record).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{record:?}");
        assert_eq!(changed, state);
    }
}

#[test]
fn a_namespace_can_be_removed_and_created_again_before_anything_is_durable() {
    let mut state = with_job(GUEST);
    perform(&mut state, pin(GUEST)).unwrap();
    let remove = || Change::Remove { name: "job".into() };
    let records = state.decide(authority(), remove()).unwrap();
    let cause = Some(Cause::NamespaceRemoved);
    assert_eq!(records.first(), Some(&Record::Unpinned { id: 1, cause }));
    // Without the records of the pins it is refused.
    let mut skipped = state.clone();
    assert!(skipped.apply(info(9), &records[1]).is_err());
    assert_eq!(skipped, state);
    let ended = perform(&mut state, remove());
    assert!(matches!(ended, Ok(Some(Notice::Ended { .. }))));
    assert_eq!(state.pins().count(), 0, "its pins are gone with it");
    assert_eq!(
        perform(&mut state, Change::Remove { name: "job".into() }),
        Ok(None)
    );
    let began = perform(&mut state, create("job", OWNER, 6));
    assert!(matches!(began, Ok(Some(Notice::Began { .. }))));
    let again = perform(&mut state, create("job", OWNER, 7));
    assert_eq!(again, Err(ErrorKind::Exists));
}

#[test]
fn sharing_is_for_the_owners_and_bounded() {
    let mut state = with_job(GUEST);
    let stranger = Principal::Uid(1001);
    let refused = perform(&mut state, share(stranger, stranger, true));
    assert_eq!(refused, Err(ErrorKind::Permission));
    for uid in 0..READERS as u32 {
        perform(&mut state, share(GUEST, Principal::Uid(2000 + uid), true)).unwrap();
    }
    let more = perform(&mut state, share(OWNER, OTHER, true));
    assert_eq!(more, Err(ErrorKind::Limit));
    assert!(perform(&mut state, share(OWNER, Principal::Uid(2000), true)).is_ok());
    perform(&mut state, share(GUEST, Principal::Uid(2000), false)).unwrap();
    assert!(perform(&mut state, share(GUEST, OTHER, true)).is_ok());
}

#[test]
fn a_new_owner_is_no_reader_and_the_one_before_keeps_no_right() {
    let mut state = with_job(GUEST);
    let [next, reader] = [7, 8].map(Principal::Uid);
    for user in [next, reader] {
        perform(&mut state, share(GUEST, user, true)).unwrap();
    }
    let give = |owner| Change::Give {
        name: "job".into(),
        owner,
    };
    let changed = perform(&mut state, give(next)).unwrap();
    let Some(Notice::Terms { before, after, .. }) = changed else {
        panic!("{changed:?}")
    };
    assert_eq!((before.owner, after.owner), (GUEST, next));
    assert_eq!(after.readers.iter().copied().collect::<Vec<_>>(), [reader]);
    assert_eq!(perform(&mut state, give(next)), Ok(None));
    assert!(!authority().may_read(GUEST, &after));
}

#[test]
fn pins_are_counted_where_they_are_decided() {
    let mut state = with_job(GUEST);
    for _ in 0..GUEST_PINS {
        perform(&mut state, pin(GUEST)).unwrap();
    }
    assert_eq!(perform(&mut state, pin(GUEST)), Err(ErrorKind::Limit));
    assert!(
        perform(&mut state, pin(Principal::Uid(1001))).is_ok(),
        "another user's count apart"
    );
    let unpin = |caller, id| Change::Unpin { caller, id };
    let stranger = Principal::Uid(1002);
    assert_eq!(
        perform(&mut state, unpin(stranger, 1)),
        Err(ErrorKind::NotFound),
        "who may not read the namespace does not learn of its pins"
    );
    perform(&mut state, share(GUEST, Principal::Uid(1002), true)).unwrap();
    let refused = perform(&mut state, unpin(stranger, 1));
    assert_eq!(refused, Err(ErrorKind::Permission));
    assert!(perform(&mut state, unpin(GUEST, 1)).is_ok());
    let again = perform(&mut state, unpin(GUEST, 1));
    assert_eq!(again, Err(ErrorKind::NotFound));
    let ids: Vec<u64> = state.pins().map(|pin| pin.id).collect();
    perform(&mut state, pin(GUEST)).unwrap();
    let newest = state.pins().last().map(|pin| pin.id);
    assert_eq!(
        newest,
        ids.last().map(|id| id + 1),
        "ids are not given twice"
    );
    assert_eq!(perform(&mut state, Change::EndLease { id: 1 }), Ok(None));
}

/// Writes changes into the areas, and reads everything back.
struct Disk {
    areas: [Directory; 4],
    written: State,
}

impl Disk {
    fn new() -> Self {
        Self {
            areas: std::array::from_fn(|_| Directory::empty()),
            written: State::new(&PARAMS),
        }
    }

    /// Returns the number of edits.
    fn write(&mut self, state: &mut State) -> usize {
        let changed = state.take_changed();
        let edits = state.edits(&self.written, &changed).unwrap();
        let ctx = Ctx {
            source: &NoSource,
            params: &PARAMS,
        };
        for edit in &edits {
            let directory = &mut self.areas[edit.area as usize];
            edit.apply(directory, &ctx).unwrap();
        }
        self.written = state.clone();
        edits.len()
    }

    fn read(&self) -> State {
        let store = self.written.stored_store().unwrap();
        let mut restore = Restore::new(&PARAMS, &store).unwrap();
        for area in Area::ALL {
            let directory = &self.areas[area as usize];
            for (name, entry) in directory.page(&NoSource, None, usize::MAX).unwrap() {
                match entry {
                    Entry::Value(value) => restore.value(area, &name, &bytes(&value)).unwrap(),
                    Entry::Directory(client) => {
                        let entries = client.page(&NoSource, None, usize::MAX).unwrap();
                        let entries = entries.into_iter().map(|(name, entry)| match entry {
                            Entry::Value(value) => (name, bytes(&value)),
                            _ => panic!(),
                        });
                        restore.client(&name, entries.collect()).unwrap();
                    }
                    Entry::Symlink(_) => panic!(),
                }
            }
        }
        restore.finish()
    }
}

fn bytes(value: &Value) -> Bytes {
    value.read(&NoSource, 0..value.len()).unwrap()
}

#[test]
fn what_was_written_in_parts_is_read_back_as_the_state() {
    let mut state = State::new(&PARAMS);
    let mut disk = Disk::new();
    perform(&mut state, create("job", GUEST, 5)).unwrap();
    perform(&mut state, create("a.b.c", OWNER, 6)).unwrap();
    for round in 0..40_u64 {
        for _ in 0..round % 7 {
            let next = state.namespace("job").unwrap().version + 1;
            let client = [(next % 5) as u8; 16];
            let record = transacted(&state, next, client, next.saturating_sub(200));
            let after = info(state.group() + 1);
            state.apply(after, &record).unwrap();
        }
        match round % 6 {
            0 => drop(perform(&mut state, pin(GUEST)).unwrap()),
            1 => {
                drop(perform(&mut state, share(OWNER, Principal::Uid(7), round % 12 == 1)).unwrap())
            }
            2 => {
                let oldest = state.pins().next().map(|pin| pin.id);
                let id = oldest.unwrap_or(0);
                perform(&mut state, Change::EndLease { id }).unwrap();
            }
            _ => {}
        }
        if round == 30 {
            perform(&mut state, Change::Remove { name: "job".into() }).unwrap();
            perform(&mut state, create("job", OWNER, 7)).unwrap();
        }
        disk.write(&mut state);
        assert_eq!(disk.read(), state, "round {round}");
        assert_eq!(disk.write(&mut state), 0, "nothing is written twice");
    }
}

#[test]
fn what_is_written_grows_with_what_changed_and_not_with_what_there_is() {
    let mut state = with_job(GUEST);
    for n in 0..2000 {
        let name = format!("n{n}");
        perform(&mut state, create(&name, OWNER, 100 + n)).unwrap();
    }
    let mut disk = Disk::new();
    disk.write(&mut state);
    let record = version(&state, 1);
    state.apply(info(9999), &record).unwrap();
    assert_eq!(disk.write(&mut state), 2, "the namespace, and the client");
    assert_eq!(disk.read(), state);
}

#[test]
fn what_could_not_be_written_is_written_next_time() {
    let mut state = with_job(GUEST);
    let mut disk = Disk::new();
    disk.write(&mut state);
    let record = version(&state, 1);
    state.apply(info(2), &record).unwrap();
    let changed = state.take_changed();
    perform(&mut state, pin(GUEST)).unwrap();
    state.give_back(&changed);
    disk.write(&mut state);
    assert_eq!(disk.read(), state);
}

#[test]
fn epochs_come_in_the_order_of_their_numbers_and_the_newest_are_kept() {
    let mut state = State::new(&PARAMS);
    let epoch = |number: u64| Record::Epoch {
        number,
        id: [u8::try_from(number % 251).unwrap(); 16],
    };
    let most = EPOCHS as u64;
    for number in 1..=most + 3 {
        let notice = state.apply(info(10 * number), &epoch(number)).unwrap();
        assert_eq!(notice, Notice::Store);
        assert_eq!(state.epoch().map(|(newest, _)| newest), Some(number));
    }
    assert_eq!(state.epochs.size(), EPOCHS);
    let oldest = state
        .epochs
        .first()
        .map(|(number, one)| (*number, one.group));
    assert_eq!(oldest, Some((4, 40)));
    let before = state.clone();
    for number in [0, 4, most + 3] {
        let refused = state.apply(info(1 << 40), &epoch(number));
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Corrupt, "{number}");
    }
    assert!(state == before, "what is refused changes nothing");
}

#[test]
fn what_the_store_did_itself_is_in_the_state_and_never_goes_back() {
    let mut state = State::new(&PARAMS);
    let root = Blobref::of(HashAlgorithm::Blake3, b"a state");
    let checkpointed = Record::Checkpointed { group: 7, root };
    for record in [
        checkpointed,
        Record::Trimmed { to: 5 },
        Record::Trimmed { to: 3 },
    ] {
        assert_eq!(state.apply(info(9), &record).unwrap(), Notice::Store);
    }
    assert_eq!(state.checkpoint(), Some((7, root)));
    assert_eq!((state.trimmed_to(), state.age_ms()), (5, 9_000));
}

#[test]
fn a_namespace_knows_which_epochs_made_its_versions() {
    let mut state = with_job(GUEST);
    let by = |epoch, group| GroupInfo {
        epoch,
        ..info(group)
    };
    for (number, epoch) in [(1, 1), (2, 3), (3, 3), (4, 7)] {
        let record = version(&state, number);
        state.apply(by(epoch, 10 + number), &record).unwrap();
    }
    let after = |state: &State, epoch| state.namespace("job").unwrap().version_after(epoch);
    let found = [0, 1, 2, 3, 6, 7, 9].map(|epoch| after(&state, epoch));
    let expected = [None, Some(1), Some(1), Some(3), Some(3), Some(4), Some(4)];
    assert_eq!(found, expected);
    let record = Record::Reincarnated {
        namespace: "job".into(),
        incarnation: 77,
        cause: Cause::MayHaveLost,
    };
    state.apply(by(8, 20), &record).unwrap();
    assert_eq!([7, 8].map(|epoch| after(&state, epoch)), [None, Some(4)]);
}

#[test]
fn of_many_epochs_the_newest_are_known() {
    let mut state = with_job(GUEST);
    let most = NAMESPACE_EPOCHS as u64;
    for number in 1..=most + 4 {
        let record = version(&state, number);
        let info = GroupInfo {
            epoch: number + 1,
            ..info(number + 1)
        };
        state.apply(info, &record).unwrap();
    }
    let job = state.namespace("job").unwrap();
    assert_eq!(job.epochs.len(), NAMESPACE_EPOCHS);
    assert_eq!(job.version_after(most + 5), Some(most + 4));
    assert_eq!(job.version_after(5), None);
    assert_eq!(job.version_after(6), Some(5));
}
