//! The list of faults, as text and as data.

use std::time::Duration;

/// Names of the hooks, as they stand in the list.
pub(crate) const HOOKS: [&str; 27] = [
    "model_loaded",
    "before_process",
    "start",
    "process",
    "before_process_batch",
    "after_extra_networks_activate",
    "process_batch",
    "before_hr",
    "process_before_every_sampling",
    "extra_noise",
    "cfg_denoiser",
    "cfg_denoised",
    "cfg_combine",
    "on_mask_blend",
    "cfg_after_cfg",
    "after_step",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "before_image_saved",
    "image_saved",
    "image_grid",
    "postprocess",
    "finish",
];

/// What goes wrong in a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Panic,
    /// A panic whose payload panics when it is dropped.
    PanicPayloadDrop,
    Error,
    /// Stops the run on purpose.
    Stop,
    Slow(Duration),
    /// Writes NaN into the hook's floats and goes on as if nothing had happened.
    Nan,
    ChangeThenError,
    ChangeThenPanic,
    /// Ends the process, or keeps it: see [`crate::fatal`].
    Fatal(Fatal),
}

/// What takes the process with it, or more of the machine than a hook should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fatal {
    Abort,
    Exit,
    /// A panic while another one unwinds.
    DoublePanic,
    StackOverflow,
    EndlessLoop,
    EatMemory,
    /// Starts processes.
    Spawn,
    /// Writes the file that [`crate::FILE`] names.
    WriteFile,
    /// Connects to the address that [`crate::ADDRESS`] names.
    Connect,
}

impl Fatal {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "abort" => Self::Abort,
            "exit" => Self::Exit,
            "double-panic" => Self::DoublePanic,
            "stack-overflow" => Self::StackOverflow,
            "endless-loop" => Self::EndlessLoop,
            "eat-memory" => Self::EatMemory,
            "spawn" => Self::Spawn,
            "write-file" => Self::WriteFile,
            "connect" => Self::Connect,
            _ => return None,
        })
    }
}

/// What shall go wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    in_hooks: Vec<(&'static str, Kind)>,
    /// Whether the instance of a run panics when it is dropped.
    pub(crate) in_drop: bool,
}

impl Faults {
    /// Reads a list with commas between its entries.
    pub(crate) fn parse(list: &str) -> Result<Self, BadFault> {
        let mut faults = Self::default();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match entry {
                "panic-in-drop" => faults.in_drop = true,
                "panic-in-start" => faults.in_hooks.push(("start", Kind::Panic)),
                "error-in-start" => faults.in_hooks.push(("start", Kind::Error)),
                "panic-payload-drop" => {
                    faults.in_hooks.push(("process", Kind::PanicPayloadDrop));
                }
                _ => faults.in_hooks.push(in_hook(entry)?),
            }
        }
        Ok(faults)
    }

    /// The faults of a hook, in the order of the list.
    pub(crate) fn of(&self, hook: &str) -> impl Iterator<Item = Kind> {
        self.in_hooks.iter().filter(move |(of, _)| *of == hook).map(|(_, kind)| *kind)
    }
}

fn in_hook(entry: &str) -> Result<(&'static str, Kind), BadFault> {
    let bad = |reason: &'static str| BadFault { entry: entry.to_owned(), reason };
    let mut parts = entry.split(':');
    let name = parts.next().unwrap_or_default();
    let hook = parts.next().ok_or_else(|| bad("is no fault, or lacks its hook"))?;
    let hook =
        HOOKS.into_iter().find(|known| *known == hook).ok_or_else(|| bad("has no such hook"))?;
    let kind = match name {
        "panic" => Kind::Panic,
        "panic-payload-drop" => Kind::PanicPayloadDrop,
        "error" => Kind::Error,
        "stop" => Kind::Stop,
        "nan" => Kind::Nan,
        "change-then-error" => Kind::ChangeThenError,
        "change-then-panic" => Kind::ChangeThenPanic,
        "slow" => {
            let millis = parts.next().and_then(|millis| millis.parse().ok());
            let millis = millis.ok_or_else(|| bad("needs milliseconds: slow:HOOK:MS"))?;
            Kind::Slow(Duration::from_millis(millis))
        }
        other => match Fatal::from_name(other) {
            Some(fatal) => Kind::Fatal(fatal),
            None => return Err(bad("is no fault")),
        },
    };
    if parts.next().is_some() {
        return Err(bad("has too many parts"));
    }
    Ok((hook, kind))
}

/// An entry that means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadFault {
    entry: String,
    reason: &'static str,
}

impl std::fmt::Display for BadFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entry, reason } = self;
        write!(f, "{}: “{entry}” {reason}; its README lists the faults", crate::VARIABLE)
    }
}

impl std::error::Error for BadFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str, hook: &str) -> Vec<Kind> {
        Faults::parse(list).expect(list).of(hook).collect()
    }

    #[test]
    fn an_empty_list_has_no_faults() {
        assert_eq!(Faults::parse(" , ,"), Ok(Faults::default()));
    }

    #[test]
    fn faults_belong_to_their_hooks() {
        let list = "panic:after_step, slow:process:20,error:process,nan:after_step";
        assert_eq!(of(list, "process"), [Kind::Slow(Duration::from_millis(20)), Kind::Error]);
        assert_eq!(of(list, "after_step"), [Kind::Panic, Kind::Nan]);
        assert_eq!(of(list, "finish"), []);
        assert_eq!(of("exit:finish", "finish"), [Kind::Fatal(Fatal::Exit)]);
    }

    #[test]
    fn faults_without_a_hook_have_their_own() {
        assert_eq!(of("panic-in-start", "start"), [Kind::Panic]);
        assert_eq!(of("error-in-start", "start"), [Kind::Error]);
        assert_eq!(of("panic-payload-drop", "process"), [Kind::PanicPayloadDrop]);
        assert_eq!(of("panic-payload-drop:finish", "finish"), [Kind::PanicPayloadDrop]);
        assert!(Faults::parse("panic-in-drop").expect("a fault").in_drop);
    }

    #[test]
    fn an_entry_that_means_nothing_is_named() {
        for (list, reason) in [
            ("panic", "is no fault, or lacks its hook"),
            ("panic:sleeping", "has no such hook"),
            ("explode:process", "is no fault"),
            ("slow:process", "needs milliseconds: slow:HOOK:MS"),
            ("slow:process:soon", "needs milliseconds: slow:HOOK:MS"),
            ("stop:process:now", "has too many parts"),
        ] {
            assert_eq!(Faults::parse(list), Err(BadFault { entry: list.to_owned(), reason }));
        }
    }
}
