//! The version of the ABI and what it promises.

use std::fmt;

/// A version of the ABI. Minor versions only add: see the package's docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbiVersion {
    /// Changed when a plugin has to be rebuilt.
    pub major: u32,
    /// Changed when something was added.
    pub minor: u32,
}

/// The version this package was built as, as text.
pub const ABI_VERSION_TEXT: &str =
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// The version this package was built as.
pub const ABI_VERSION: AbiVersion = AbiVersion {
    major: digits(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: digits(env!("CARGO_PKG_VERSION_MINOR")),
};

const fn digits(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut value = 0;
    let mut at = 0;
    while at < bytes.len() {
        value = value * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    value
}

impl AbiVersion {
    /// Reads `major.minor`, or `None` where the text is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Whether a host of version `self` runs a plugin of version `plugin`: the same major number,
    /// any minor. A newer plugin finds functions missing and says so itself; an older one uses less.
    #[must_use]
    pub const fn runs(self, plugin: Self) -> bool {
        self.major == plugin.major
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
