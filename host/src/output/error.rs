//! What can go wrong between finished pixels and a file on disk.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A failure while a picture is encoded, named, saved, or read back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The format's name is none that can be written.
    #[error("image format `{name}` cannot be written; use png, jpg, jpeg or webp")]
    UnknownFormat {
        /// The name as it was given.
        name: String,
    },
    /// The encoder refused the picture.
    #[error(
        "a {width}x{height} picture cannot be encoded as {format} ({source}); save it as another \
         format or in another size"
    )]
    Encode {
        /// Format name, e.g. `jpg`.
        format: &'static str,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's own words.
        source: image::ImageError,
    },
    /// The PNG encoder refused the picture.
    #[error(
        "a {width}x{height} picture cannot be encoded as png ({source}); check that neither side \
         is 0"
    )]
    EncodePng {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's own words.
        source: png::EncodingError,
    },
    /// A PNG text chunk has a keyword that the format does not allow.
    #[error(
        "text chunk keyword `{keyword}` is not allowed in a png: use 1 to 79 printable Latin-1 \
         characters"
    )]
    Keyword {
        /// The keyword as it was given.
        keyword: String,
    },
    /// The text does not fit into the format's place for it.
    #[error(
        "the infotext takes {bytes} bytes, {format} holds at most {limit}; save as png, or shorten \
         the prompt"
    )]
    TextTooLong {
        /// Format name, e.g. `jpg`.
        format: &'static str,
        /// Size of the text once encoded.
        bytes: usize,
        /// What the format holds.
        limit: usize,
    },
    /// The file is not one of the formats that carry an infotext.
    #[error("this is no png, jpeg or webp file; give a picture as it was saved")]
    NotAPicture,
    /// The file claims to be a PNG but cannot be read as one.
    #[error("the png file is damaged ({source}); give the picture as it was saved")]
    ReadPng {
        /// The decoder's own words.
        source: png::DecodingError,
    },
    /// The file claims to be a JPEG or WebP but cannot be read as one.
    #[error("the {format} file is damaged ({source}); give the picture as it was saved")]
    Read {
        /// Format name, e.g. `webp`.
        format: &'static str,
        /// The decoder's own words.
        source: image::ImageError,
    },
    /// The folder for pictures cannot be made or listed.
    #[error(
        "folder {} cannot be used for pictures ({source}); check that it can be made and written",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The file could not be written or put in place.
    #[error("{} could not be saved ({source}); check free space and permissions", path.display())]
    Save {
        /// The file's final path.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// No free number or suffix was left.
    #[error(
        "no free file number is left in {}; move the file with the highest number elsewhere",
        folder.display()
    )]
    NoNumberLeft {
        /// The folder.
        folder: PathBuf,
    },
    /// A grid of no pictures, or of no cells, was asked for.
    #[error(
        "a grid of {cols}x{rows} cells for {images} pictures has nothing in it; give at least one \
         of each"
    )]
    EmptyGrid {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
        /// Pictures.
        images: usize,
    },
    /// The grid would be larger than a picture can be.
    #[error(
        "a grid of {cols}x{rows} cells of {cell_width}x{cell_height} pixels is too large; lower \
         the number of pictures, or save them without a grid"
    )]
    GridTooLarge {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
        /// Width of one cell in pixels.
        cell_width: u32,
        /// Height of one cell in pixels.
        cell_height: u32,
    },
}
