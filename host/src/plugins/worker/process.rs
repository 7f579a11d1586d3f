//! A worker as its host has it: a process to start, to talk to, to listen to and to end.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    io::{self, BufRead as _, BufReader, PipeReader, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use atelier_plugin_abi::{
    Level,
    frame::Frame,
    host::{CallFailure, HookHost},
};

use super::{
    channel::{Channel, pair},
    memory::Arena,
    protocol::{Converse, FromHost, FromWorker, Load, Loaded, LogLine, Target, Told, What},
};
use crate::{
    plugins::{
        PluginId, Workers, log,
        wire::{self, Lent, Request},
    },
    processes::{cause, end_group},
};

/// Lines of a worker's output that are told when it dies.
const LAST_LINES: usize = 20;
/// A longer line of output is cut.
const LONGEST_LINE: usize = 1000;
/// As many buffers as go with a call unasked.
const MOST_HABITS: usize = 8;
/// How long a worker may take to open its library.
const LOADING: Duration = Duration::from_mins(1);
/// How long a worker that closed its socket may take to end.
const ENDING: Duration = Duration::from_secs(1);

/// A worker process.
pub(super) struct Process {
    id: PluginId,
    /// Taken when it is ended.
    child: Mutex<Option<Child>>,
    control: Mutex<Channel>,
    /// Conversations that nobody has at the moment.
    idle: Mutex<Vec<Conversation>>,
    tail: Arc<Tail>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    /// How it ended.
    ended: OnceLock<End>,
}

/// How a worker ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// What follows “its worker”.
    pub(super) how: String,
    /// What it said last, as the end of a sentence; may be empty.
    pub(super) last_words: String,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.id)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines that a worker printed or logged.
#[derive(Debug, Default)]
struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    fn push(&self, line: &str) {
        // The frames of a backtrace are indented; the log has them.
        if line.trim().is_empty() || line.starts_with("   ") {
            return;
        }
        let mut lines = lock(&self.0);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LONGEST_LINE).collect());
    }

    fn last_words(&self) -> String {
        let lines = lock(&self.0);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        if lines.is_empty() {
            String::new()
        } else {
            format!("; its last lines: {}", lines.join(" / "))
        }
    }
}

impl Process {
    /// Starts a worker and lets it open its library.
    pub(super) fn start(
        workers: &Workers,
        id: &PluginId,
        load: &Load,
    ) -> io::Result<(Self, Result<Told, String>)> {
        let (ours, theirs) = pair()?;
        let (output, printed) = io::pipe()?;
        let mut command = Command::new(&workers.program);
        command
            .arg("worker")
            .arg(id.as_str())
            .stdin(Stdio::from(theirs))
            .stdout(printed.try_clone()?)
            .stderr(printed)
            // Beside its own folder there is nothing that it may write to.
            .envs(workers.environment.iter().map(|(name, value)| (name, value)))
            .env("ATELIER_WORKER", id.as_str())
            .env("TMPDIR", load.data.join("tmp"))
            .process_group(0);
        let child = spawn(command)?;
        let mut control = Channel::new(ours);
        let tail = Arc::new(Tail::default());
        let listener = listen_to_output(output, id.clone(), tail.clone())?;
        let process = Self {
            id: id.clone(),
            child: Mutex::new(Some(child)),
            control: Mutex::new(control.twin()?),
            idle: Mutex::default(),
            tail,
            listeners: Mutex::new(vec![listener]),
            ended: OnceLock::new(),
        };
        control.patience(Some(LOADING))?;
        let loaded = match control.send(load, &[]).and_then(|()| control.receive::<Loaded>()) {
            Ok(loaded) => loaded,
            Err(error) => {
                let End { how, last_words } =
                    process.bury(error.kind() == io::ErrorKind::WouldBlock).clone();
                return Ok((
                    process,
                    Err(format!("its worker {how} while it opened the library{last_words}")),
                ));
            }
        };
        control.patience(None)?;
        let listener = listen_to_log(control, id.clone(), process.tail.clone())?;
        lock(&process.listeners).push(listener);
        Ok((process, loaded))
    }

    /// A conversation for one caller.
    pub(super) fn converse(&self) -> io::Result<Conversation> {
        if let Some(idle) = lock(&self.idle).pop() {
            return Ok(idle);
        }
        let (ours, theirs) = pair()?;
        lock(&self.control).send(&Converse, &[theirs.as_fd()])?;
        Ok(Conversation {
            channel: Channel::new(ours).eager(),
            arena: Arena::default(),
            habits: HashMap::new(),
            patience: None,
        })
    }

    /// Takes a conversation back whose instance is closed.
    pub(super) fn rest(&self, conversation: Conversation) {
        lock(&self.idle).push(conversation);
    }

    /// Its number, as long as it is there.
    pub(super) fn process_id(&self) -> Option<u32> {
        lock(&self.child).as_ref().map(Child::id)
    }

    /// Whether it is there.
    pub(super) fn is_alive(&self) -> bool {
        self.ended.get().is_none()
            && lock(&self.child).as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<&End> {
        self.ended.get()
    }

    /// Sees to it that the process is gone, with all that it started, and tells how it ended.
    pub(super) fn bury(&self, silent: bool) -> &End {
        self.ended.get_or_init(|| {
            let Some(mut child) = lock(&self.child).take() else {
                return End { how: "was ended".to_owned(), last_words: String::new() };
            };
            let mut status = None;
            if !silent {
                let patience = Instant::now() + ENDING;
                while status.is_none() && Instant::now() < patience {
                    status = child.try_wait().ok().flatten();
                    thread::sleep(Duration::from_millis(1));
                }
            }
            end_group(child.id());
            let own = status.is_some();
            let status = status.or_else(|| child.wait().ok());
            // Its last words are still on their way.
            let listeners = std::mem::take(&mut *lock(&self.listeners));
            let patience = Instant::now() + Duration::from_millis(200);
            while listeners.iter().any(|it| !it.is_finished()) && Instant::now() < patience {
                thread::sleep(Duration::from_millis(1));
            }
            let how = match (silent, own, status) {
                (true, ..) => "gave no answer in time and was killed".to_owned(),
                (false, true, Some(status)) => format!("ended with {}", cause(status)),
                _ => "hung up and was killed".to_owned(),
            };
            End { how, last_words: self.tail.last_words() }
        })
    }
}

/// Nothing of a worker outlives its host's interest in it.
impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = lock(&self.child).take() {
            end_group(child.id());
            // Reaped, so that no zombie stays.
            let _ = child.wait();
        }
    }
}

/// Starts a process from a thread that lives as long as this program: the kernel ends a worker with the
/// very thread that started it.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Option<mpsc::Sender<Order>>> = OnceLock::new();
    let gone = || io::Error::other("there is no thread to start processes from");
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, ordered) = mpsc::channel::<Order>();
        let work = move || {
            for (mut command, answer) in ordered {
                // Whoever asked may have gone.
                let _ = answer.send(command.spawn());
            }
        };
        thread::Builder::new().name("spawner".to_owned()).spawn(work).ok().map(|_| orders)
    });
    let (answer, answered) = mpsc::channel();
    let orders = spawner.as_ref().ok_or_else(gone)?;
    orders.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn listen_to_output(
    output: PipeReader,
    id: PluginId,
    tail: Arc<Tail>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("{id} output")).spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line that never ends is cut into several.
            let read = (&mut reader).take(LONGEST_LINE as u64).read_until(b'\n', &mut line);
            if read.unwrap_or(0) == 0 {
                return;
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            tail.push(text);
            log::log(Level::Info, &id, None, "output", text);
        }
    })
}

fn listen_to_log(
    mut control: Channel,
    id: PluginId,
    tail: Arc<Tail>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("{id} log")).spawn(move || {
        while let Ok(LogLine { level, target, message }) = control.receive() {
            tail.push(&message);
            log::log(Level::from_code(level).unwrap_or(Level::Trace), &id, None, &target, &message);
        }
    })
}

/// A conversation with a worker: one call after another.
#[derive(Debug)]
pub(super) struct Conversation {
    channel: Channel,
    arena: Arena,
    /// The buffers that each hook asked for the last time it was called: buffer, index, whether to
    /// change it. The next time they go with the call.
    habits: HashMap<u32, Vec<(u32, u64, bool)>>,
    patience: Option<Duration>,
}

impl Conversation {
    /// Makes one call and does what the plugin asks for in the meantime.
    ///
    /// # Errors
    /// Where the conversation is broken; what the plugin answers is in the inner result.
    pub(super) fn call(
        &mut self,
        target: Target,
        frame: &Frame,
        deadline: Option<Duration>,
        host: &mut dyn HookHost,
    ) -> io::Result<Result<(), CallFailure>> {
        self.arena.release();
        if self.patience != deadline {
            self.channel.patience(deadline)?;
            self.patience = deadline;
        }
        let options = host.options_version();
        let habit = self.habits.entry(frame.hook).or_default();
        // What is not there this time is asked for, and refused then.
        let lent: Vec<Lent> = std::mem::take(habit)
            .into_iter()
            .filter_map(|which| wire::lend(host, &mut self.arena, which).ok())
            .collect();
        let mut used: Vec<_> = lent.iter().map(|it| (it.buffer, it.index, it.writable)).collect();
        self.send(What::Call { target, frame: frame.into(), options, lent })?;
        loop {
            match self.channel.receive()? {
                FromWorker::Ask(ask) => {
                    match ask.request {
                        Request::Buffer { buffer, index, write } => {
                            used.retain(|(b, i, _)| (*b, *i) != (buffer, index));
                            used.push((buffer, index, write));
                        }
                        // Indices mean something else from here on.
                        Request::Resize { .. } => used.clear(),
                        _ => {}
                    }
                    let answer = wire::respond(host, &mut self.arena, ask);
                    self.send(What::Answer(answer))?;
                }
                FromWorker::Done { outcome, reads, written } => {
                    wire::count(host, &reads);
                    if outcome.is_ok() {
                        // The host has lent these for writing, so it takes them back.
                        let _ = wire::put_back(host, &self.arena, &written);
                    }
                    used.truncate(MOST_HABITS);
                    self.habits.insert(frame.hook, used);
                    return Ok(outcome.map_err(Into::into));
                }
            }
        }
    }

    fn send(&mut self, what: What) -> io::Result<()> {
        let fresh = self.arena.announce();
        let mut regions: Vec<u64> = fresh.iter().map(|slot| slot.region().len()).collect();
        let files: Vec<BorrowedFd<'_>> = fresh.iter().map(|slot| slot.region().file()).collect();
        // As many as go with one message.
        let mut groups = files.chunks(super::channel::FILES).peekable();
        while let Some(group) = groups.next() {
            let rest = regions.split_off(group.len());
            if groups.peek().is_none() {
                return self.channel.send(&FromHost { regions, what }, group);
            }
            self.channel.send(&FromHost { regions, what: What::More }, group)?;
            regions = rest;
        }
        self.channel.send(&FromHost { regions, what }, &[])
    }
}
