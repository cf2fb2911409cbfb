//! The instance owner's waiting commands. They are in a single queue while there are few or all are
//! of one client; otherwise clients take turns. No client waits for everything that another has
//! queued, and the common case costs no more than a queue. Pure.

use std::collections::VecDeque;

use super::command::Command;
use crate::limits::TURN_BYTES;
use crate::turns::Turns;

/// A command, its arrival number, and its cost.
pub(super) struct Queued {
    pub(super) arrived: u64,
    pub(super) command: Command,
    pub(super) cost: u32,
}

/// The client whose commits are in a line; zeros for all other commands.
pub(super) type Client = [u8; 16];

/// Lines of commands by client.
pub(super) struct Lines(pub(super) Turns<Client, VecDeque<Queued>>);

impl Default for Lines {
    fn default() -> Self {
        Self(Turns::new(TURN_BYTES))
    }
}

impl Lines {
    /// Appends a command to the line of a client.
    pub(super) fn push(&mut self, client: Client, queued: Queued) {
        if let Some(line) = self.0.line(client) {
            line.push_back(queued);
        }
    }

    /// The next command by turns.
    pub(super) fn front(&mut self) -> Option<&Queued> {
        self.0.front()?.1.front()
    }

    /// Takes the next command by turns, and the line if that was its client's last one.
    pub(super) fn pop(&mut self) -> Option<(Queued, Option<VecDeque<Queued>>)> {
        let (_, line) = self.0.front()?;
        let queued = line.pop_front()?;
        let empty = line.is_empty();
        let retired = if empty {
            self.0.retire()
        } else {
            self.0.spend(queued.cost);
            None
        };
        Some((queued, retired))
    }
}

/// The waiting commands of the instance owner.
#[derive(Default)]
pub(super) struct OwnerLine {
    /// Taken before those in `lines`.
    first: VecDeque<Queued>,
    /// Their total cost.
    first_cost: u64,
    /// Their client, unless `mixed`.
    client: Client,
    mixed: bool,
    lines: Lines,
}

impl OwnerLine {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.lines.0.is_empty()
    }

    /// Queues a command after those of its client.
    pub(super) fn push(&mut self, queued: Queued) {
        let client = queued.command.client();
        if self.lines.0.is_empty() {
            if self.first.is_empty() {
                (self.client, self.mixed, self.first_cost) = (client, false, 0);
            }
            let same = !self.mixed && client == self.client;
            if same || self.first_cost < u64::from(TURN_BYTES) {
                self.mixed |= !same;
                self.first_cost += u64::from(queued.cost);
                return self.first.push_back(queued);
            }
            // A newcomer must not wait for everything that one other client has queued.
            if !self.mixed
                && let Some(line) = self.lines.0.line(self.client)
            {
                std::mem::swap(line, &mut self.first);
            }
        }
        self.lines.push(client, queued);
    }

    /// The arrival number of the next command.
    pub(super) fn arrived(&mut self) -> Option<u64> {
        let next = match self.first.front() {
            None => self.lines.front(),
            first => first,
        };
        Some(next?.arrived)
    }

    /// Takes the next command.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        if let Some(queued) = self.first.pop_front() {
            self.first_cost = self.first_cost.saturating_sub(queued.cost.into());
            return Some(queued);
        }
        let (queued, retired) = self.lines.pop()?;
        // Reuse its memory.
        if let Some(retired) = retired
            && self.first.capacity() == 0
        {
            self.first = retired;
        }
        Some(queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answers, Token};
    use crate::request::{CommitRequest, Prepared, Principal, TransactionId};
    use kvs_tree::Transaction;

    /// A commit without operations, with this cost.
    fn commit(client: u8, arrived: u64, cost: u32) -> Queued {
        let request = CommitRequest {
            namespace: "primary".into(),
            caller: Principal::Uid(1),
            id: TransactionId {
                client: [client; 16],
                number: arrived,
            },
            acknowledged: 0,
            repeat: None,
            name: None,
            no_merge: false,
            prepared: Prepared::default(),
            transaction: Transaction {
                conditions: Vec::new(),
                operations: Vec::new(),
            },
        };
        Queued {
            arrived,
            command: Command::Commit {
                request: Box::new(request),
                reply: Answers::default().reply(Token::default()),
            },
            cost,
        }
    }

    fn drain(line: &mut OwnerLine) -> Vec<(u8, u64)> {
        let mut order = Vec::new();
        while let Some(next) = line.arrived() {
            let queued = line.pop().unwrap();
            assert_eq!(queued.arrived, next);
            order.push((queued.command.client()[0], queued.arrived));
        }
        assert!(line.is_empty() && line.pop().is_none());
        order
    }

    #[test]
    fn little_comes_out_as_it_came_and_so_does_all_of_one_client() {
        let mut line = OwnerLine::default();
        for round in 0..3 {
            for arrived in 0..16 {
                line.push(commit(arrived as u8 % 3, arrived, 1024));
            }
            let order = drain(&mut line);
            assert!(order.is_sorted_by_key(|one| one.1), "{round}: {order:?}");
            for arrived in 0..5_000 {
                line.push(commit(7, arrived, 2_000));
            }
            assert!(drain(&mut line).is_sorted_by_key(|one| one.1));
        }
    }

    #[test]
    fn who_comes_waits_for_one_turn_of_each_other_client_and_order_holds_within_a_client() {
        let turn = TURN_BYTES as usize / 1024;
        // Clients that have queued very much, then others; also several that filled the common
        // queue before.
        for before in [1, 3] {
            let mut line = OwnerLine::default();
            for arrived in 0..3_000 {
                line.push(commit(1 + (arrived % before) as u8, arrived, 1024));
            }
            for arrived in 3_000..3_010 {
                line.push(commit(100, arrived, 1024));
            }
            let order = drain(&mut line);
            assert_eq!(order.len(), 3_010);
            let last = order.iter().rposition(|one| one.0 == 100).unwrap();
            assert!(
                last <= (2 + before as usize) * turn + 10,
                "{before}: {last}"
            );
            for client in [1, 2, 3, 100] {
                let own = order.iter().filter(|one| one.0 == client);
                assert!(own.is_sorted_by_key(|one| one.1));
            }
        }
    }
}
