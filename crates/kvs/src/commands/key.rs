//! Keys as typed and as shown. The daemon validates them.

/// Normalizes a key as the daemon does: removes empty names; `.` is the root. An empty key stays
/// empty, so the daemon refuses it.
pub(crate) fn normal(key: &str) -> String {
    let names: Vec<&str> = key.split('.').filter(|name| !name.is_empty()).collect();
    if names.is_empty() && !key.is_empty() {
        ".".to_owned()
    } else {
        names.join(".")
    }
}

/// The key of `name` in a directory. `name` may also be a path below it.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory == "." {
        name.to_owned()
    } else {
        format!("{directory}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_normalised() {
        assert_eq!(normal("...a..b."), "a.b");
        assert_eq!(normal("..."), ".");
        assert_eq!(normal(""), "");
        assert_eq!(join(".", "a"), "a");
        assert_eq!(join("a.b", "c"), "a.b.c");
    }
}
