//! Credit: how much the daemon may send ahead of the consumer, in events and in bytes.
//!
//! Whatever was lost on the way, the rule is one: what the daemon may still send and what the
//! consumer has not taken are together the prefetch. A part that is only collected holds none of
//! it, so that a version of more parts than the prefetch cannot wait for itself.

/// Credit, of one event or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Cost {
    /// Of one item.
    pub(crate) fn item(bytes: usize) -> Self {
        Cost {
            events: 1,
            bytes: bytes as u64,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Cost::default()
    }

    pub(crate) fn add(&mut self, other: Cost) {
        self.events = self.events.saturating_add(other.events);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// One of the two measures.
#[derive(Debug)]
struct Account {
    limit: i64,
    /// Handed out and not taken yet.
    held: i64,
    /// What the daemon may send. The last item may take it below zero.
    daemon: i64,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Account {
    fn new(limit: u64) -> Self {
        Account {
            limit: signed(limit),
            held: 0,
            daemon: 0,
        }
    }

    fn open(&mut self) -> u64 {
        self.daemon = self.limit.saturating_sub(self.held).max(0);
        self.daemon.unsigned_abs()
    }

    fn grant(&mut self) -> u64 {
        let missing = self
            .limit
            .saturating_sub(self.held)
            .saturating_sub(self.daemon);
        let missing = missing.max(0);
        self.daemon = self.daemon.saturating_add(missing);
        missing.unsigned_abs()
    }
}

/// The credit of one stream, as the link keeps it.
#[derive(Debug)]
pub(crate) struct Prefetch {
    events: Account,
    bytes: Account,
}

impl Prefetch {
    pub(crate) fn new(limit: Cost) -> Self {
        Prefetch {
            events: Account::new(limit.events),
            bytes: Account::new(limit.bytes),
        }
    }

    /// The stream is opened anew: the credit to ask with.
    pub(crate) fn open(&mut self) -> Cost {
        Cost {
            events: self.events.open(),
            bytes: self.bytes.open(),
        }
    }

    /// The daemon has spent it.
    pub(crate) fn received(&mut self, cost: Cost) {
        self.events.daemon = self.events.daemon.saturating_sub(signed(cost.events));
        self.bytes.daemon = self.bytes.daemon.saturating_sub(signed(cost.bytes));
    }

    /// It waits for the consumer.
    pub(crate) fn handed_out(&mut self, cost: Cost) {
        self.events.held = self.events.held.saturating_add(signed(cost.events));
        self.bytes.held = self.bytes.held.saturating_add(signed(cost.bytes));
    }

    /// The consumer took it.
    pub(crate) fn taken(&mut self, cost: Cost) {
        self.events.held = self.events.held.saturating_sub(signed(cost.events)).max(0);
        self.bytes.held = self.bytes.held.saturating_sub(signed(cost.bytes)).max(0);
    }

    /// What the daemon is to be given now.
    pub(crate) fn grant(&mut self) -> Cost {
        Cost {
            events: self.events.grant(),
            bytes: self.bytes.grant(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(events: u64, bytes: u64) -> Cost {
        Cost { events, bytes }
    }

    #[test]
    fn what_is_taken_or_not_handed_out_goes_back() {
        let mut prefetch = Prefetch::new(cost(4, 100));
        assert_eq!(prefetch.open(), cost(4, 100));
        prefetch.received(cost(1, 30));
        assert_eq!(prefetch.grant(), cost(1, 30), "a part");
        prefetch.received(cost(1, 40));
        prefetch.handed_out(cost(1, 40));
        assert!(prefetch.grant().is_zero());
        prefetch.taken(cost(1, 40));
        assert_eq!(prefetch.grant(), cost(1, 40));
        assert!(prefetch.grant().is_zero());
    }

    #[test]
    fn an_item_over_the_credit_is_owed_across_a_reconnect() {
        let mut prefetch = Prefetch::new(cost(4, 100));
        prefetch.open();
        prefetch.received(cost(1, 250));
        prefetch.handed_out(cost(1, 250));
        assert_eq!(prefetch.open(), cost(3, 0));
        prefetch.taken(cost(0, 100));
        assert_eq!(prefetch.grant(), cost(0, 0));
        prefetch.taken(cost(1, 150));
        assert_eq!(prefetch.grant(), cost(1, 100));
    }
}
