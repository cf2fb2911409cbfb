//! Engine cases: puts from the session to the journal and back.

use std::collections::VecDeque;
use std::future::poll_fn;

use anyhow::Context;
use bytes::Bytes;
use kvs_engine::{
    Answers, CommitRequest, Engine, EngineConfig, Environment, PRIMARY, Principal, SimDisk, Token,
    TransactionId,
};
use kvs_tree::{Key, Operation, Transaction};

/// Number of keys in the directory that receives the puts.
const KEYS: u64 = 1000;

/// Number of puts submitted together; the engine makes two groups of them.
const GROUP: u64 = 128;

/// Puts of 64 bytes, submitted [`GROUP`] at a time.
pub(crate) fn commit_groups(rounds: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let environment = Environment::simulated(SimDisk::new(), 7);
        let engine = Engine::open(EngineConfig::new("/store", 0), environment).await?;
        let mut number = 0;
        for _ in 0..KEYS.div_ceil(GROUP) {
            group(&engine, &mut number).await?;
        }
        for _ in 0..rounds {
            group(&engine, &mut number).await?;
        }
        Ok(())
    })
}

async fn group(engine: &Engine, number: &mut u64) -> anyhow::Result<()> {
    let requests: anyhow::Result<Vec<_>> = (*number..*number + GROUP).map(put).collect();
    *number += GROUP;
    let (mut answers, mut taken) = (Answers::default(), VecDeque::new());
    let requests = requests?.into_iter().map(|put| (Token::default(), put));
    engine.submit_all(Principal::Uid(0), &answers, requests);
    let mut unanswered = GROUP;
    while unanswered > 0 {
        poll_fn(|cx| answers.poll_take(cx, &mut taken)).await;
        for (_, answer) in taken.drain(..) {
            answer?;
            unanswered -= 1;
        }
    }
    Ok(())
}

fn put(number: u64) -> anyhow::Result<CommitRequest> {
    let mut value = [b'x'; 64];
    let bytes = number.to_be_bytes();
    value
        .get_mut(..8)
        .context("8 of 64")?
        .copy_from_slice(&bytes);
    let operation = Operation::Put {
        key: Key::parse(&format!("bench.key{}", number % KEYS))?,
        value: Bytes::copy_from_slice(&value),
    };
    Ok(CommitRequest {
        namespace: PRIMARY.into(),
        caller: Principal::Uid(0),
        id: TransactionId {
            client: [1; 16],
            number: number + 1,
        },
        acknowledged: (number + 1).saturating_sub(2 * GROUP),
        repeat: None,
        name: None,
        no_merge: false,
        prepared: kvs_engine::Prepared::default(),
        transaction: Transaction {
            conditions: Vec::new(),
            operations: vec![operation],
        },
    })
}
