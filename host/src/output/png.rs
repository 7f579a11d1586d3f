//! PNG files and their text chunks.
//!
//! A text that is Latin-1 goes into a `tEXt` chunk, any other into an uncompressed `iTXt` chunk in
//! UTF-8: the choice Pillow makes, and so what every reader of A1111's pictures expects.

use std::io::Cursor;

use image::RgbImage;

use super::OutputError;

/// Keyword of the chunk that holds the infotext.
pub const PARAMETERS: &str = "parameters";

/// A PNG file of an 8-bit RGB picture with these text chunks (keyword, text), in their order,
/// before the pixels.
///
/// # Errors
/// [`OutputError::Keyword`] for a keyword that is empty, longer than 79 characters, not Latin-1
/// or has control characters; [`OutputError::EncodePng`] for a picture without pixels.
pub fn write(image: &RgbImage, texts: &[(&str, &str)]) -> Result<Vec<u8>, OutputError> {
    let (width, height) = image.dimensions();
    let failed = |source| OutputError::EncodePng { width, height, source };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in texts {
        check_keyword(keyword)?;
        let (keyword, text) = ((*keyword).to_owned(), (*text).to_owned());
        if is_latin1(&text) {
            encoder.add_text_chunk(keyword, text).map_err(failed)?;
        } else {
            encoder.add_itxt_chunk(keyword, text).map_err(failed)?;
        }
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(image.as_raw()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// What a PNG file says beside its pixels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PngTexts {
    /// Keyword and text of every text chunk: `tEXt`, then `zTXt`, then `iTXt`. A compressed text
    /// that is damaged or larger than 2 MiB is left out.
    pub texts: Vec<(String, String)>,
    /// The EXIF block, if there is one.
    pub exif: Option<Vec<u8>>,
}

/// Reads the text chunks of a PNG file, those behind the pixels included.
///
/// # Errors
/// [`OutputError::ReadPng`] if the bytes are no PNG file or end early.
pub fn read(bytes: &[u8]) -> Result<PngTexts, OutputError> {
    let failed = |source| OutputError::ReadPng { source };
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(failed)?;
    reader.finish().map_err(failed)?;
    let info = reader.info();
    let mut texts = Vec::new();
    for chunk in &info.uncompressed_latin1_text {
        texts.push((chunk.keyword.clone(), chunk.text.clone()));
    }
    for chunk in &info.compressed_latin1_text {
        texts.extend(chunk.get_text().ok().map(|text| (chunk.keyword.clone(), text)));
    }
    for chunk in &info.utf8_text {
        texts.extend(chunk.get_text().ok().map(|text| (chunk.keyword.clone(), text)));
    }
    Ok(PngTexts { texts, exif: info.exif_metadata.as_ref().map(|exif| exif.to_vec()) })
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|c| u32::from(c) <= 0xff)
}

fn check_keyword(keyword: &str) -> Result<(), OutputError> {
    let length = keyword.chars().count();
    if (1..=79).contains(&length) && is_latin1(keyword) && !keyword.contains(char::is_control) {
        Ok(())
    } else {
        Err(OutputError::Keyword { keyword: keyword.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 50, y as u8 * 80, 7]))
    }

    /// Type and data of every chunk, straight from the bytes.
    fn chunks(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
        bytes = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            chunks.push((&bytes[4..8], &bytes[8..8 + length]));
            bytes = &bytes[12 + length..];
        }
        chunks
    }

    #[test]
    fn latin1_goes_into_text_and_anything_else_into_uncompressed_international_text() {
        let bytes = write(
            &picture(),
            &[("parameters", "Zoë\nSteps: 1"), ("atelier", "{\"cat\":\"猫\"}"), ("empty", "")],
        )
        .unwrap();
        let chunks = chunks(&bytes);
        let kinds: Vec<_> =
            chunks.iter().map(|(kind, _)| std::str::from_utf8(kind).unwrap()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "tEXt").count(), 2);
        assert!(
            kinds.iter().position(|kind| *kind == "iTXt")
                < kinds.iter().position(|kind| *kind == "IDAT")
        );
        assert!(chunks.contains(&(b"tEXt", b"parameters\0Zo\xeb\nSteps: 1")));
        // Keyword, not compressed, method 0, no language, no translated keyword, UTF-8.
        let mut international = b"atelier\0\0\0\0\0".to_vec();
        international.extend_from_slice("{\"cat\":\"猫\"}".as_bytes());
        assert!(chunks.contains(&(b"iTXt", &international)));
    }

    #[test]
    fn texts_and_pixels_come_back() {
        let bytes = write(&picture(), &[("parameters", "é"), ("more", "猫")]).unwrap();
        let texts = read(&bytes).unwrap().texts;
        assert_eq!(texts, [("parameters".into(), "é".into()), ("more".into(), "猫".into())]);
        let decoded = image::load_from_memory(&bytes).unwrap();
        assert_eq!(decoded.to_rgb8(), picture());
    }

    #[test]
    fn chunks_behind_the_pixels_and_compressed_ones_are_read() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.add_ztxt_chunk("zipped".into(), "text ".repeat(50)).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0]).unwrap();
        writer
            .write_text_chunk(&png::text_metadata::ITXtChunk::new("parameters", "behind 猫"))
            .unwrap();
        writer.finish().unwrap();
        let texts = read(&bytes).unwrap().texts;
        assert_eq!(texts[0].1, "text ".repeat(50));
        assert_eq!(texts[1], ("parameters".into(), "behind 猫".into()));
    }

    #[test]
    fn keywords_that_png_forbids_are_refused() {
        for keyword in ["", "猫", "a\0b", &"x".repeat(80)] {
            let error = write(&picture(), &[(keyword, "text")]).unwrap_err();
            assert!(matches!(error, OutputError::Keyword { .. }), "{keyword:?}");
        }
        assert!(write(&picture(), &[(&"é".repeat(79), "text")]).is_ok());
    }

    #[test]
    fn damaged_files_and_empty_pictures_are_errors() {
        let bytes = write(&picture(), &[("parameters", "x")]).unwrap();
        for end in 0..bytes.len() - 12 {
            assert!(read(&bytes[..end]).is_err(), "cut at {end} of {}", bytes.len());
        }
        assert!(matches!(
            write(&RgbImage::new(0, 4), &[]),
            Err(OutputError::EncodePng { width: 0, height: 4, .. })
        ));
    }
}
