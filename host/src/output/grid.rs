//! Contact sheets: several pictures side by side in one, laid out as A1111 v1.10.1 does.

use image::{Rgb, RgbImage, imageops};

use super::OutputError;

/// How many columns and rows a grid of `images` pictures has.
///
/// `n_rows` is the option of that name: a number of rows, 0 for one row per picture of a batch
/// (`batch_size` rows), -1 for a grid as square as can be. `prevent_empty_spots` makes the square
/// one narrower until every cell is filled. There are never more rows than pictures; without
/// pictures there is nothing: (0, 0).
pub fn grid_size(
    images: usize,
    n_rows: i64,
    batch_size: usize,
    prevent_empty_spots: bool,
) -> (u32, u32) {
    if images == 0 {
        return (0, 0);
    }
    let rows = match usize::try_from(n_rows) {
        Ok(0) => batch_size,
        Ok(rows) => rows,
        Err(_) if prevent_empty_spots => {
            (1..=images.isqrt()).rev().find(|rows| images.is_multiple_of(*rows)).unwrap_or(1)
        }
        Err(_) => (images as f64).sqrt().round() as usize,
    };
    let rows = rows.clamp(1, images);
    (images.div_ceil(rows) as u32, rows as u32)
}

/// One picture of all `images`, row by row. Every cell is as large as the widest and the tallest
/// picture; smaller ones stand in the middle of theirs. Free space has the colour `background`;
/// pictures beyond the last cell are left out.
///
/// # Errors
/// [`OutputError::EmptyGrid`] without pictures or cells, [`OutputError::GridTooLarge`] if the
/// result would have more than 2^31 bytes.
pub fn compose(
    images: &[RgbImage],
    cols: u32,
    rows: u32,
    background: Rgb<u8>,
) -> Result<RgbImage, OutputError> {
    let cell_width = images.iter().map(RgbImage::width).max().unwrap_or(0);
    let cell_height = images.iter().map(RgbImage::height).max().unwrap_or(0);
    if cols == 0 || rows == 0 || images.is_empty() {
        return Err(OutputError::EmptyGrid { cols, rows, images: images.len() });
    }
    let size = cols.checked_mul(cell_width).zip(rows.checked_mul(cell_height)).filter(
        |(width, height)| u64::from(*width) * u64::from(*height) * 3 <= u64::from(u32::MAX / 2),
    );
    let Some((width, height)) = size else {
        return Err(OutputError::GridTooLarge { cols, rows, cell_width, cell_height });
    };
    let mut grid = RgbImage::from_pixel(width, height, background);
    let cells = (0..rows).flat_map(|row| (0..cols).map(move |col| (col, row)));
    for (image, (col, row)) in images.iter().zip(cells) {
        let x = col * cell_width + (cell_width - image.width()) / 2;
        let y = row * cell_height + (cell_height - image.height()) / 2;
        imageops::replace(&mut grid, image, i64::from(x), i64::from(y));
    }
    Ok(grid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255; 3]);

    #[test]
    fn a_grid_is_as_square_as_can_be_unless_told_otherwise() {
        // (pictures, n_rows, batch size, no empty spots) → (columns, rows)
        for (input, size) in [
            ((1, -1, 1, false), (1, 1)),
            ((2, -1, 1, false), (2, 1)),
            ((3, -1, 1, false), (2, 2)),
            ((4, -1, 1, false), (2, 2)),
            ((5, -1, 1, false), (3, 2)),
            ((7, -1, 1, false), (3, 3)),
            ((7, -1, 1, true), (7, 1)),
            ((8, -1, 1, true), (4, 2)),
            ((9, -1, 1, true), (3, 3)),
            ((10, -1, 1, true), (5, 2)),
            ((6, 0, 2, false), (3, 2)),
            ((6, 0, 0, false), (6, 1)),
            ((6, 4, 1, false), (2, 4)),
            ((2, 16, 1, false), (1, 2)),
            ((0, -1, 1, true), (0, 0)),
        ] {
            let (images, n_rows, batch_size, prevent) = input;
            assert_eq!(grid_size(images, n_rows, batch_size, prevent), size, "{input:?}");
        }
    }

    #[test]
    fn smaller_pictures_stand_in_the_middle_and_free_cells_are_background() {
        let large = RgbImage::from_pixel(4, 4, Rgb([1, 0, 0]));
        let small = RgbImage::from_pixel(2, 1, Rgb([0, 2, 0]));
        let grid = compose(&[large.clone(), small, large], 2, 2, WHITE).unwrap();
        assert_eq!(grid.dimensions(), (8, 8));
        let drawn = |color: [u8; 3]| {
            let mut at: Vec<_> = grid
                .enumerate_pixels()
                .filter(|(_, _, pixel)| pixel.0 == color)
                .map(|(x, y, _)| (x, y))
                .collect();
            at.sort_unstable();
            at
        };
        assert_eq!(drawn([0, 2, 0]), [(5, 1), (6, 1)]);
        assert_eq!(drawn([1, 0, 0]).len(), 32);
        assert_eq!(*grid.get_pixel(7, 7), WHITE);
        assert_eq!(*grid.get_pixel(0, 7), Rgb([1, 0, 0]));
    }

    #[test]
    fn pictures_without_a_cell_are_left_out() {
        let images = vec![RgbImage::new(2, 2); 5];
        assert_eq!(compose(&images, 2, 1, WHITE).unwrap().dimensions(), (4, 2));
    }

    #[test]
    fn grids_of_nothing_and_grids_too_large_are_refused() {
        let one = [RgbImage::new(2, 2)];
        assert!(matches!(compose(&[], 1, 1, WHITE), Err(OutputError::EmptyGrid { .. })));
        assert!(matches!(compose(&one, 0, 1, WHITE), Err(OutputError::EmptyGrid { .. })));
        for (cols, rows) in [(u32::MAX, 1), (1 << 20, 1 << 20)] {
            let error = compose(&one, cols, rows, WHITE).unwrap_err();
            assert!(matches!(error, OutputError::GridTooLarge { cell_width: 2, .. }));
        }
    }
}
