//! Operations on whole namespaces in a run: create, remove, recreate, share with a guest, revoke.

use smol_str::SmolStr;

use super::generate::{self, one_of};
use super::reader::GUEST;
use super::run::Run;
use super::tree::Doing;
use crate::support::{NS, OWNER, key as key_of};

/// Namespaces besides primary.
const OTHERS: [&str; 2] = ["o", "p"];

impl Run {
    /// The initial namespaces.
    pub(super) async fn found(&mut self) {
        if self.random.below(4) > 0 {
            self.make("o").await;
        }
        for _ in 0..self.random.below(4) {
            self.share_or_withdraw().await;
        }
        for (name, doings) in generate::abroad(&mut self.random) {
            for doing in &doings {
                if let Doing::Put(key, _) = doing {
                    self.abroad.push(key.clone());
                }
            }
            if self.machine.newest(name).is_some() {
                self.send_to(name.into(), doings).await;
            }
        }
    }

    /// Writes something where links lead, and possibly changes another link before that is read.
    pub(super) async fn stir(&mut self) {
        let there = self.machine.newest("o").is_some() && !self.abroad.is_empty();
        if !there {
            return;
        }
        let at = self.random.below(self.abroad.len() as u64) as usize;
        let key = self.abroad[at].clone();
        let doing = Doing::Put(key, generate::some_value(&mut self.random));
        self.send_to("o".into(), vec![doing]).await;
        if self.random.below(2) == 0 {
            let to = generate::some_key(&mut self.random).to_string();
            let doing = Doing::Link(key_of("l"), to);
            self.send_to(NS.into(), vec![doing]).await;
        }
    }

    /// An existing namespace; mostly primary.
    pub(super) fn some_namespace(&mut self) -> SmolStr {
        let name = match self.random.below(3) {
            0 => one_of(&mut self.random, &OTHERS),
            _ => NS,
        };
        match self.machine.newest(name) {
            Some(_) => name.into(),
            None => NS.into(),
        }
    }

    async fn make(&mut self, name: &str) {
        let made = self.machine.engine.create_namespace(OWNER, name, None);
        made.await.unwrap();
        self.machine.meet();
        self.machine.sync().await;
    }

    pub(super) async fn make_or_remove(&mut self) {
        let name = one_of(&mut self.random, &OTHERS);
        if self.machine.newest(name).is_none() {
            return self.make(name).await;
        }
        // An answer that a power cut lost cannot be obtained from another life.
        self.settle().await;
        // These are in flight, and take effect before the removal or not at all.
        for _ in 0..self.random.below(4) {
            let doings = generate::transaction(&mut self.random);
            self.send_to(name.into(), doings).await;
        }
        let removed = self.machine.engine.remove_namespace(OWNER, name);
        removed.await.unwrap();
        self.settle().await;
        self.machine.shared.remove(name);
        self.given.remove(name);
        self.machine.sync().await;
        if self.random.below(2) == 0 {
            self.make(name).await;
        }
    }

    pub(super) async fn share_or_withdraw(&mut self) {
        let name = one_of(&mut self.random, &[NS, NS, "o", "p"]);
        if self.machine.newest(name).is_none() {
            return;
        }
        let may = !self.machine.shared.contains(name);
        if self.given.contains(name) || (may && name != NS && self.random.below(3) == 0) {
            return self.give(name, may).await;
        }
        self.share(name, may).await;
    }

    /// Makes the guest, or the instance owner again, the owner of a namespace.
    async fn give(&mut self, name: &str, to_guest: bool) {
        let owner = if to_guest { GUEST } else { OWNER };
        let engine = &self.machine.engine;
        let given = engine.chown_namespace(OWNER, name, owner);
        given.await.unwrap();
        match to_guest {
            true => self.given.insert(name.to_owned()),
            false => self.given.remove(name),
        };
        match to_guest {
            true => self.machine.shared.insert(name.to_owned()),
            false => self.machine.shared.remove(name),
        };
        self.machine.sync().await;
    }

    async fn share(&mut self, name: &str, may: bool) {
        let (engine, uid) = (&self.machine.engine, GUEST);
        let shared = engine.share_namespace(OWNER, name, uid, may);
        shared.await.unwrap();
        match may {
            true => self.machine.shared.insert(name.to_owned()),
            false => self.machine.shared.remove(name),
        };
        self.machine.sync().await;
    }

    /// Before the end, shares most namespaces with the guest, so that it can read to the end.
    pub(super) async fn give_back(&mut self) {
        for name in self.machine.world().newest.keys() {
            if self.random.below(4) > 0 {
                self.share(name, true).await;
            }
        }
    }
}
