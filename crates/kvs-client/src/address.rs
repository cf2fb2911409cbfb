//! Where the daemon is.

use crate::error::ClientError;
use kvs_proto::ErrorCode;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A unix socket, `unix:/path`.
    Unix(PathBuf),
}

impl Address {
    /// `$KVS_URI`, else `$XDG_RUNTIME_DIR/kvs/kvs.sock`, else `/run/kvs/kvs.sock`. Empty variables count as unset.
    /// Fails if `$KVS_URI` is no address.
    pub fn from_env() -> Result<Self, ClientError> {
        Self::from_variables(
            std::env::var("KVS_URI").ok(),
            std::env::var("XDG_RUNTIME_DIR").ok(),
        )
    }

    /// Reads `unix:/path`. The path must be absolute.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Address::Unix(PathBuf::from(path))),
            _ => Err(ClientError::new(
                ErrorCode::Invalid,
                format!(
                    "'{}' is not an address such as unix:/run/kvs/kvs.sock",
                    text.escape_debug()
                ),
            )),
        }
    }

    fn from_variables(uri: Option<String>, runtime: Option<String>) -> Result<Self, ClientError> {
        if let Some(uri) = uri.filter(|uri| !uri.is_empty()) {
            return Self::parse(&uri).map_err(|error| {
                ClientError::new(error.code, format!("KVS_URI: {}", error.message))
            });
        }
        let directory = runtime
            .filter(|dir| !dir.is_empty())
            .unwrap_or_else(|| "/run".to_owned());
        Ok(Address::Unix(PathBuf::from(directory).join("kvs/kvs.sock")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        Address::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(uri: &str, runtime: &str) -> String {
        Address::from_variables(Some(uri.into()), Some(runtime.into()))
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_uri_wins_over_the_runtime_directory_and_that_over_run() {
        assert_eq!(from("unix:/a", "/r"), "unix:/a");
        assert_eq!(from("", "/r"), "unix:/r/kvs/kvs.sock");
        assert_eq!(from("", ""), "unix:/run/kvs/kvs.sock");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_variable_named() {
        for text in ["", "/a", "unix:", "unix:a", "tcp:1"] {
            assert_eq!(Address::parse(text).unwrap_err().code, ErrorCode::Invalid);
        }
        let error = Address::from_variables(Some("tcp:1".into()), None).unwrap_err();
        assert!(error.message.starts_with("KVS_URI: 'tcp:1'"));
    }
}
