//! Winograd's turns: tiles, kernels and products into the form that is multiplied, and back, of sixteen
//! channels at once.

use super::lanes::Lanes;
use super::products::ROWS;
use crate::kernels::math::wide;

/// Values of a tile along one side, and of the inputs that it needs.
pub(super) const TILE: usize = 4;
pub(super) const SIDE: usize = TILE + 2;
pub(super) const ALL: usize = SIDE * SIDE;

wide!(pub(super) turn_tiles is turn_tiles_inner(
    to: &mut [Lanes], tiles: (usize, usize), from: &[Lanes]
));
wide!(pub(super) turn_weights is turn_weights_inner(
    to: &mut [Lanes], step: usize, kernels: &[Lanes]
));
wide!(pub(super) turn_back is turn_back_inner(
    to: &mut [Lanes], tiles: (usize, usize), products: &[Lanes], step: usize
));

/// Six values for six, of inputs.
#[inline(always)]
fn turn_input([a, b, c, d, e, f]: [Lanes; SIDE]) -> [Lanes; SIDE] {
    let (even, odd) = (e - 4.0 * c, d - 4.0 * b);
    let (even2, odd2) = (e - c, 2.0 * (d - b));
    [
        4.0 * a - 5.0 * c + e,
        even + odd,
        even - odd,
        even2 + odd2,
        even2 - odd2,
        4.0 * b - 5.0 * d + f,
    ]
}

/// Six values for three, of weights.
#[inline(always)]
fn turn_weight([a, b, c]: [Lanes; 3]) -> [Lanes; SIDE] {
    const SIXTH: f32 = 1.0 / 6.0;
    let (ends, middle) = (-SIXTH * (a + c), -SIXTH * b);
    let (ends2, middle2) = (SIXTH * (0.25 * a + c), (0.5 * SIXTH) * b);
    [0.25 * a, ends + middle, ends - middle, ends2 + middle2, ends2 - middle2, c]
}

/// Four values for six, of products.
#[inline(always)]
fn turn_product([a, b, c, d, e, f]: [Lanes; SIDE]) -> [Lanes; TILE] {
    let (one, two, three, four) = (b + c, b - c, d + e, d - e);
    [a + one + three, two + 2.0 * four, one + 4.0 * three, two + 8.0 * four + f]
}

/// Rows and columns of tiles, which lie on a picture as wide as they need. `to` begins with the place of the
/// first one.
#[inline(always)]
fn turn_tiles_inner(to: &mut [Lanes], (rows, columns): (usize, usize), from: &[Lanes]) {
    let width = columns * TILE + 2;
    for row in 0..rows {
        for column in 0..columns {
            let from = &from[row * TILE * width + column * TILE..];
            // One by one: in a loop the compiler would work on several at once, and gather and scatter.
            let down = [
                turn_column(from, width),
                turn_column(&from[1..], width),
                turn_column(&from[2..], width),
                turn_column(&from[3..], width),
                turn_column(&from[4..], width),
                turn_column(&from[5..], width),
            ];
            let to = &mut to[row * columns + column..];
            turn_line(to, &down, 0);
            turn_line(to, &down, 1);
            turn_line(to, &down, 2);
            turn_line(to, &down, 3);
            turn_line(to, &down, 4);
            turn_line(to, &down, 5);
        }
    }
}

/// Six pixels below each other.
#[inline(always)]
fn turn_column(from: &[Lanes], width: usize) -> [Lanes; SIDE] {
    let from = &from[..=(SIDE - 1) * width];
    turn_input([
        from[0],
        from[width],
        from[2 * width],
        from[3 * width],
        from[4 * width],
        from[5 * width],
    ])
}

/// What is made of a line of columns, in its places.
#[inline(always)]
fn turn_line(to: &mut [Lanes], [a, b, c, d, e, f]: &[[Lanes; SIDE]; SIDE], y: usize) {
    let turned = turn_input([a[y], b[y], c[y], d[y], e[y], f[y]]);
    let to = &mut to[y * SIDE * ROWS..][..=(SIDE - 1) * ROWS];
    to[0] = turned[0];
    to[ROWS] = turned[1];
    to[2 * ROWS] = turned[2];
    to[3 * ROWS] = turned[3];
    to[4 * ROWS] = turned[4];
    to[5 * ROWS] = turned[5];
}

/// Kernels of 3×3 (`inputs × 9`) as `36 × inputs`, which lie `step` behind each other.
#[inline(always)]
fn turn_weights_inner(to: &mut [Lanes], step: usize, kernels: &[Lanes]) {
    for (input, [a, b, c, d, e, f, g, h, i]) in kernels.as_chunks().0.iter().enumerate() {
        let down =
            [turn_weight([*a, *d, *g]), turn_weight([*b, *e, *h]), turn_weight([*c, *f, *i])];
        let to = &mut to[input..][..=(ALL - 1) * step];
        for y in 0..SIDE {
            let turned = turn_weight([down[0][y], down[1][y], down[2][y]]);
            for (x, turned) in turned.into_iter().enumerate() {
                to[(y * SIDE + x) * step] = turned;
            }
        }
    }
}

/// Rows and columns of tiles as pixels, line by line. A tile's 36 products lie `step` behind each other, and
/// the next tile's beside them.
#[inline(always)]
fn turn_back_inner(
    to: &mut [Lanes],
    (rows, columns): (usize, usize),
    products: &[Lanes],
    step: usize,
) {
    let width = columns * TILE;
    for row in 0..rows {
        for column in 0..columns {
            let products = &products[row * columns + column..][..=(ALL - 1) * step];
            let mut down = [[Lanes::ZERO; TILE]; SIDE];
            for (x, down) in down.iter_mut().enumerate() {
                let mut lines = [Lanes::ZERO; SIDE];
                for (y, line) in lines.iter_mut().enumerate() {
                    *line = products[(y * SIDE + x) * step];
                }
                *down = turn_product(lines);
            }
            let [a, b, c, d, e, f] = &down;
            let to = &mut to[row * TILE * width + column * TILE..];
            for y in 0..TILE {
                let line = turn_product([a[y], b[y], c[y], d[y], e[y], f[y]]);
                to[y * width..][..TILE].copy_from_slice(&line);
            }
        }
    }
}
