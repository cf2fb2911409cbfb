//! Durations and sizes on the command line: one grammar for every option that takes one.
//!
//! Both are a decimal number, whole or with a fraction, followed by a unit. The arithmetic is
//! exact: `1.5G` and `0.1s` are not approximated. A quantity that does not fit is refused, never
//! clamped. Pure.

use std::time::Duration;

use kvs_proto::MARK_INTERVAL_MIN_MS;

/// Units of durations, in nanoseconds. A number without a unit is in seconds.
const TIME_UNITS: [(&str, u64); 8] = [
    ("", 1_000_000_000),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Units of sizes, in bytes: powers of 1024, with an optional `B` or `iB`.
const SIZE_UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KB", 1 << 10),
    ("KiB", 1 << 10),
    ("M", 1 << 20),
    ("MB", 1 << 20),
    ("MiB", 1 << 20),
    ("G", 1 << 30),
    ("GB", 1 << 30),
    ("GiB", 1 << 30),
    ("T", 1 << 40),
    ("TB", 1 << 40),
    ("TiB", 1 << 40),
];

/// Most digits after the decimal point; no unit resolves more.
const FRACTION_DIGITS: usize = 18;

/// Parses a duration such as `200us`, `500ms`, `1.5s`, `10m`, `36h`, `7d` or `2w`; a bare number is
/// in seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = scaled(text, &TIME_UNITS).map_err(|wrong| match wrong {
        Wrong::Number => "not a duration such as 500ms, 1.5s, 10m, 36h or 7d".to_owned(),
        Wrong::Unit(unit) => format!("unknown unit '{unit}'; units are us, ms, s, m, h, d and w"),
        Wrong::TooLarge => "too long".to_owned(),
    })?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Parses a bookmark interval. One below the daemon's minimum is refused, not rounded up.
pub(crate) fn bookmark_interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(MARK_INTERVAL_MIN_MS) {
        return Err(format!("less than {MARK_INTERVAL_MIN_MS} ms"));
    }
    Ok(interval)
}

/// Parses a duration that must be longer than 0.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("must be longer than 0".to_owned());
    }
    Ok(duration)
}

/// Parses a number of bytes such as `4096`, `64K`, `1.5G` or `512MiB`; units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    scaled(text, &SIZE_UNITS).map_err(|wrong| match wrong {
        Wrong::Number => "not a number of bytes such as 4096, 64K, 512M or 1.5G".to_owned(),
        Wrong::Unit(unit) => format!("unknown unit '{unit}'; units are B, K, M, G and T"),
        Wrong::TooLarge => "too large".to_owned(),
    })
}

/// Formats a duration for people, rounded down to its two largest units: `3d4h`, `59m12s`, `2.7s`.
pub(crate) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}.{}s", duration.subsec_millis() / 100),
        (0, 0, _) => format!("{minutes}m{rest}s"),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// Why a text is not a quantity.
enum Wrong {
    Number,
    Unit(String),
    TooLarge,
}

/// The number times its unit, rounded down.
fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or(Wrong::Number)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(Wrong::Number),
        Some(parts) => parts,
        None => (number, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    // `.2` means `0.2`.
    let whole = if number.starts_with('.') { "0" } else { whole };
    if whole.is_empty() || !is_number(fraction) || fraction.len() > FRACTION_DIGITS {
        return Err(Wrong::Number);
    }
    if unit.contains(|c: char| !c.is_ascii_alphabetic()) {
        return Err(Wrong::Number);
    }
    let scale = units.iter().find(|(name, _)| *name == unit);
    let (_, factor) = scale.ok_or_else(|| Wrong::Unit(unit.to_owned()))?;
    let factor = u128::from(*factor);
    let whole: u128 = whole.parse().map_err(|_| Wrong::TooLarge)?;
    let mut parts: u128 = 0;
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().map_err(|_| Wrong::Number)?;
        let base = fraction.bytes().fold(1, |base: u128, _| base * 10);
        parts = digits * factor / base;
    }
    let sum = whole.checked_mul(factor).and_then(|n| n.checked_add(parts));
    sum.and_then(|sum| u64::try_from(sum).ok())
        .ok_or(Wrong::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_fractions() {
        for (text, ms) in [
            ("2", 2000),
            ("0", 0),
            ("1.5s", 1500),
            ("0.1", 100),
            (".2", 200),
            (".5m", 30_000),
            ("100ms", 100),
            ("1500us", 1),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            ("7d", 604_800_000),
            ("0.5w", 302_400_000),
        ] {
            assert_eq!(duration(text).unwrap().as_millis(), ms, "{text}");
        }
        assert_eq!(duration("200us"), Ok(Duration::from_micros(200)));
    }

    #[test]
    fn durations_are_shown_in_two_units() {
        for (ms, text) in [
            (0, "0.0s"),
            (2_799, "2.7s"),
            (60_000, "1m0s"),
            (3_599_999, "59m59s"),
            (5_400_000, "1h30m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(spoken(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn sizes_have_units_and_fractions() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("64K", 65_536),
            ("1.5G", 3 << 29),
            ("512MiB", 1 << 29),
            ("8GB", 8 << 30),
            ("0.5K", 512),
            (".5K", 512),
            ("16777215T", 16_777_215 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_the_reason() {
        for text in [
            "", "s", ".", ".s", "..5s", ".5.s", "5.", "1..5s", "1.5.2", "-1", "+1", "1e3", "inf",
            "1 s", " 1s", "1s ", "1s2", "1,5s", "١s",
        ] {
            let error = duration(text).unwrap_err();
            assert!(error.starts_with("not a duration"), "{text}: {error}");
            assert!(size(text).is_err(), "{text}");
        }
        for unit in ["x", "M", "sec", "S", "ns"] {
            let error = duration(&format!("1{unit}")).unwrap_err();
            assert!(
                error.starts_with(&format!("unknown unit '{unit}'")),
                "{error}"
            );
        }
        assert!(size("8k").unwrap_err().starts_with("unknown unit 'k'"));
        assert!(size("8P").unwrap_err().starts_with("unknown unit 'P'"));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_cut() {
        for text in [
            "99999999999999999999d",
            "31000w",
            "18446744074s",
            "9".repeat(60).as_str(),
        ] {
            assert_eq!(duration(text), Err("too long".to_owned()), "{text}");
        }
        assert_eq!(size("16777216T"), Err("too large".to_owned()));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(size("18446744073709551616"), Err("too large".to_owned()));
        assert!(duration(&format!("0.{}s", "1".repeat(40))).is_err());
    }

    #[test]
    fn nothing_is_not_a_positive_duration() {
        assert!(positive_duration("0").is_err());
        assert!(positive_duration("0ms").is_err());
        assert!(positive_duration("0.0000000001s").is_err());
        assert_eq!(positive_duration("1ms"), Ok(Duration::from_millis(1)));
    }
}
