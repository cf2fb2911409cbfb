//! Values that are numbers, and events that must bear the next one.

use anyhow::{bail, ensure};
use kvs_client::{ChangeValue, Event};

/// The version and the number of an event that changed one key to a number.
///
/// # Errors
/// It is any other event.
pub(crate) fn numbered(event: &Event) -> anyhow::Result<(u64, u64)> {
    let Event::Changes(event) = event else {
        bail!("{event:?} instead of a change");
    };
    let [change] = event.changes.as_slice() else {
        bail!("{} changes instead of one", event.changes.len());
    };
    let ChangeValue::Bytes(value) = &change.value else {
        bail!("a change of {} without a value", change.key);
    };
    let number = std::str::from_utf8(value).ok().map(str::parse);
    let Some(Ok(number)) = number else {
        bail!("{value:?} is no number");
    };
    Ok((event.position.version, number))
}

/// What a watcher got so far: numbers from one on, each in a later version than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    next: u64,
    version: u64,
}

impl Sequence {
    /// Nothing yet; the first event must bear `first`, in a version after `version`.
    pub(crate) fn new(first: u64, version: u64) -> Self {
        Self {
            next: first,
            version,
        }
    }

    /// The last number that was taken; one less than the first if none was.
    pub(crate) fn taken(&self) -> u64 {
        self.next - 1
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// It is not the next one.
    pub(crate) fn take(&mut self, event: &Event) -> anyhow::Result<()> {
        let (version, number) = numbered(event)?;
        ensure!(
            number == self.next,
            "{number} where {} should be",
            self.next
        );
        ensure!(
            version > self.version,
            "{number} is in version {version}, after {}",
            self.version
        );
        (self.next, self.version) = (number + 1, version);
        Ok(())
    }
}
