//! The worker's side: a process that has one library and calls it for its host.

use std::{
    io,
    os::fd::OwnedFd,
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use atelier_plugin_abi::{
    Level,
    codes::Status,
    frame::Frame,
    host::{
        CallFailure, Elements, HostLog, LoadedPlugin, LoadedRun, Module, Refusal, Words, leak_host,
    },
};

use super::{
    channel::Channel,
    limits,
    memory::Region,
    protocol::{Converse, FromHost, FromWorker, Load, Loaded, LogLine, Target, Told, What},
};
use crate::plugins::{
    isolation::Limits,
    library,
    wire::{Answer, Ask, Cache, Data, Far, Lent, Link, Request},
};

/// Runs this process as a worker: its standard input is the socket that leads to the host.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: this worker cannot go on: {error}; workers are started by their host"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // A plugin that reads its standard input must not read the host's messages.
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null =
        rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    let mut control = Channel::new(socket);
    let load: Load = control.receive()?;
    // Killed with its host, also where it cannot hear that the host is gone. Its spawner is a thread
    // that lives as long as the host does.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(load.host) {
        return Err(io::Error::other("the host is gone"));
    }
    let enforced = limits::enforce(&load.limits, &load.data)?;
    let module = match library::open(&load.library) {
        Ok(module) => module,
        Err(error) => return control.send(&Loaded::Err(error.to_string()), &[]),
    };
    let declaration = module.describe().map_err(Into::into);
    let told = Told { manifest: module.manifest(), declaration, enforced };
    control.send(&Loaded::Ok(told), &[])?;
    let shared = Arc::new(Shared {
        module,
        plugin: OnceLock::new(),
        limits: load.limits,
        log: Log {
            channel: Arc::new(Mutex::new(control.twin()?)),
            most: Level::from_code(load.log_level).unwrap_or(Level::Info),
        },
        cpu: Mutex::new(None),
    });
    loop {
        match control.receive::<Converse>() {
            Ok(Converse) => {
                let (socket, shared) = (control.file()?, shared.clone());
                thread::Builder::new().name("hooks".to_owned()).spawn(move || {
                    Conversation::new(socket).serve(&shared);
                })?;
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

struct Shared {
    module: Module,
    plugin: OnceLock<LoadedPlugin>,
    limits: Limits,
    log: Log,
    /// When processor time was granted last.
    cpu: Mutex<Option<Instant>>,
}

impl Shared {
    /// Every hook has its time; the limit is the process's, so it moves on.
    fn allow_cpu(&self) {
        let mut granted = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        if granted.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            // A limit that cannot be moved ends the worker sooner, and is no reason to refuse a call.
            let _ = limits::allow_cpu(self.limits.cpu_seconds);
            *granted = Some(Instant::now());
        }
    }
}

/// What the plugin logs outside of hooks goes to the host as lines.
#[derive(Clone)]
struct Log {
    channel: Arc<Mutex<Channel>>,
    most: Level,
}

impl HostLog for Log {
    fn enabled(&self, level: Level, _: &str) -> bool {
        level <= self.most
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        let (level, target, message) = (level.code(), target.to_owned(), message.to_owned());
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        // A host that is gone reads no log.
        let _ = channel.send(&LogLine { level, target, message }, &[]);
    }
}

/// A conversation: one call after another, with one instance at most.
struct Conversation {
    socket: Socket,
    run: Option<LoadedRun>,
    options: Cache,
}

impl Conversation {
    fn new(socket: OwnedFd) -> Self {
        let socket = Socket { channel: Channel::new(socket).eager(), regions: Vec::new() };
        Self { socket, run: None, options: Cache::default() }
    }

    fn serve(mut self, shared: &Shared) {
        // It ends when the host has closed its end.
        while let Ok(what) = self.socket.receive() {
            let What::Call { target, frame, options, lent } = what else { continue };
            shared.allow_cpu();
            if !matches!(target, Target::Run | Target::Close) {
                // It is about another run, with another snapshot or none yet.
                self.options = Cache::default();
            }
            self.options.begin(options);
            let outcome = self.call(shared, target, &frame.into(), lent);
            let (outcome, written) = match outcome {
                Ok(written) => (Ok(()), written),
                Err(failure) => (Err(failure.into()), Vec::new()),
            };
            let done = FromWorker::Done { outcome, reads: self.options.reads(), written };
            if self.socket.channel.send(&done, &[]).is_err() {
                return;
            }
        }
    }

    /// Returns what goes home.
    fn call(
        &mut self,
        shared: &Shared,
        target: Target,
        frame: &Frame,
        lent: Vec<Lent>,
    ) -> Result<Vec<Lent>, CallFailure> {
        let mut far = Far::new(&mut self.socket, &mut self.options);
        far.take(lent);
        let missing = || CallFailure {
            status: Status::HostFailed,
            words: Words {
                message: "the host called what it did not make".to_owned(),
                place: String::new(),
            },
        };
        let plugin = shared.plugin.get();
        match target {
            Target::Create => {
                let keep = leak_host(shared.log.clone());
                let made = shared.module.create(keep, frame, &mut far)?;
                shared.plugin.set(made).map_err(|_| missing())?;
            }
            Target::Plugin => plugin.ok_or_else(missing)?.call(frame, &mut far)?,
            Target::Start => {
                self.run = Some(plugin.ok_or_else(missing)?.start(frame, &mut far)?);
            }
            Target::Run => self.run.as_mut().ok_or_else(missing)?.call(frame, &mut far)?,
            Target::Close => self.run.take().ok_or_else(missing)?.close(frame, &mut far)?,
        }
        Ok(far.written())
    }
}

/// The way to the host.
struct Socket {
    channel: Channel,
    regions: Vec<Region>,
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::new(Status::HostFailed, format!("the way to the host is broken: {error}"))
}

impl Socket {
    fn receive(&mut self) -> io::Result<What> {
        loop {
            let FromHost { regions, what } = self.channel.receive()?;
            for bytes in regions {
                self.regions.push(Region::open(self.channel.file()?, bytes)?);
            }
            if !matches!(what, What::More) {
                return Ok(what);
            }
        }
    }
}

impl Link for Socket {
    fn ask(&mut self, ask: Ask) -> Result<Answer, Refusal> {
        let asked = self.channel.send(&FromWorker::Ask(ask), &[]);
        match asked.and_then(|()| self.receive()).map_err(|error| broken(&error))? {
            What::Answer(answer) => answer.map_err(Into::into),
            _ => Err(Refusal::new(Status::HostFailed, "the host answered with something else")),
        }
    }

    fn view<'a>(&'a mut self, data: &'a mut Data, write: bool) -> Result<Elements<'a>, Refusal> {
        let Data::Shared(place) = data else {
            return Err(Refusal::new(Status::HostFailed, "elements came in a message"));
        };
        let region = self.regions.get_mut(place.region as usize);
        let elements = region.and_then(|region| {
            if write { region.elements_mut(place) } else { region.elements(place) }
        });
        elements.ok_or_else(|| Refusal::new(Status::HostFailed, "the host named no memory"))
    }

    fn carry(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal> {
        let (len, floats) = match elements {
            Elements::F32(data) => (data.len(), true),
            Elements::U8(data) => (data.len(), false),
            _ => return Err(Refusal::new(Status::HostFailed, "what is carried is only looked at")),
        };
        let request = Request::Room { len: len as u64, floats };
        let Answer::Room(place) = self.ask(Ask { reads: Vec::new(), request })? else {
            return Err(Refusal::new(Status::HostFailed, "the host made no room"));
        };
        let mut data = Data::Shared(place);
        match (self.view(&mut data, true)?, elements) {
            (Elements::F32Mut(to), Elements::F32(from)) => to.copy_from_slice(from),
            (Elements::U8Mut(to), Elements::U8(from)) => to.copy_from_slice(from),
            _ => return Err(Refusal::new(Status::HostFailed, "the room is of another kind")),
        }
        Ok(data)
    }
}
