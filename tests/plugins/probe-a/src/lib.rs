//! The probe with the id `probe-a`; `probe-core` says what it does.

probe_core::probe!("probe-a", "Probe A");
