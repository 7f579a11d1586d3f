//! Options: schema, live store, overrides, snapshot, persistence.
