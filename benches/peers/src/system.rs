//! A running system, and how workloads are run on it.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::pipe::{Pipe, Place, Protocol};
use super::process::Process;
use super::work::{Measured, Times, Work};

/// How long a system may refuse requests after accepting a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Interval between attempts.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Creates the protocol of a connection with the given number.
type MakeProtocol = Box<dyn Fn(u64) -> Box<dyn Protocol>>;

/// A system that can run the workloads.
pub(crate) trait System {
    /// Name in the table header.
    fn name(&self) -> &'static str;

    /// Version, transport and durability, in one line.
    fn about(&self) -> &str;

    /// Runs one repetition of a workload; `None` if the system does not support it.
    fn measure(&mut self, work: Work, times: Times) -> anyhow::Result<Option<Measured>>;
}

/// The result of starting a system.
pub(crate) enum Started {
    /// The system runs, and its keys exist.
    Runs(Box<dyn System>),
    /// The system is not installed; the reason.
    Missing(&'static str),
}

/// A system driven by the bare client.
pub(crate) struct Bare<H> {
    name: &'static str,
    about: String,
    place: Place,
    skips: &'static [Work],
    make: MakeProtocol,
    connections: u64,
    // Keeps the system running while it is measured.
    _holder: H,
}

impl<H> Bare<H> {
    /// Wraps a system that runs while `holder` lives, and creates its keys.
    pub(crate) fn new(
        name: &'static str,
        about: String,
        holder: H,
        place: Place,
        skips: &'static [Work],
        make: impl Fn(u64) -> Box<dyn Protocol> + 'static,
    ) -> anyhow::Result<Self> {
        let mut bare = Self {
            name,
            about,
            place,
            skips,
            make: Box::new(make),
            connections: 0,
            _holder: holder,
        };
        // Some systems accept connections before they serve.
        let deadline = Instant::now() + PATIENCE;
        let mut pipe = loop {
            match bare.connect() {
                Ok(pipe) => break pipe,
                Err(error) if Instant::now() > deadline => return Err(error).context(name),
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        };
        pipe.fill().context(name)?;
        Ok(bare)
    }

    fn connect(&mut self) -> anyhow::Result<Pipe> {
        self.connections += 1;
        Pipe::new(&self.place, (self.make)(self.connections))
    }
}

impl<H> System for Bare<H> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    fn measure(&mut self, work: Work, times: Times) -> anyhow::Result<Option<Measured>> {
        if self.skips.contains(&work) {
            return Ok(None);
        }
        let mut pipe = self.connect()?;
        let measured = match work {
            Work::Watch => pipe.watched(&mut self.connect()?, times)?,
            _ => pipe.drive(work, times)?,
        };
        Ok(Some(measured))
    }
}

impl Started {
    /// Wraps a running process that is driven by the bare client.
    pub(crate) fn runs(
        name: &'static str,
        about: String,
        process: Process,
        place: Place,
        skips: &'static [Work],
        make: impl Fn(u64) -> Box<dyn Protocol> + 'static,
    ) -> anyhow::Result<Started> {
        let bare = Bare::new(name, about, process, place, skips, make)?;
        Ok(Started::Runs(Box::new(bare)))
    }
}
