//! Checks that the values of events are consecutive numbers.

use anyhow::{bail, ensure};
use kvs_client::{ChangeValue, Event};

/// Returns the version and the number of an event that sets one key to a number.
///
/// # Errors
/// If it is any other event.
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

/// The events of a watcher so far: consecutive numbers in ascending versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    next: u64,
    version: u64,
}

impl Sequence {
    /// Creates an empty sequence. The first event must have number `first` and a version after
    /// `version`.
    pub(crate) fn new(first: u64, version: u64) -> Self {
        Self {
            next: first,
            version,
        }
    }

    /// Returns the last number received; one less than the first if none was.
    pub(crate) fn taken(&self) -> u64 {
        self.next - 1
    }

    /// Checks the next event.
    ///
    /// # Errors
    /// If it is not the next one.
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
