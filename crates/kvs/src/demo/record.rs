//! The file in which a status client records what it handled: one line per version.
//!
//! After a whole version has been handled, one `write` appends the version and its transitions as
//! one line. So the transitions and the position to resume from always agree, whenever the client
//! is killed: an unfinished last line counts as not written. (The demo kills processes, not the
//! machine; nothing is synced.)

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::job::Transition;

/// A version handled by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) version: u64,
    /// The transitions in the event, in its order.
    pub(crate) transitions: Vec<Transition>,
    /// Number of transitions whose companions did not match.
    pub(crate) drifted: u64,
}

impl Handled {
    /// The line of this version: `version drifted job:step…`.
    fn line(&self) -> String {
        let mut line = format!("{} {}", self.version, self.drifted);
        for transition in &self.transitions {
            line.push_str(&format!(" {}:{}", transition.job, transition.step));
        }
        line.push('\n');
        line
    }

    /// Parses a line without its newline.
    fn parse(line: &str) -> Option<Handled> {
        let mut words = line.split(' ');
        let version = words.next()?.parse().ok()?;
        let drifted = words.next()?.parse().ok()?;
        let transitions = words
            .map(|word| {
                let (job, step) = word.split_once(':')?;
                Some(Transition {
                    job: job.parse().ok()?,
                    step: step.parse().ok()?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Handled {
            version,
            transitions,
            drifted,
        })
    }
}

/// An open record file, positioned after its last whole line.
#[derive(Debug)]
pub(crate) struct Record {
    file: File,
}

impl Record {
    /// Opens or creates the file, truncates an unfinished last line, and returns the versions
    /// handled so far.
    pub(crate) fn open(path: &Path) -> io::Result<(Record, Vec<Handled>)> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (whole, handled) = parse(&text)?;
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok((Record { file }, handled))
    }

    /// Appends one version.
    pub(crate) fn add(&mut self, handled: &Handled) -> io::Result<()> {
        self.file.write_all(handled.line().as_bytes())
    }
}

/// Reads a record file without an unfinished last line.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Handled>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)?.1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The length of the whole lines in bytes, and their versions.
fn parse(text: &str) -> io::Result<(u64, Vec<Handled>)> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let handled = text
        .get(..whole)
        .unwrap_or_default()
        .lines()
        .map(Handled::parse)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the record file is damaged"))?;
    Ok((whole as u64, handled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(version: u64) -> Handled {
        let transitions = vec![
            Transition { job: 1, step: 2 },
            Transition {
                job: 70_000,
                step: 5,
            },
        ];
        Handled {
            version,
            transitions,
            drifted: 1,
        }
    }

    #[test]
    fn what_was_added_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let (mut record, before) = Record::open(&path).unwrap();
        assert!(before.is_empty());
        record.add(&handled(4)).unwrap();
        record.add(&handled(9)).unwrap();
        assert_eq!(read(&path).unwrap(), [handled(4), handled(9)]);
    }

    #[test]
    fn an_unfinished_line_counts_as_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        std::fs::write(&path, "4 1 1:2 70000:5\n9 0 3:").unwrap();
        let (mut record, before) = Record::open(&path).unwrap();
        assert_eq!(before, [handled(4)]);
        record.add(&handled(9)).unwrap();
        assert_eq!(read(&path).unwrap(), [handled(4), handled(9)]);
    }

    #[test]
    fn a_damaged_line_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        std::fs::write(&path, "four 0 1:2\n").unwrap();
        assert!(read(&path).is_err());
    }
}
