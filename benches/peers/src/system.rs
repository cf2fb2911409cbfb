//! A system that runs, and how a workload is put to it.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::pipe::{Pipe, Place, Protocol};
use super::process::Process;
use super::work::{Measured, Times, Work};

/// How long a system may refuse to serve after it has accepted a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Speaks a system's protocol; the number tells connections apart.
type MakeProtocol = Box<dyn Fn(u64) -> Box<dyn Protocol>>;

/// Something that does the workloads.
pub(crate) trait System {
    /// In the head of the table.
    fn name(&self) -> &'static str;

    /// Version, transport and durability, in a line.
    fn about(&self) -> &str;

    /// One repetition of a workload. `None` if it has no such thing.
    fn measure(&mut self, work: Work, times: Times) -> anyhow::Result<Option<Measured>>;
}

/// What became of the attempt to start a system.
pub(crate) enum Started {
    /// It runs, with its keys in place.
    Runs(Box<dyn System>),
    /// It is not on this machine; why.
    Missing(&'static str),
}

/// A system that is driven by a bare client.
pub(crate) struct Bare<H> {
    name: &'static str,
    about: String,
    place: Place,
    skips: &'static [Work],
    make: MakeProtocol,
    connections: u64,
    // Lives as long as the system is measured.
    _holder: H,
}

impl<H> Bare<H> {
    /// A system that runs at a place as long as `holder` lives; its keys are made.
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
        // Some accept connections before they serve them.
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
    /// A process that can be reached and is driven by a bare client.
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
