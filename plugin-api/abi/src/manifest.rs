//! The manifest: what a library says of itself before any of its code runs.
//!
//! It is an exported static without pointers in a link section of its own, so that a host can read
//! it from the file. Layout, little-endian: 8 bytes [`MAGIC`], `u32` format (1), `u32` length, then
//! that many bytes of JSON. A reader ignores JSON fields that it does not know.

/// The first eight bytes of a manifest.
pub const MAGIC: [u8; 8] = *b"ATELIERM";
/// The layout described in this module.
pub const FORMAT: u32 = 1;
/// The longest JSON a reader accepts, in bytes.
pub const MAX_JSON: usize = 64 * 1024;
/// The link section on ELF platforms.
pub const SECTION: &str = ".atelier";
/// The exported symbol.
pub const SYMBOL: &str = "ATELIER_PLUGIN_MANIFEST";

/// A manifest with `N` bytes of JSON.
#[repr(C)]
#[derive(Debug)]
pub struct Manifest<const N: usize> {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT`].
    pub format: u32,
    /// `N`.
    pub length: u32,
    /// JSON text.
    pub json: [u8; N],
}

impl<const N: usize> Manifest<N> {
    /// Wraps JSON.
    ///
    /// # Panics
    /// Where the JSON is longer than [`MAX_JSON`]: in a constant that stops the build.
    #[must_use]
    pub const fn new(json: [u8; N]) -> Self {
        assert!(N <= MAX_JSON, "a plugin's manifest may have 64 KiB at most");
        Self { magic: MAGIC, format: FORMAT.to_le(), length: (N as u32).to_le(), json }
    }
}

/// Total length of `parts`.
#[must_use]
pub const fn joined_len(parts: &[&str]) -> usize {
    let mut length = 0;
    let mut at = 0;
    while at < parts.len() {
        length += parts[at].len();
        at += 1;
    }
    length
}

/// `parts` one after another; `N` is their [`joined_len`].
#[must_use]
pub const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut out = [0; N];
    let (mut part, mut to) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut from = 0;
        while from < bytes.len() {
            out[to] = bytes[from];
            to += 1;
            from += 1;
        }
        part += 1;
    }
    out
}

/// Why bytes are no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// Shorter than its own header or length says.
    Truncated,
    /// Not [`MAGIC`].
    Magic,
    /// A format newer than this reader.
    Format(u32),
    /// More JSON than [`MAX_JSON`].
    TooLong(u32),
    /// JSON that is not UTF-8.
    NotText,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("the manifest is cut off"),
            Self::Magic => f.write_str("the manifest section does not begin with ATELIERM"),
            Self::Format(found) => write!(f, "manifest format {found} is newer than this host's 1"),
            Self::TooLong(length) => {
                write!(f, "a manifest of {length} bytes is longer than 64 KiB")
            }
            Self::NotText => f.write_str("the manifest is not UTF-8"),
        }
    }
}

impl std::error::Error for ManifestError {}

/// The JSON text of a manifest section. Bytes behind the declared length are ignored.
///
/// # Errors
/// See [`ManifestError`].
pub fn read(section: &[u8]) -> Result<&str, ManifestError> {
    let word = |at: usize| {
        let bytes = section.get(at..at + 4).ok_or(ManifestError::Truncated)?;
        <[u8; 4]>::try_from(bytes).map(u32::from_le_bytes).map_err(|_| ManifestError::Truncated)
    };
    if section.get(..8).ok_or(ManifestError::Truncated)? != MAGIC {
        return Err(ManifestError::Magic);
    }
    let format = word(8)?;
    if format != FORMAT {
        return Err(ManifestError::Format(format));
    }
    let length = word(12)?;
    if length as usize > MAX_JSON {
        return Err(ManifestError::TooLong(length));
    }
    let json = section.get(16..16 + length as usize).ok_or(ManifestError::Truncated)?;
    std::str::from_utf8(json).map_err(|_| ManifestError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(format: u32, length: u32, json: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &format.to_le_bytes(), &length.to_le_bytes(), json].concat()
    }

    #[test]
    fn a_manifest_is_read_and_bytes_behind_it_are_ignored() {
        assert_eq!(read(&bytes(1, 2, b"{}garbage")), Ok("{}"));
    }

    #[test]
    fn every_damage_has_its_own_error() {
        assert_eq!(read(b"ATEL"), Err(ManifestError::Truncated));
        assert_eq!(read(b"NOTATELIER______"), Err(ManifestError::Magic));
        assert_eq!(read(&bytes(2, 2, b"{}")), Err(ManifestError::Format(2)));
        assert_eq!(read(&bytes(1, 3, b"{}")), Err(ManifestError::Truncated));
        assert_eq!(read(&bytes(1, 1 << 20, b"{}")), Err(ManifestError::TooLong(1 << 20)));
        assert_eq!(read(&bytes(1, 1, b"\xff")), Err(ManifestError::NotText));
    }

    #[test]
    fn parts_are_joined_at_compile_time() {
        const PARTS: &[&str] = &["{\"a\":", "\"é\"", "}"];
        const JSON: [u8; joined_len(PARTS)] = join(PARTS);
        assert_eq!(std::str::from_utf8(&JSON), Ok("{\"a\":\"é\"}"));
    }
}
