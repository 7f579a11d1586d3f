//! Output: what a finished picture becomes on disk.
//!
//! The way of a picture, one file per step:
//!
//! 1. **pixels**: the run hands over an [`image::RgbImage`]; several of them may become one
//!    [`grid`].
//! 2. **infotext**: [`infotext`] writes down how the picture was made, in A1111's layout, so that
//!    every tool that reads such pictures can read this one. [`infotext_parse`] reads it back,
//!    [`infotext_defaults`] fills in what a writer leaves out.
//! 3. **bytes**: [`encode`] makes a PNG, JPEG or WebP file that carries the infotext
//!    ([`png`] text chunks, [`exif`] user comment), and reads one back.
//! 4. **name**: [`filename`] turns a pattern such as `[seed]-[prompt_spaces]` into a name that
//!    cannot leave its folder.
//! 5. **file**: [`sequence`] gives the file its number and puts it in place, safe against every
//!    other run and process that saves into the same folder.
//!
//! Nothing here knows the option store: callers hand in plain values.
//!
//! ```
//! use atelier_host::output::encode::{Format, encode, read};
//! use atelier_host::output::infotext::Infotext;
//! use atelier_host::output::infotext_params::RunParams;
//! use atelier_host::output::sequence::{Naming, Target, save_image_file};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let picture = image::RgbImage::new(64, 64);
//! let params = RunParams {
//!     steps: 20,
//!     sampler: "Euler a".into(),
//!     cfg_scale: 7.0,
//!     seed: 42,
//!     size: (64, 64),
//!     ..RunParams::default()
//! };
//! let infotext = Infotext::new("a cat", "", params.with_extra(Vec::new())).to_string();
//! let bytes = encode(&picture, Format::Png, Some(&infotext), &[])?;
//! let file = save_image_file(
//!     &Target {
//!         folder: folder.path(),
//!         basename: "",
//!         decoration: "42",
//!         extension: Format::Png.extension(),
//!         naming: Naming::Numbered,
//!     },
//!     &bytes,
//! )?;
//! assert!(file.ends_with("00000-42.png"));
//! assert_eq!(read(&std::fs::read(file)?)?.infotext.as_deref(), Some(infotext.as_str()));
//! # Ok(())
//! # }
//! ```

pub mod encode;
pub mod error;
pub mod exif;
pub mod filename;
pub mod grid;
pub mod infotext;
pub mod infotext_defaults;
pub mod infotext_params;
pub mod infotext_parse;
pub mod png;
pub mod safe_name;
pub mod sequence;

mod python_text;

pub use error::OutputError;
