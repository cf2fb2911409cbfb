//! Keys as they are typed and shown. What a key may be is the daemon's to say.

/// A key as the daemon reads it: without empty names; `.` is the root. The empty key stays empty,
/// for the daemon to refuse.
pub(crate) fn normal(key: &str) -> String {
    let names: Vec<&str> = key.split('.').filter(|name| !name.is_empty()).collect();
    if names.is_empty() && !key.is_empty() {
        ".".to_owned()
    } else {
        names.join(".")
    }
}

/// The key of `name` in a directory; a key is a path below it, too.
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
