//! The one EXIF field that carries an infotext: `UserComment`.
//!
//! JPEG and WebP have no text chunks; A1111 v1.10.1 writes their infotext into
//! `UserComment` as `UNICODE\0` and UTF-16 in big-endian order.

/// Tag in the main directory: where the EXIF directory is.
const EXIF_DIRECTORY: u16 = 0x8769;
/// Tag in the EXIF directory: the comment.
const USER_COMMENT: u16 = 0x9286;
/// TIFF's code for a 4-byte unsigned number.
const LONG: u16 = 4;
/// TIFF's code for raw bytes.
const UNDEFINED: u16 = 7;
/// Bytes of a directory with one entry: count, entry, offset of the next directory.
const DIRECTORY_BYTES: u32 = 2 + ENTRY_BYTES + 4;
const ENTRY_BYTES: u32 = 12;
const HEADER_BYTES: u32 = 8;

/// An EXIF block (a big-endian TIFF without the `Exif\0\0` that JPEG puts before it) whose only
/// field is this comment.
pub fn write_comment(text: &str) -> Vec<u8> {
    let mut comment = b"UNICODE\0".to_vec();
    comment.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    let exif_directory = HEADER_BYTES + DIRECTORY_BYTES;
    let data = exif_directory + DIRECTORY_BYTES;

    let mut block = b"MM\0\x2a".to_vec();
    block.extend(HEADER_BYTES.to_be_bytes());
    let mut directory = |tag: u16, kind: u16, count: u32, value: u32| {
        block.extend(1_u16.to_be_bytes());
        block.extend(tag.to_be_bytes());
        block.extend(kind.to_be_bytes());
        block.extend(count.to_be_bytes());
        block.extend(value.to_be_bytes());
        block.extend(0_u32.to_be_bytes());
    };
    directory(EXIF_DIRECTORY, LONG, 1, exif_directory);
    directory(USER_COMMENT, UNDEFINED, comment.len() as u32, data);
    block.extend(comment);
    block
}

/// The comment of an EXIF block, whoever wrote it: either byte order, `Exif\0\0` before it or not.
///
/// `UNICODE` is read as UTF-16 in big-endian order whatever the block's order is (that is what
/// A1111 writes and reads), anything else as UTF-8. `None` if there is no comment, or an empty
/// one, or the block is damaged.
pub fn read_comment(block: &[u8]) -> Option<String> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let tiff = Tiff::new(block)?;
    let exif = tiff.find(tiff.u32(4)?, EXIF_DIRECTORY)?;
    let entry = tiff.find(tiff.u32(exif + 8)?, USER_COMMENT)?;
    let length = tiff.u32(entry + 4)?;
    // Four bytes or fewer stand in the entry itself.
    let start = if length <= 4 { entry + 8 } else { tiff.u32(entry + 8)? };
    let comment = tiff.bytes(start, length)?;
    let text = match comment.split_at_checked(8) {
        Some((b"UNICODE\0", text)) => {
            let units = text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        Some((b"ASCII\0\0\0" | b"\0\0\0\0\0\0\0\0", text)) => String::from_utf8_lossy(text).into(),
        _ => String::from_utf8_lossy(comment).into_owned(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Bounds-checked reads from a TIFF block.
struct Tiff<'a> {
    block: &'a [u8],
    big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn new(block: &'a [u8]) -> Option<Self> {
        match block.get(..4)? {
            b"MM\0\x2a" => Some(Self { block, big_endian: true }),
            b"II\x2a\0" => Some(Self { block, big_endian: false }),
            _ => None,
        }
    }

    fn bytes(&self, at: u32, length: u32) -> Option<&'a [u8]> {
        self.block.get(at as usize..(at as usize).checked_add(length as usize)?)
    }

    fn u16(&self, at: u32) -> Option<u16> {
        let bytes = self.bytes(at, 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: u32) -> Option<u32> {
        let bytes = self.bytes(at, 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Offset of the entry with this tag in the directory at `directory`. An offset it returns
    /// has its whole entry inside the block.
    fn find(&self, directory: u32, tag: u16) -> Option<u32> {
        (0..u32::from(self.u16(directory)?))
            .map_while(|index| {
                let entry = directory.checked_add(2 + index * ENTRY_BYTES)?;
                self.bytes(entry, ENTRY_BYTES).map(|_| entry)
            })
            .find(|entry| self.u16(*entry) == Some(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_a_big_endian_tiff_with_one_comment() {
        let block = write_comment("aé");
        let expected = b"MM\0\x2a\0\0\0\x08\
            \0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0\
            \0\x01\x92\x86\0\x07\0\0\0\x0c\0\0\0\x2c\0\0\0\0\
            UNICODE\0\0a\0\xe9";
        assert_eq!(block, expected);
    }

    #[test]
    fn any_text_comes_back() {
        for text in ["a", "two\nlines", "é 猫 🐈", &"long ".repeat(1000)] {
            let block = write_comment(text);
            assert_eq!(read_comment(&block).as_deref(), Some(text));
            let prefixed = [b"Exif\0\0".as_slice(), &block].concat();
            assert_eq!(read_comment(&prefixed).as_deref(), Some(text));
        }
        assert_eq!(read_comment(&write_comment("")), None);
    }

    #[test]
    fn little_endian_blocks_with_other_fields_are_read() {
        let block = b"II\x2a\0\x08\0\0\0\
            \x02\0\
            \x12\x01\x03\0\x01\0\0\0\x01\0\0\0\
            \x69\x87\x04\0\x01\0\0\0\x26\0\0\0\
            \0\0\0\0\
            \x01\0\x86\x92\x07\0\x0b\0\0\0\x38\0\0\0\0\0\0\0\
            ASCII\0\0\0cat";
        assert_eq!(read_comment(block).as_deref(), Some("cat"));
    }

    #[test]
    fn damaged_blocks_have_no_comment_and_do_no_harm() {
        let block = write_comment("a cat");
        for end in 0..block.len() {
            assert_eq!(read_comment(&block[..end]), None);
        }
        for at in 0..44 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = block.clone();
                broken[at] = value;
                let _ = read_comment(&broken);
            }
        }
        for offset in [u32::MAX, u32::MAX - 1, u32::MAX - 12] {
            let mut broken = block.clone();
            broken[4..8].copy_from_slice(&offset.to_be_bytes());
            assert_eq!(read_comment(&broken), None);
        }
    }
}
