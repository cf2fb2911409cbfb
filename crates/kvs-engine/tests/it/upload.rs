//! Values that are uploaded in pieces.

use bytes::Bytes;
use kvs_engine::{At, CommitRequest, CrashVariant, ErrorKind, SimDisk, Upload};
use kvs_tree::{Entry, StoreParams, Value};

use crate::support::*;

const MANY: u64 = 1 << 40;

/// Bytes without repeated chunks.
fn content(len: usize) -> Bytes {
    let mut random = Random(len as u64);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(random.below(u64::MAX).to_be_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

async fn upload(sim: &Sim, value: &Bytes, piece: usize) -> Upload {
    let mut upload = sim.engine.upload(OWNER, "primary", MANY).unwrap();
    let mut rest = value.clone();
    while !rest.is_empty() {
        let next = rest.split_to(piece.min(rest.len()));
        upload.append(next).await.unwrap();
    }
    assert_eq!(upload.len(), value.len() as u64);
    upload
}

/// A request that puts the uploaded value.
async fn taking(sim: &Sim, at: &str, upload: Upload) -> CommitRequest {
    let mut request = sim.request(vec![put(at, "")]);
    sim.engine.take_upload(upload, &mut request, 0).await;
    request
}

async fn put_upload(sim: &Sim, at: &str, value: &Bytes, piece: usize) {
    let upload = upload(sim, value, piece).await;
    let request = taking(sim, at, upload).await;
    sim.engine.commit(request).await.unwrap();
}

/// The numbers of finished and unfinished pack files on the disk.
fn packs(disk: &SimDisk) -> (usize, usize) {
    let files = disk.files();
    let ending = |end: &str| {
        let names = files.iter().map(|file| file.to_string_lossy());
        let of_trees = names.filter(|name| name.contains("/packs/") && name.ends_with(end));
        of_trees.count()
    };
    (ending(".pack"), ending(".tmp"))
}

#[tokio::test(start_paused = true)]
async fn what_is_uploaded_is_the_value_that_a_put_makes_whatever_the_pieces() {
    let sim = Sim::new().await;
    let mib = 1 << 20;
    for (len, piece) in [
        (0, 1),
        (1000, 7),
        (64 << 10, 1000),
        ((64 << 10) + 1, 1 << 20),
        (mib - 1, 60_000),
        (mib, mib),
        (mib + 1, 4 * mib),
        (3 * mib + 17, 100_001),
        (11 * mib + 5, mib),
    ] {
        let value = content(len);
        put_upload(&sim, "up", &value, piece).await;
        assert_eq!(sim.get("up").await.unwrap(), value, "{len} by {piece}");
        let view = sim.view(At::Current).await;
        let found = view.lookup(&key("up"), true).await.unwrap().unwrap();
        let Entry::Value(found) = found.entry else {
            panic!()
        };
        let params = StoreParams {
            algorithm: sim.engine.algorithm(),
            split_key: [0; 32],
        };
        let at_once = Value::new(&params, value);
        assert_eq!(view.blobref(&found), at_once.blobref(&params), "{len}");
    }
    let sim = sim.restart().await;
    assert_eq!(sim.get("up").await.unwrap(), content(11 * mib + 5));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_no_commit_takes_leaves_nothing() {
    let disk = SimDisk::unrecorded();
    let sim = Sim::with(config(), disk.clone()).await;
    let before = packs(&disk);
    let upload = upload(&sim, &content(5 << 20), 1 << 20).await;
    assert_eq!(packs(&disk).1, 1, "it is on the disk as it comes");
    drop(upload);
    assert_eq!(packs(&disk), before);
    let mut upload = sim.engine.upload(OWNER, "primary", 1000).unwrap();
    upload.append(content(1000)).await.unwrap();
    let refused = upload.append(content(1)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooBig);
    let request = taking(&sim, "up", upload).await;
    let refused = sim.engine.commit(request).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "it has failed");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_a_power_cut_interrupts_leaves_no_pack_and_one_that_was_committed_is_whole()
{
    let disk = SimDisk::new();
    let sim = Sim::with(config(), disk.clone()).await;
    sim.put("a", "1").await;
    let begun = disk.operations();
    let value = content((3 << 20) + 100);
    let upload = upload(&sim, &value, 1 << 20).await;
    let sent = disk.operations();
    let request = taking(&sim, "big", upload).await;
    sim.engine.commit(request).await.unwrap();
    let committed = disk.operations();
    let mut points = disk.crash_points();
    loop {
        let at = points.operation();
        if at >= begun {
            for variant in [
                CrashVariant::Lost,
                CrashVariant::Kept,
                CrashVariant::Mixed(at as u64),
                CrashVariant::Torn(at as u64),
            ] {
                let image = points.image(variant);
                let sim = Sim::with(config(), image.clone()).await;
                assert_eq!(sim.get("a").await.unwrap(), "1");
                match sim.get("big").await {
                    Some(found) => assert_eq!(found, value),
                    None => assert!(at < committed, "{at}"),
                }
                let (whole, unfinished) = packs(&image);
                assert_eq!(unfinished, 0, "{at}");
                assert!(whole == 0 || at > sent, "{at}: {whole} packs");
            }
        }
        if !points.advance() {
            break;
        }
    }
}
