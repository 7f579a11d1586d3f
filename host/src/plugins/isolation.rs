//! Where a plugin's code runs, and what it may use there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a plugin's code runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In the host's process: the cheapest way, and a crash takes the host with it.
    #[default]
    InProcess,
    /// In a process of its own: whatever it does, the host goes on.
    Worker,
}

impl Isolation {
    /// All of them, by the words that options and flags use.
    pub const WORDS: [&'static str; 2] = ["in-process", "worker"];

    /// Where that is, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::InProcess => "in the host's process",
            Self::Worker => "in a worker",
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProcess => Self::WORDS[0],
            Self::Worker => Self::WORDS[1],
        }
    }
}

/// What a plugin's manifest asks for, for its worker. The user grants it, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Address space, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Processor time of one hook, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Sockets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Processes of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub processes: bool,
    /// Folders to write to, beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<PathBuf>,
}

/// What it is beyond what every plugin may use, in words.
impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.network.then(|| "the network".to_owned()));
        words.extend(self.processes.then(|| "processes of its own".to_owned()));
        words.extend(self.memory_mb.map(|mib| format!("{mib} MiB of memory")));
        words.extend(self.cpu_seconds.map(|time| format!("{time} s of processor time in a hook")));
        words.extend(self.write.iter().map(|folder| format!("writing to {}", folder.display())));
        f.write_str(&if words.is_empty() { "nothing more".to_owned() } else { words.join(", ") })
    }
}

impl Needs {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a worker may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space, in MiB.
    pub memory_mb: u64,
    /// Processor time of one hook, in seconds.
    pub cpu_seconds: u64,
    /// Whether it may open sockets.
    pub network: bool,
    /// Whether it may start processes.
    pub processes: bool,
    /// Folders that it may write to, beside its own.
    pub write: Vec<PathBuf>,
}

impl Limits {
    /// These and what was granted.
    pub(super) fn with(mut self, granted: &Needs) -> Self {
        self.memory_mb = granted.memory_mb.unwrap_or(self.memory_mb);
        self.cpu_seconds = granted.cpu_seconds.unwrap_or(self.cpu_seconds);
        self.network |= granted.network;
        self.processes |= granted.processes;
        self.write.extend(granted.write.iter().cloned());
        self
    }
}

impl Default for Limits {
    /// What every plugin may: 4 GiB, five minutes of processor time in one hook, its own folder.
    fn default() -> Self {
        Self {
            memory_mb: 4096,
            cpu_seconds: 300,
            network: false,
            processes: false,
            write: Vec::new(),
        }
    }
}
