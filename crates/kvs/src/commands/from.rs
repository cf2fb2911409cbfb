//! `--from`: where a watch or a follower starts.

use std::str::FromStr;

/// Where a watch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// With the next version.
    Now,
    /// With the current state.
    Initial,
    /// With this version.
    Version(u64),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "now" => Ok(Self::Now),
            "initial" => Ok(Self::Initial),
            _ => text
                .parse()
                .map(Self::Version)
                .map_err(|_| "not now, initial or a version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_begins_now_with_the_state_or_at_a_version() {
        assert_eq!("now".parse(), Ok(From::Now));
        assert_eq!("initial".parse(), Ok(From::Initial));
        assert_eq!("42".parse(), Ok(From::Version(42)));
        assert!("then".parse::<From>().is_err());
    }
}
