//! A guest who floods the daemon in any way hurts nobody else, and holds no more than it may.

use clap::ValueEnum as _;
use kvs_acceptance::{Fairness, Flood};
use kvs_testkit::has_root;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_any_flood_of_a_guest_the_owner_is_answered_and_the_guest_holds_no_more_than_it_may()
{
    if !has_root() {
        return;
    }
    let run = Fairness {
        rounds: 1,
        puts: 20,
        seconds: 60,
        least_ms: 0,
        only: Vec::new(),
        versions: 512,
        flooder: Some(env!("CARGO_BIN_EXE_measure").into()),
    };
    // It fails if a put is refused, if a flood comes to an end, or if the daemon does not end well.
    let report = run.run(&std::env::temp_dir()).await.unwrap();
    for flood in Flood::value_variants() {
        let name = flood.name().replace('-', "_");
        if *flood == Flood::Spin {
            continue;
        }
        let held = report.value(&format!("{name}_held_mib")).unwrap();
        assert!(held <= Fairness::HELD_MIB, "{name}: {held} MiB are held");
    }
    let held = report.value("unread_held_mib").unwrap();
    assert!(held > 1.0, "what is held is not counted: {held} MiB");
}
