//! Where the daemon is.

use crate::error::ClientError;
use kvs_proto::ErrorCode;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the daemon of a system serves.
const SYSTEM_SOCKET: &str = "/run/kvs/kvs.sock";

/// Longest path of a unix socket, in bytes: the system keeps 108, the last of them a zero.
const SOCKET_PATH_BYTES: usize = 107;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A unix socket, `unix:/path`.
    Unix(PathBuf),
}

impl Address {
    /// `$KVS_URI`, else `$XDG_RUNTIME_DIR/kvs/kvs.sock`, else `/run/kvs/kvs.sock`: where a daemon
    /// serves that is told nothing else. Empty variables count as unset. Fails if `$KVS_URI` is not
    /// an address.
    pub fn from_env() -> Result<Self, ClientError> {
        let mut all = Self::candidates()?.into_iter();
        all.next().ok_or_else(|| not_an_address(""))
    }

    /// The addresses where a daemon may be found, in the order in which to try them: `$KVS_URI`
    /// alone if it is set, else that in `$XDG_RUNTIME_DIR` and the one of the system in `/run`.
    pub fn candidates() -> Result<Vec<Self>, ClientError> {
        Self::from_variables(
            std::env::var_os("KVS_URI"),
            std::env::var_os("XDG_RUNTIME_DIR"),
        )
    }

    /// Reads `unix:/path`. The path must be absolute, and short enough for a socket (107 bytes).
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Self::unix(PathBuf::from(path)),
            _ => Err(not_an_address(text)),
        }
    }

    fn unix(path: PathBuf) -> Result<Self, ClientError> {
        let bytes = path.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES {
            let message = format!(
                "unix:{}: the path of a socket has at most {SOCKET_PATH_BYTES} bytes, and this one has {bytes}",
                path.display()
            );
            return Err(ClientError::new(ErrorCode::Invalid, message));
        }
        Ok(Address::Unix(path))
    }

    fn from_variables(
        uri: Option<OsString>,
        runtime: Option<OsString>,
    ) -> Result<Vec<Self>, ClientError> {
        let named = |variable: &str, error: ClientError| {
            ClientError::new(error.code, format!("{variable}: {}", error.message))
        };
        if let Some(uri) = uri.filter(|uri| !uri.is_empty()) {
            let text = uri
                .to_str()
                .ok_or_else(|| not_an_address(&uri.to_string_lossy()));
            let address = text.and_then(Self::parse);
            return Ok(vec![address.map_err(|error| named("KVS_URI", error))?]);
        }
        let mut all = Vec::new();
        if let Some(directory) = runtime.filter(|dir| !dir.is_empty()) {
            let address = Self::unix(PathBuf::from(directory).join("kvs/kvs.sock"));
            all.push(address.map_err(|error| named("XDG_RUNTIME_DIR", error))?);
        }
        let system = Address::Unix(PathBuf::from(SYSTEM_SOCKET));
        if !all.contains(&system) {
            all.push(system);
        }
        Ok(all)
    }
}

fn not_an_address(text: &str) -> ClientError {
    let text = text.escape_debug();
    let message = format!("'{text}' is not an address such as unix:{SYSTEM_SOCKET}");
    ClientError::new(ErrorCode::Invalid, message)
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

    fn from(uri: &str, runtime: &str) -> Vec<String> {
        let all = Address::from_variables(Some(uri.into()), Some(runtime.into()));
        all.unwrap().iter().map(Address::to_string).collect()
    }

    #[test]
    fn the_uri_wins_over_the_runtime_directory_and_that_over_run() {
        let system = "unix:/run/kvs/kvs.sock";
        assert_eq!(from("unix:/a", "/r"), ["unix:/a"]);
        assert_eq!(from("", "/r"), ["unix:/r/kvs/kvs.sock", system]);
        assert_eq!(from("", "/run"), [system]);
        assert_eq!(from("", ""), [system]);
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_its_length() {
        let longest = format!("unix:/{}", "x".repeat(106));
        assert!(Address::parse(&longest).is_ok());
        let error = Address::parse(&format!("{longest}x")).unwrap_err();
        assert!(
            error
                .message
                .ends_with("at most 107 bytes, and this one has 108")
        );
        let error = Address::from_variables(None, Some("/long".repeat(30).into())).unwrap_err();
        assert!(error.message.starts_with("XDG_RUNTIME_DIR: unix:/long"));
    }

    #[test]
    fn a_variable_that_is_not_text_is_refused_and_not_passed_over() {
        use std::os::unix::ffi::OsStringExt as _;
        let uri = OsString::from_vec(b"unix:/\xff".to_vec());
        let error = Address::from_variables(Some(uri), None).unwrap_err();
        assert!(error.message.starts_with("KVS_URI: "));
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
