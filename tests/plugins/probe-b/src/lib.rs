//! The probe with the id `probe-b`; `probe-core` says what it does.

probe_core::probe!("probe-b", "Probe B");
