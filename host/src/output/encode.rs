//! From pixels to the bytes of a file that says how it was made, and back to what it says.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, RgbImage};

use super::{OutputError, exif, png};

/// The most an EXIF block can take in a JPEG segment: 65535 bytes less the segment's own length
/// field and the `Exif\0\0` before the block.
const JPEG_EXIF_LIMIT: usize = 65535 - 2 - 6;

/// A file format for finished pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lossless, with text chunks.
    Png,
    /// Lossy; the infotext stands in EXIF.
    Jpeg {
        /// 1 (smallest) to 100 (best).
        quality: u8,
    },
    /// Lossless whatever `webp_lossless` says (there is no lossy WebP encoder in Rust); the
    /// infotext stands in EXIF.
    Webp,
}

impl Format {
    /// The format that the option `samples_format` or `grid_format` names, in any case of letters.
    ///
    /// # Errors
    /// [`OutputError::UnknownFormat`] for anything but png, jpg, jpeg and webp.
    pub fn from_name(name: &str, jpeg_quality: u8) -> Result<Self, OutputError> {
        match name.to_ascii_lowercase().as_str() {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg { quality: jpeg_quality.clamp(1, 100) }),
            "webp" => Ok(Self::Webp),
            _ => Err(OutputError::UnknownFormat { name: name.to_owned() }),
        }
    }

    /// The file extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg { .. } => "jpg",
            Self::Webp => "webp",
        }
    }

    /// This format, or PNG where this one cannot hold a picture of that many pixels per side
    /// (65535 for JPEG, 16383 for WebP), as A1111 v1.10.1 does.
    pub fn for_size(self, width: u32, height: u32) -> Self {
        let limit = match self {
            Self::Png => return self,
            Self::Jpeg { .. } => 65535,
            Self::Webp => 16383,
        };
        if width.max(height) > limit { Self::Png } else { self }
    }
}

/// The bytes of a picture file that carries its infotext.
///
/// `more` are further text chunks (keyword, text), written by PNG only: the other formats have no
/// place for them.
///
/// # Errors
/// [`OutputError::Encode`] or [`OutputError::EncodePng`] if the format cannot hold the picture,
/// [`OutputError::TextTooLong`] for an infotext over 32 thousand characters in a JPEG,
/// [`OutputError::Keyword`] for a chunk keyword that PNG forbids.
pub fn encode(
    image: &RgbImage,
    format: Format,
    infotext: Option<&str>,
    more: &[(&str, &str)],
) -> Result<Vec<u8>, OutputError> {
    let mut bytes = Vec::new();
    match format {
        Format::Png => {
            let texts: Vec<_> = infotext
                .map(|text| (png::PARAMETERS, text))
                .into_iter()
                .chain(more.iter().copied())
                .collect();
            return png::write(image, &texts);
        }
        Format::Jpeg { quality } => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
            let exif = infotext.map(exif::write_comment);
            if let Some(exif) = exif.as_ref().filter(|exif| exif.len() > JPEG_EXIF_LIMIT) {
                return Err(OutputError::TextTooLong {
                    format: format.extension(),
                    bytes: exif.len(),
                    limit: JPEG_EXIF_LIMIT,
                });
            }
            write_with_exif(encoder, image, format, exif)?;
        }
        Format::Webp => {
            let encoder = WebPEncoder::new_lossless(&mut bytes);
            write_with_exif(encoder, image, format, infotext.map(exif::write_comment))?;
        }
    }
    Ok(bytes)
}

fn write_with_exif(
    mut encoder: impl ImageEncoder,
    image: &RgbImage,
    format: Format,
    exif: Option<Vec<u8>>,
) -> Result<(), OutputError> {
    let (width, height) = image.dimensions();
    let failed = |source| OutputError::Encode { format: format.extension(), width, height, source };
    if let Some(exif) = exif {
        encoder
            .set_exif_metadata(exif)
            .map_err(|source| failed(image::ImageError::Unsupported(source)))?;
    }
    encoder.write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8).map_err(failed)
}

/// What a picture file says about how it was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PictureTexts {
    /// The infotext: the EXIF comment if there is one, else the PNG chunk `parameters`.
    pub infotext: Option<String>,
    /// All other text chunks of a PNG (keyword, text).
    pub more: Vec<(String, String)>,
}

/// Reads the texts of a PNG, JPEG or WebP file; the kind is told from its first bytes.
///
/// # Errors
/// [`OutputError::NotAPicture`] for any other file, [`OutputError::Read`] or
/// [`OutputError::ReadPng`] for a damaged one.
pub fn read(bytes: &[u8]) -> Result<PictureTexts, OutputError> {
    let of_exif = |exif: Option<Vec<u8>>| exif.as_deref().and_then(exif::read_comment);
    let (infotext, more) = match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => {
            let png::PngTexts { mut texts, exif } = png::read(bytes)?;
            let at = texts.iter().position(|(keyword, _)| keyword == png::PARAMETERS);
            let parameters = at.map(|at| texts.remove(at).1);
            (of_exif(exif).or(parameters), texts)
        }
        Ok(ImageFormat::Jpeg) => {
            let failed = |source| OutputError::Read { format: "jpg", source };
            let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(failed)?;
            (of_exif(decoder.exif_metadata().map_err(failed)?), Vec::new())
        }
        Ok(ImageFormat::WebP) => {
            let failed = |source| OutputError::Read { format: "webp", source };
            let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
            (of_exif(decoder.exif_metadata().map_err(failed)?), Vec::new())
        }
        _ => return Err(OutputError::NotAPicture),
    };
    Ok(PictureTexts { infotext, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: Format = Format::Jpeg { quality: 90 };

    fn picture() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| image::Rgb([x as u8 * 10, y as u8 * 15, 128]))
    }

    #[test]
    fn every_format_carries_the_infotext_and_the_picture() {
        let infotext = "a 猫 \"quoted\"\nNegative prompt: ß\nSteps: 1, Sampler: x, Seed: 2";
        for format in [Format::Png, JPEG, Format::Webp] {
            let bytes = encode(&picture(), format, Some(infotext), &[]).unwrap();
            assert_eq!(read(&bytes).unwrap().infotext.as_deref(), Some(infotext), "{format:?}");
            let decoded = image::load_from_memory(&bytes).unwrap().to_rgb8();
            if format == JPEG {
                let worst = decoded.as_raw().iter().zip(picture().into_raw());
                let worst = worst.map(|(a, b)| a.abs_diff(b)).max().unwrap();
                assert!(worst < 16, "{worst}");
            } else {
                assert_eq!(decoded, picture(), "{format:?}");
            }
        }
    }

    #[test]
    fn without_an_infotext_there_is_none_to_read() {
        for format in [Format::Png, JPEG, Format::Webp] {
            let bytes = encode(&picture(), format, None, &[("only", "png")]).unwrap();
            let texts = read(&bytes).unwrap();
            assert_eq!(texts.infotext, None);
            assert_eq!(texts.more.len(), usize::from(format == Format::Png));
        }
    }

    #[test]
    fn an_exif_comment_wins_over_the_parameters_chunk() {
        let mut bytes = Vec::new();
        let mut info = ::png::Info::with_size(1, 1);
        info.exif_metadata = Some(exif::write_comment("from exif").into());
        let mut encoder = ::png::Encoder::with_info(&mut bytes, info).unwrap();
        encoder.add_text_chunk("parameters".into(), "from chunk".into()).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&bytes).unwrap().infotext.as_deref(), Some("from exif"));
    }

    #[test]
    fn a_text_too_long_for_jpeg_is_refused_and_the_longest_one_is_not() {
        // 44 bytes of directories and 8 of encoding name stand before the text.
        let fits = "x".repeat((JPEG_EXIF_LIMIT - 52) / 2);
        let bytes = encode(&picture(), JPEG, Some(&fits), &[]).unwrap();
        assert_eq!(read(&bytes).unwrap().infotext, Some(fits.clone()));
        let error = encode(&picture(), JPEG, Some(&format!("{fits}x")), &[]).unwrap_err();
        assert!(matches!(error, OutputError::TextTooLong { limit: JPEG_EXIF_LIMIT, .. }));
        let webp = encode(&picture(), Format::Webp, Some(&fits.repeat(3)), &[]).unwrap();
        assert_eq!(read(&webp).unwrap().infotext, Some(fits.repeat(3)));
    }

    #[test]
    fn sizes_a_format_cannot_hold_become_png() {
        assert_eq!(JPEG.for_size(65535, 1), JPEG);
        assert_eq!(JPEG.for_size(1, 65536), Format::Png);
        assert_eq!(Format::Webp.for_size(16383, 16383), Format::Webp);
        assert_eq!(Format::Webp.for_size(16384, 1), Format::Png);
    }

    #[test]
    fn formats_are_known_by_the_names_of_the_option() {
        assert_eq!(Format::from_name("JPEG", 0).unwrap(), Format::Jpeg { quality: 1 });
        assert_eq!(Format::from_name("jpg", 200).unwrap(), Format::Jpeg { quality: 100 });
        assert_eq!(Format::from_name("png", 80).unwrap().extension(), "png");
        let error = Format::from_name("avif", 80).unwrap_err().to_string();
        assert!(error.contains("`avif`") && error.contains("webp"), "{error}");
    }

    #[test]
    fn files_that_are_no_pictures_or_damaged_ones_are_errors() {
        assert!(matches!(read(b"hello"), Err(OutputError::NotAPicture)));
        assert!(matches!(read(b""), Err(OutputError::NotAPicture)));
        for format in [Format::Png, JPEG, Format::Webp] {
            let bytes = encode(&picture(), format, Some("text"), &[]).unwrap();
            for end in 0..bytes.len() {
                let _ = read(&bytes[..end]);
            }
            assert!(read(&bytes[..20]).is_err(), "{format:?}");
            assert!(encode(&RgbImage::new(0, 0), format, None, &[]).is_err(), "{format:?}");
        }
    }
}
