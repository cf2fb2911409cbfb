//! What waits for the commit task. Commands come in batches: a session hands over at once all that it
//! has read, and the task is woken once for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::command::{Command, refuse};
use crate::error::{EngineError, ErrorKind};
use crate::limits::INBOX;

/// Where commands are put.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<Vec<Command>>,
    waiting: Arc<AtomicUsize>,
}

/// An inbox that does not keep the commit task going.
#[derive(Clone)]
pub(crate) struct WeakInbox {
    sender: mpsc::WeakUnboundedSender<Vec<Command>>,
    waiting: Arc<AtomicUsize>,
}

/// Where the commit task finds them.
pub(crate) struct Queue {
    receiver: mpsc::UnboundedReceiver<Vec<Command>>,
    /// How many commands wait, these included.
    waiting: Arc<AtomicUsize>,
    at_hand: VecDeque<Command>,
}

/// An empty inbox and its other end.
pub(crate) fn inbox() -> (Inbox, Queue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox {
        sender,
        waiting: waiting.clone(),
    };
    let queue = Queue {
        receiver,
        waiting,
        at_hand: VecDeque::new(),
    };
    (inbox, queue)
}

impl Inbox {
    /// Queues transactions, in their order and with no others between them. All are refused if
    /// [`INBOX`] commands wait, or if the commit task has ended.
    pub(crate) fn send_all(&self, commits: Vec<Command>) {
        let refused = if self.waiting.load(Ordering::Relaxed) >= INBOX {
            let message = format!("{INBOX} requests wait already, try again");
            Err((commits, EngineError::new(ErrorKind::Busy, message)))
        } else {
            self.push(commits)
                .map_err(|commits| (commits, EngineError::stopped()))
        };
        if let Err((commits, error)) = refused {
            for commit in commits {
                refuse(commit, error.clone());
            }
        }
    }

    /// Queues a command, however many wait.
    ///
    /// # Errors
    /// `Unavailable` if the commit task has ended. The command is answered so, too.
    pub(crate) fn send(&self, command: Command) -> Result<(), EngineError> {
        self.push(vec![command]).map_err(|commands| {
            for command in commands {
                refuse(command, EngineError::stopped());
            }
            EngineError::stopped()
        })
    }

    fn push(&self, commands: Vec<Command>) -> Result<(), Vec<Command>> {
        let count = commands.len();
        self.waiting.fetch_add(count, Ordering::Relaxed);
        self.sender.send(commands).map_err(|unsent| {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            unsent.0
        })
    }

    /// The same inbox, for whoever must not keep the commit task going.
    pub(crate) fn downgrade(&self) -> WeakInbox {
        WeakInbox {
            sender: self.sender.downgrade(),
            waiting: self.waiting.clone(),
        }
    }
}

impl WeakInbox {
    /// The inbox, if anybody else has it still.
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
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until there is a command; false when nobody can send one any more. Can be dropped and
    /// called again.
    pub(crate) async fn wait(&mut self) -> bool {
        while self.at_hand.is_empty() {
            match self.receiver.recv().await {
                Some(commands) => self.at_hand.extend(commands),
                None => return false,
            }
        }
        true
    }

    /// The next command, if there is one.
    pub(crate) fn take(&mut self) -> Option<Command> {
        while self.at_hand.is_empty() {
            self.at_hand.extend(self.receiver.try_recv().ok()?);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.at_hand.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn sync() -> (Command, oneshot::Receiver<Result<(), EngineError>>) {
        let (reply, answer) = oneshot::channel();
        (Command::Sync { reply }, answer)
    }

    #[tokio::test]
    async fn commands_come_out_one_by_one_in_their_order() {
        let (inbox, mut queue) = inbox();
        let (mut answers, mut commands) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (command, answer) = sync();
            commands.push(command);
            answers.push(answer);
        }
        let last = commands.split_off(3);
        inbox.send_all(commands);
        inbox.send_all(last);
        assert!(queue.wait().await);
        for left in (0..5).rev() {
            let Some(Command::Sync { reply }) = queue.take() else {
                panic!("{left} are left");
            };
            assert_eq!(queue.len(), left);
            reply.send(Ok(())).unwrap();
            assert_eq!(answers.remove(0).await.unwrap().ok(), Some(()));
        }
        assert!(queue.take().is_none());
        let weak = inbox.downgrade();
        drop(inbox);
        assert!(!queue.wait().await && weak.upgrade().is_none());
    }

    #[tokio::test]
    async fn who_comes_to_a_full_inbox_or_too_late_is_told_so() {
        let (inbox, queue) = inbox();
        let (mut answers, mut commands) = (Vec::new(), Vec::new());
        for _ in 0..=INBOX {
            let (command, answer) = sync();
            commands.push(command);
            answers.push(answer);
        }
        let last = commands.split_off(INBOX);
        inbox.send_all(commands);
        inbox.send_all(last);
        let refused = answers.pop().unwrap().await.unwrap().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Busy);
        drop(queue);
        let (command, answer) = sync();
        assert!(inbox.send(command).is_err());
        let refused = answer.await.unwrap().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
    }
}
