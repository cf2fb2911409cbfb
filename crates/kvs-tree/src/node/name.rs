//! Entry names as nodes store them: with the first eight bytes as a number, which decides most
//! comparisons. A search compares dozens of names; comparing their bytes, which are scattered in
//! memory, takes ten times as long.

use smol_str::SmolStr;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

/// A name. Ordered by bytes, which is the order of the heads where these differ.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    head: u64,
    text: SmolStr,
}

/// A name to search for.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    head: u64,
    name: &'a str,
}

impl Name {
    /// The text, for sharing.
    pub(crate) fn into_text(self) -> SmolStr {
        self.text
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<SmolStr> for Name {
    fn from(text: SmolStr) -> Self {
        Name {
            head: head(text.as_bytes()),
            text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        SmolStr::new(text).into()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<'a> Sought<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Sought {
            head: head(name.as_bytes()),
            name,
        }
    }

    /// How `name` compares to this one.
    pub(crate) fn order(&self, name: &Name) -> Ordering {
        let by_head = name.head.cmp(&self.head);
        by_head.then_with(|| name.text.as_str().cmp(self.name))
    }

    /// Whether `name` is equal to or less than this one.
    pub(crate) fn is_reached_by(&self, name: &Name) -> bool {
        self.order(name).is_le()
    }
}

/// The first eight bytes, big-endian, padded with zeros. If two names have different heads, the
/// smaller head belongs to the smaller name.
fn head(name: &[u8]) -> u64 {
    let mut head = [0; 8];
    for (place, byte) in head.iter_mut().zip(name) {
        *place = *byte;
    }
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_in_the_order_of_their_bytes(a in "[a-c\0\u{e9}]{0,12}", b in "[a-c\0\u{e9}]{0,12}") {
            let (sought, name) = (Sought::new(&a), Name::from(b.as_str()));
            prop_assert_eq!(sought.order(&name), b.as_bytes().cmp(a.as_bytes()));
            prop_assert_eq!(sought.is_reached_by(&name), b <= a);
            prop_assert_eq!(&*name, b.as_str());
        }
    }
}
