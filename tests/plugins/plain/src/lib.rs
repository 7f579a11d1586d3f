//! A shared library that is no plugin: no manifest, no module.

/// Adds two numbers.
pub extern "C" fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}
