//! Asking on the terminal whether a library may run.

use std::io::{self, IsTerminal as _, Write as _};

use crate::plugins::trust::{Candidate, Consent};

/// Asks whoever sits there. Where nobody does, the answer is no.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtTerminal;

impl Consent for AtTerminal {
    fn ask(&self, candidate: &Candidate<'_>) -> bool {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return false;
        }
        let name = match candidate.manifest {
            Some(manifest) => format!("{} {}", manifest.name, manifest.version),
            None => "A library without a manifest".to_owned(),
        };
        let mut errors = io::stderr();
        let _ = write!(
            errors,
            "{name} ({}, BLAKE3 {}) has not run here before. Its code can do whatever you can.\n\
             Run it, now and from now on? [y/N] ",
            candidate.path.display(),
            &candidate.hash[..16],
        );
        let _ = errors.flush();
        let mut answer = String::new();
        // An input that ends is a no.
        io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
