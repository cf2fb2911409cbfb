//! The daemon's status as lines for people: texts first, then numbers in groups, with units made
//! readable. Pure; the daemon chooses the names.

use super::escape::escape;

/// Lines of texts and numbers, both sorted by name. The first word of a name is its group.
pub(crate) fn status_lines(texts: &[(&str, &str)], counters: &[(&str, u64)]) -> Vec<String> {
    let names = texts.iter().map(|(name, _)| *name);
    let names = names.chain(counters.iter().map(|(name, _)| *name));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("{name:<width$}  {}", escape(text)))
        .collect();
    let is_alone = |group: &str| {
        counters
            .iter()
            .filter(|(name, _)| of(name) == group)
            .count()
            == 1
    };
    let (alone, grouped): (Vec<_>, Vec<_>) = counters
        .iter()
        .copied()
        .partition(|(name, _)| is_alone(of(name)));
    let mut last = None;
    for (name, count) in alone.into_iter().chain(grouped) {
        let group = Some(of(name)).filter(|group| !is_alone(group));
        if lines.last().is_some_and(|line| !line.is_empty()) && last != Some(group) {
            lines.push(String::new());
        }
        last = Some(group);
        let line = match readable(name, count) {
            Some(text) => format!("{name:<width$}  {count} ({text})"),
            None => format!("{name:<width$}  {count}"),
        };
        lines.push(line);
    }
    lines
}

/// The group of a name.
fn of(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}

/// A readable form of a number whose name ends in a unit, if the number is large enough to need
/// one.
fn readable(name: &str, count: u64) -> Option<String> {
    let seconds = match name.rsplit('_').next()? {
        "bytes" => return size(count),
        "ms" => count / 1000,
        "us" => count / 1_000_000,
        "ns" => count / 1_000_000_000,
        _ => return None,
    };
    let parts = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let mut left = seconds;
    let mut text = Vec::new();
    for (unit, letter) in parts {
        let of_it = left / unit;
        left %= unit;
        if of_it > 0 && text.len() < 2 {
            text.push(format!("{of_it}{letter}"));
        }
    }
    (!text.is_empty()).then(|| text.join(" "))
}

fn size(bytes: u64) -> Option<String> {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let (shift, unit) = units.into_iter().find(|(shift, _)| bytes >> shift > 0)?;
    let tenths = (u128::from(bytes) * 10) >> shift;
    Some(format!("{}.{} {unit}", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_first_and_numbers_in_groups() {
        let lines = status_lines(
            &[("software", "kvs 0.1.0"), ("store", "/a\nb")],
            &[
                ("connections", 2),
                ("journal_bytes", 1_610_612_736),
                ("journal_groups", 7),
                ("uptime_ms", 93_784_000),
            ],
        );
        assert_eq!(
            lines,
            [
                "software        kvs 0.1.0",
                "store           /a\\nb",
                "",
                "connections     2",
                "uptime_ms       93784000 (1d 2h)",
                "",
                "journal_bytes   1610612736 (1.5 GiB)",
                "journal_groups  7",
            ]
        );
        assert!(status_lines(&[], &[]).is_empty());
    }

    #[test]
    fn numbers_are_readable_where_they_are_large() {
        assert_eq!(readable("x_bytes", 1023), None);
        assert_eq!(readable("x_bytes", 1024).unwrap(), "1.0 KiB");
        assert_eq!(readable("x_bytes", u64::MAX).unwrap(), "16777215.9 TiB");
        assert_eq!(readable("x_us", 999_999), None);
        assert_eq!(readable("x_us", 61_000_000).unwrap(), "1m 1s");
        assert_eq!(readable("x", 5_000_000), None);
    }
}
