//! The position of a follower in the journal, from which it can resume.

use std::fmt;
use std::str::FromStr;

use crate::error::{EngineError, ErrorKind};

/// A position between two records of the journal: everything before it was delivered, everything
/// after it is to come.
///
/// Its text form lets a later follower resume. It is meaningful only to the store that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Identifies the journal: the incarnation of `primary`, which changes when events that were
    /// seen may have been lost.
    pub(crate) journal: u64,
    /// The group of the next record.
    pub(crate) group: u64,
    /// Number of records in that group before this position.
    pub(crate) records: u64,
}

impl Place {
    /// The position before the first record of a group.
    pub(crate) fn before(journal: u64, group: u64) -> Self {
        Self {
            journal,
            group,
            records: 0,
        }
    }

    /// The group of the next record. It may not be written yet.
    pub fn group(&self) -> u64 {
        self.group
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}", self.journal, self.group, self.records)
    }
}

impl FromStr for Place {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        parse(text).ok_or_else(|| {
            let message = format!("'{text}' is not a place as root moves carry it");
            EngineError::new(ErrorKind::Invalid, message)
        })
    }
}

fn parse(text: &str) -> Option<Place> {
    let (journal, rest) = text.split_once('-')?;
    let (group, records) = rest.split_once('-')?;
    let place = Place {
        journal: u64::from_str_radix(journal, 16).ok()?,
        group: group.parse().ok()?,
        records: records.parse().ok()?,
    };
    // Only the canonical form is valid: no signs, no leading zeros.
    (place.group > 0 && place.to_string() == text).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_one_text_form() {
        let place = Place {
            journal: 0xAB,
            group: 12,
            records: 3,
        };
        assert_eq!(place.to_string(), "00000000000000ab-12-3");
        assert_eq!("00000000000000ab-12-3".parse::<Place>().unwrap(), place);
        for bad in [
            "",
            "now",
            "ab-12-3",
            "00000000000000ab-0-0",
            "00000000000000ab-12",
            "00000000000000ab-12-3-4",
            "00000000000000AB-12-3",
            "00000000000000ab-+12-3",
            "00000000000000ab-012-3",
            "00000000000000ab-99999999999999999999-3",
        ] {
            assert_eq!(bad.parse::<Place>().unwrap_err().kind, ErrorKind::Invalid);
        }
    }
}
