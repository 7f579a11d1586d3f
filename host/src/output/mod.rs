//! Output: what a finished picture becomes on disk.
