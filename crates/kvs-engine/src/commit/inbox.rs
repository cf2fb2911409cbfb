//! The queue of the commit task. Commands come in batches: a session hands over everything it has
//! read at once, and the task is woken once for it.
//!
//! Commands of the instance owner and of guests are taken in order of arrival until one side is a
//! turn ahead; then the two alternate. Guests share their turns by user, and each user's by client;
//! so do the instance owner's clients once one of them has queued much. Order holds within a
//! client, and no client waits for everything that another has queued. Guests wait for the next
//! group once they have used their share of one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::mpsc;

use super::command::{Command, refuse};
use super::line::{Lines, OwnerLine, Queued};
use crate::answers::Wakes;
use crate::error::{EngineError, ErrorKind};
use crate::limits::{GUEST_INBOX, INBOX, TURN_BYTES};
use crate::request::{Principal, Tenant};
use crate::turns::Turns;

/// Commands of one tenant.
struct Batch {
    tenant: Tenant,
    commands: Vec<Command>,
}

/// How many commands wait.
#[derive(Default)]
struct Waiting {
    owner: AtomicUsize,
    guests: AtomicUsize,
    each: Mutex<HashMap<Principal, usize, RandomState>>,
}

impl Waiting {
    /// Counts commands in, unless they exceed the tenant's limit.
    fn enter(&self, tenant: Tenant, count: usize, bounded: bool) -> Result<(), usize> {
        let (all, most) = match tenant {
            Tenant::Owner => (&self.owner, INBOX),
            Tenant::Guest(guest) => {
                let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
                let own = each.entry(guest).or_default();
                if bounded && *own >= GUEST_INBOX {
                    return Err(GUEST_INBOX);
                }
                *own += count;
                (&self.guests, INBOX)
            }
        };
        if bounded && all.load(Ordering::Relaxed) >= most {
            self.forget(tenant, count);
            return Err(most);
        }
        all.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Counts commands out.
    fn leave(&self, tenant: Tenant, count: usize) {
        let all = match tenant {
            Tenant::Owner => &self.owner,
            Tenant::Guest(_) => &self.guests,
        };
        all.fetch_sub(count, Ordering::Relaxed);
        self.forget(tenant, count);
    }

    fn forget(&self, tenant: Tenant, count: usize) {
        if let Tenant::Guest(guest) = tenant {
            let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(own) = each.get_mut(&guest) {
                *own = own.saturating_sub(count);
                if *own == 0 {
                    each.remove(&guest);
                }
            }
        }
    }
}

/// The sending side.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<Batch>,
    waiting: Arc<Waiting>,
}

/// An inbox that does not keep the commit task running.
#[derive(Clone)]
pub(crate) struct WeakInbox {
    sender: mpsc::WeakUnboundedSender<Batch>,
    waiting: Arc<Waiting>,
}

/// The receiving side, owned by the commit task.
pub(crate) struct Queue {
    receiver: mpsc::UnboundedReceiver<Batch>,
    waiting: Arc<Waiting>,
    owner: OwnerLine,
    guests: Turns<Principal, Lines>,
    /// Cost by which the instance owner is ahead of waiting guests; negative if behind.
    ahead: i64,
    arrived: u64,
}

/// An empty inbox and its queue.
pub(crate) fn inbox() -> (Inbox, Queue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(Waiting::default());
    let inbox = Inbox {
        sender,
        waiting: waiting.clone(),
    };
    let queue = Queue {
        receiver,
        waiting,
        owner: OwnerLine::default(),
        guests: Turns::new(TURN_BYTES),
        ahead: 0,
        arrived: 0,
    };
    (inbox, queue)
}

impl Inbox {
    /// Queues transactions of one tenant, in order. All are refused if the tenant's limit is
    /// exceeded or the commit task has ended.
    pub(crate) fn send_all(&self, tenant: Tenant, commits: Vec<Command>) {
        let sent = self.push(tenant, commits, true);
        if let Err((commits, error)) = sent {
            let mut wakes = Wakes::default();
            for commit in commits {
                refuse(commit, error.clone(), &mut wakes);
            }
        }
    }

    /// Queues a command, without a limit.
    ///
    /// # Errors
    /// `Unavailable` if the commit task has ended. The command is answered with it, too.
    pub(crate) fn send(&self, tenant: Tenant, command: Command) -> Result<(), EngineError> {
        let sent = self.push(tenant, vec![command], false);
        sent.map_err(|(commands, error)| {
            let mut wakes = Wakes::default();
            for command in commands {
                refuse(command, error.clone(), &mut wakes);
            }
            error
        })
    }

    fn push(
        &self,
        tenant: Tenant,
        commands: Vec<Command>,
        bounded: bool,
    ) -> Result<(), (Vec<Command>, EngineError)> {
        let count = commands.len();
        if let Err(most) = self.waiting.enter(tenant, count, bounded) {
            let message = format!("{most} requests wait already, try again");
            return Err((commands, EngineError::new(ErrorKind::Busy, message)));
        }
        let batch = Batch { tenant, commands };
        self.sender.send(batch).map_err(|unsent| {
            self.waiting.leave(tenant, count);
            (unsent.0.commands, EngineError::stopped())
        })
    }

    /// The same inbox, without keeping the commit task running.
    pub(crate) fn downgrade(&self) -> WeakInbox {
        WeakInbox {
            sender: self.sender.downgrade(),
            waiting: self.waiting.clone(),
        }
    }
}

impl WeakInbox {
    /// The inbox, if a strong one still exists.
    pub(crate) fn upgrade(&self) -> Option<Inbox> {
        Some(Inbox {
            sender: self.sender.upgrade()?,
            waiting: self.waiting.clone(),
        })
    }
}

impl Queue {
    /// How many commands wait.
    pub(crate) fn len(&self) -> usize {
        let Waiting { owner, guests, .. } = &*self.waiting;
        owner.load(Ordering::Relaxed) + guests.load(Ordering::Relaxed)
    }

    /// Whether received commands of guests wait.
    pub(crate) fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    /// Waits until there is a command to take; those of guests count only if `guests`. Returns
    /// false once all senders are gone. Cancel-safe.
    pub(crate) async fn wait(&mut self, guests: bool) -> bool {
        while self.owner.is_empty() && (self.guests.is_empty() || !guests) {
            match self.receiver.recv().await {
                Some(batch) => self.sort(batch),
                // Commands of guests must be taken before the end is reported.
                None if !self.guests.is_empty() => std::future::pending().await,
                None => return false,
            }
        }
        true
    }

    fn sort(&mut self, batch: Batch) {
        for command in batch.commands {
            self.arrived += 1;
            let queued = Queued {
                arrived: self.arrived,
                cost: command.cost(),
                command,
            };
            match batch.tenant {
                Tenant::Owner => self.owner.push(queued),
                Tenant::Guest(guest) => {
                    let client = queued.command.client();
                    if let Some(lines) = self.guests.line(guest) {
                        lines.push(client, queued);
                    }
                }
            }
        }
    }

    /// Whether the instance owner's next command comes before the guests'; both have one.
    fn owner_is_next(&mut self) -> bool {
        let turn = i64::from(TURN_BYTES);
        if self.ahead.abs() >= turn {
            return self.ahead < 0;
        }
        let guest = self.guests.front();
        let guest = guest.and_then(|(_, lines)| Some(lines.front()?.arrived));
        self.owner.arrived() < guest
    }

    /// The next command and its tenant; those of guests only if `guests`.
    pub(crate) fn take(&mut self, guests: bool) -> Option<(Tenant, Command)> {
        // While guests wait, clients that arrived meanwhile get a turn before others get their
        // second.
        while (self.owner.is_empty() || !self.guests.is_empty())
            && let Ok(batch) = self.receiver.try_recv()
        {
            self.sort(batch);
        }
        let guests = guests && !self.guests.is_empty();
        if !guests || (!self.owner.is_empty() && self.owner_is_next()) {
            let Queued { command, cost, .. } = self.owner.pop()?;
            self.waiting.leave(Tenant::Owner, 1);
            let turn = i64::from(TURN_BYTES);
            self.ahead = match guests {
                true => (self.ahead + i64::from(cost)).min(turn),
                false => 0,
            };
            return Some((Tenant::Owner, command));
        }
        let (guest, lines) = self.guests.front()?;
        let (Queued { command, cost, .. }, _) = lines.pop()?;
        match lines.0.is_empty() {
            true => drop(self.guests.retire()),
            false => self.guests.spend(cost),
        }
        self.ahead = (self.ahead - i64::from(cost)).max(-i64::from(TURN_BYTES));
        let tenant = Tenant::Guest(guest);
        self.waiting.leave(tenant, 1);
        Some((tenant, command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    type Answer = oneshot::Receiver<Result<(), EngineError>>;

    fn sync() -> (Command, Answer) {
        let (reply, answer) = oneshot::channel();
        (Command::Sync { reply }, answer)
    }

    fn syncs(count: usize) -> (Vec<Command>, Vec<Answer>) {
        (0..count).map(|_| sync()).unzip()
    }

    #[tokio::test]
    async fn commands_come_out_one_by_one_in_their_order() {
        let (inbox, mut queue) = inbox();
        let (mut commands, mut answers) = syncs(5);
        let last = commands.split_off(3);
        inbox.send_all(Tenant::Owner, commands);
        inbox.send_all(Tenant::Owner, last);
        assert!(queue.wait(true).await);
        for left in (0..5).rev() {
            let Some((Tenant::Owner, Command::Sync { reply })) = queue.take(true) else {
                panic!("{left} are left");
            };
            assert_eq!(queue.len(), left);
            reply.send(Ok(())).unwrap();
            assert_eq!(answers.remove(0).await.unwrap().ok(), Some(()));
        }
        assert!(queue.take(true).is_none());
        let weak = inbox.downgrade();
        drop(inbox);
        assert!(!queue.wait(true).await && weak.upgrade().is_none());
    }

    #[tokio::test]
    async fn who_comes_to_a_full_inbox_or_too_late_is_told_so() {
        let (inbox, queue) = inbox();
        let guests = [
            Tenant::Guest(Principal::Uid(1)),
            Tenant::Guest(Principal::Uid(2)),
        ];
        for (tenant, most) in [
            (guests[0], GUEST_INBOX),
            (Tenant::Owner, INBOX),
            // One tenant's use of its limit does not reduce another's.
            (guests[1], GUEST_INBOX),
        ] {
            let (mut commands, mut answers) = syncs(most + 1);
            let last = commands.split_off(most);
            inbox.send_all(tenant, commands);
            inbox.send_all(tenant, last);
            let refused = answers.pop().unwrap().await.unwrap().unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Busy);
            assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
        }
        drop(queue);
        let (command, answer) = sync();
        assert!(inbox.send(Tenant::Owner, command).is_err());
        let refused = answer.await.unwrap().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn nobody_waits_for_all_that_another_has_queued() {
        let (inbox, mut queue) = inbox();
        let (flood, _flooded) = syncs(2_000);
        let (few, _few) = syncs(3);
        let (own, _own) = syncs(40);
        inbox.send_all(Tenant::Guest(Principal::Uid(1)), flood);
        assert!(queue.wait(true).await);
        assert_eq!(
            queue.take(true).unwrap().0,
            Tenant::Guest(Principal::Uid(1))
        );
        inbox.send_all(Tenant::Guest(Principal::Uid(2)), few);
        inbox.send_all(Tenant::Owner, own);
        let order: Vec<Tenant> = std::iter::from_fn(|| Some(queue.take(true)?.0)).collect();
        let turn = TURN_BYTES as usize / 1024;
        let last = |who| order.iter().rposition(|tenant| *tenant == who).unwrap();
        assert!(last(Tenant::Owner) <= 80 + turn, "{}", last(Tenant::Owner));
        assert!(
            last(Tenant::Guest(Principal::Uid(2))) <= 4 * turn,
            "{}",
            last(Tenant::Guest(Principal::Uid(2)))
        );
        assert_eq!((order.len(), queue.len()), (2_042, 0));
    }

    #[tokio::test]
    async fn what_is_not_much_comes_out_as_it_came() {
        let (inbox, mut queue) = inbox();
        let mut answers = Vec::new();
        let came = [3, 3, 0, 3, 0, 0, 3];
        for who in came {
            let (command, answer) = sync();
            answers.push(answer);
            let tenant = match who {
                0 => Tenant::Owner,
                uid => Tenant::Guest(Principal::Uid(uid)),
            };
            inbox.send(tenant, command).unwrap();
        }
        let owner = |tenant: &Tenant| !tenant.is_guest();
        let order: Vec<_> = std::iter::from_fn(|| Some(queue.take(true)?.0)).collect();
        let owners: Vec<_> = order.iter().map(owner).collect();
        assert_eq!(owners, came.map(|who| who == 0));
    }

    #[tokio::test]
    async fn guests_wait_while_they_may_have_nothing_and_lose_nothing() {
        let (inbox, mut queue) = inbox();
        let (commands, _answers) = syncs(10);
        inbox.send_all(Tenant::Guest(Principal::Uid(1)), commands);
        assert!(queue.wait(true).await);
        assert!(queue.take(false).is_none());
        let (command, _answer) = sync();
        inbox.send(Tenant::Owner, command).unwrap();
        assert!(queue.wait(false).await);
        assert_eq!(queue.take(false).unwrap().0, Tenant::Owner);
        drop(inbox);
        // The end is reported after their commands.
        tokio::select! {
            biased;
            _ = queue.wait(false) => panic!("there is nothing to take"),
            () = tokio::task::yield_now() => {}
        }
        for _ in 0..10 {
            assert!(queue.wait(true).await);
            assert_eq!(
                queue.take(true).unwrap().0,
                Tenant::Guest(Principal::Uid(1))
            );
        }
        assert!(!queue.wait(true).await);
    }
}
