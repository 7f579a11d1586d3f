//! Winograd's turns: tiles, kernels and products into the form that is multiplied, and back.

use std::ops::{Add, Mul, Sub};

use crate::kernels::math::wide;
use crate::kernels::values::{Values, with_scratch};

/// Values of a tile along one side, and of the inputs that it needs.
pub(super) const TILE: usize = 4;
pub(super) const SIDE: usize = TILE + 2;
pub(super) const ALL: usize = SIDE * SIDE;
/// Kernels that are turned at once.
const LANES: usize = 16;
/// Rows of tiles that are turned together, so that narrow pictures fill the lanes.
#[derive(Clone, Copy)]
pub(super) struct Bundle {
    /// Tiles of a row.
    across: usize,
    /// Rows of tiles.
    pub(super) rows: usize,
    /// Values of a line with its padding, and some more.
    pub(super) line: usize,
    /// Places for the values of all rows that begin a tile's line, and some more.
    room: usize,
}

impl Bundle {
    pub(super) fn of(across: usize) -> Self {
        let rows = (LANES / across.max(1)).max(1);
        let room = (rows * across).next_multiple_of(LANES) * TILE + LANES;
        Self { across, rows, line: (across * TILE).next_multiple_of(LANES) + LANES, room }
    }

    /// Values of the lines of all its tiles.
    pub(super) fn lines(self) -> usize {
        self.rows * SIDE * self.line
    }

    /// Values of these and of what is made of them.
    pub(super) fn values(self) -> usize {
        self.lines() + SIDE * self.room + SIDE * self.rows * 2
    }
}

/// Kernels of 3×3 (`outputs × 9 × inputs`) as `36 × outputs × inputs`.
pub(super) fn turn_all_weights(to: &mut [f32], kernels: Values<'_>, inputs: usize) {
    for first in (0..kernels.len() / 9).step_by(inputs.max(1)) {
        let kernels = kernels.part(first * 9, (first + inputs) * 9);
        match kernels.single() {
            Some(kernels) => turn_weights(to, first, kernels),
            None => with_scratch(kernels.len(), |single| {
                kernels.widen(kernels.len(), 0, single);
                turn_weights(to, first, single);
            }),
        }
    }
}

wide!(pub(super) turn_tiles is turn_tiles_inner(
    to: &mut [f32], rows: (usize, usize), lines: &[f32], scratch: &mut [f32], bundle: Bundle
));
wide!(turn_weights is turn_weights_inner(to: &mut [f32], first: usize, weight: &[f32]));
wide!(pub(super) turn_back is turn_back_inner(
    lines: &mut [f32], products: &[f32], places: (usize, usize), step: usize, across: usize
));

/// Values that are worked on at once; each operation is one instruction where registers are as wide.
#[derive(Clone, Copy)]
struct Lanes([f32; LANES]);

impl Lanes {
    const ZERO: Self = Self([0.0; LANES]);

    /// What `value` gives for each.
    #[inline(always)]
    fn of(value: impl Fn(usize) -> f32) -> Self {
        let mut lanes = [0.0; LANES];
        for (at, lane) in lanes.iter_mut().enumerate() {
            *lane = value(at);
        }
        Self(lanes)
    }

    /// The first values, and zeros where there are fewer.
    #[inline(always)]
    fn read(values: &[f32]) -> Self {
        match values.first_chunk() {
            Some(lanes) => Self(*lanes),
            None => Self::of(|at| values.get(at).copied().unwrap_or(0.0)),
        }
    }

    /// As many as there is room for.
    #[inline(always)]
    fn write(self, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(to) => *to = self.0,
            None => to.iter_mut().zip(self.0).for_each(|(to, lane)| *to = lane),
        }
    }
}

impl Add for Lanes {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::of(|at| self.0[at] + other.0[at])
    }
}

impl Sub for Lanes {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::of(|at| self.0[at] - other.0[at])
    }
}

impl Mul<Lanes> for f32 {
    type Output = Lanes;

    #[inline(always)]
    fn mul(self, lanes: Lanes) -> Lanes {
        Lanes::of(|at| self * lanes.0[at])
    }
}

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
fn turn_weight([a, b, c]: [f32; 3]) -> [f32; SIDE] {
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

/// Rows of tiles (the first, and how many), each of the six lines that it lies on: first down, then across.
/// `to` is `36 × tiles`.
#[inline(always)]
fn turn_tiles_inner(
    to: &mut [f32],
    (first, rows): (usize, usize),
    lines: &[f32],
    scratch: &mut [f32],
    bundle: Bundle,
) {
    let Bundle { across, line, room, .. } = bundle;
    let width = across * TILE;
    let (down, ends) = scratch.split_at_mut(SIDE * room);
    for (row, lines) in lines.chunks_exact(SIDE * line).take(rows).enumerate() {
        for x in (0..width).step_by(LANES) {
            let columns = turn_input(columns_of(lines, line, x));
            for (at, lanes) in columns.into_iter().enumerate() {
                // What goes beyond the row is written over by the next one.
                let begin = at * room + row * width + x;
                lanes.write(&mut down[begin..begin + LANES]);
            }
        }
        // The last tile's two last columns are no other tile's first.
        for (at, lanes) in turn_input(columns_of(lines, line, width)).into_iter().enumerate() {
            let begin = (row * SIDE + at) * 2;
            ends[begin..begin + 2].copy_from_slice(&lanes.0[..2]);
        }
    }
    let tiles = to.len() / ALL;
    let places = rows * across;
    for (at, to) in to.chunks_exact_mut(SIDE * tiles).enumerate() {
        for place in (0..places).step_by(LANES) {
            let values = &down[at * room + place * TILE..];
            let Some(values) = values.first_chunk::<{ TILE * (LANES + 1) }>() else { continue };
            let mut columns = [Lanes::ZERO; SIDE];
            for (at, column) in columns.iter_mut().enumerate() {
                // The last two columns of a tile are the next one's first.
                *column = Lanes::of(|tile| values[tile * TILE + at]);
            }
            for row in place / across..rows.min((place + LANES) / across) {
                let lane = (row + 1) * across - 1 - place;
                let end = (row * SIDE + at) * 2;
                columns[TILE].0[lane] = ends[end];
                columns[TILE + 1].0[lane] = ends[end + 1];
            }
            let begin = first * across + place;
            let end = begin + LANES.min(places - place);
            for (row, lanes) in to.chunks_exact_mut(tiles).zip(turn_input(columns)) {
                lanes.write(&mut row[begin..end]);
            }
        }
    }
}

/// The values below each other in six lines, from `x` on.
#[inline(always)]
fn columns_of(lines: &[f32], line: usize, x: usize) -> [Lanes; SIDE] {
    let mut columns = [Lanes::ZERO; SIDE];
    for (at, column) in columns.iter_mut().enumerate() {
        *column = Lanes::read(&lines[at * line + x..(at + 1) * line]);
    }
    columns
}

/// An output's kernels of 3×3 (`9 × inputs`) in their places of `36 × outputs × inputs`, from `first` on.
#[inline(always)]
fn turn_weights_inner(to: &mut [f32], first: usize, kernels: &[f32]) {
    let (step, inputs) = (to.len() / ALL, kernels.len() / 9);
    for input in (0..inputs).step_by(LANES) {
        let count = LANES.min(inputs - input);
        let mut places = [[0.0; LANES]; 9];
        for (place, kernels) in places.iter_mut().zip(kernels.chunks_exact(inputs)) {
            let kernels = &kernels[input..input + count];
            match kernels.first_chunk() {
                Some(whole) => *place = *whole,
                None => place[..count].copy_from_slice(kernels),
            }
        }
        for (turned, to) in turn_kernels(&places).iter().zip(to.chunks_exact_mut(step)) {
            let to = &mut to[first + input..first + input + count];
            match to.first_chunk_mut() {
                Some(whole) => *whole = *turned,
                None => to.copy_from_slice(&turned[..count]),
            }
        }
    }
}

/// Sixteen kernels, each place of theirs beside each other.
#[inline(always)]
fn turn_kernels(places: &[[f32; LANES]; 9]) -> [[f32; LANES]; ALL] {
    let mut turned = [[0.0; LANES]; ALL];
    // One kernel after another to read; the compiler takes as many at once as registers hold.
    for lane in 0..LANES {
        let column =
            |x: usize| turn_weight([places[x][lane], places[3 + x][lane], places[6 + x][lane]]);
        let (left, middle, right) = (column(0), column(1), column(2));
        for row in 0..SIDE {
            let across = turn_weight([left[row], middle[row], right[row]]);
            for (column, value) in across.into_iter().enumerate() {
                turned[row * SIDE + column][lane] = value;
            }
        }
    }
    turned
}

/// Adds rows of tiles to the lines of a picture. `places` are the first and how many.
#[inline(always)]
fn turn_back_inner(
    lines: &mut [f32],
    products: &[f32],
    (from, places): (usize, usize),
    step: usize,
    across: usize,
) {
    let tiles = across.div_ceil(TILE);
    let (mut y, mut x) = (0, 0);
    for first in (0..places).step_by(LANES) {
        let count = LANES.min(places - first);
        let products = &products[from + first..];
        // Sixteen whole tiles beside each other.
        if count == LANES && x + LANES <= across / TILE {
            for (at, values) in turned_back(products, step, count).iter().enumerate() {
                let begin = (y * TILE + at) * across + x * TILE;
                let line = lines.get_mut(begin..begin + LANES * TILE).unwrap_or_default();
                let whole = line.as_chunks_mut::<TILE>().0.first_chunk_mut::<LANES>();
                let Some(whole) = whole else { continue };
                for (tile, to) in whole.iter_mut().enumerate() {
                    to.iter_mut().zip(values).for_each(|(to, lanes)| *to += lanes.0[tile]);
                }
            }
            x += LANES;
            if x == tiles {
                (y, x) = (y + 1, 0);
            }
            continue;
        }
        let values = turned_back(products, step, count);
        for tile in 0..count {
            for (at, values) in values.iter().enumerate() {
                let begin = (y * TILE + at) * across + x * TILE;
                // Tiles reach beyond the picture below and on the right.
                let end = (begin + TILE).min((y * TILE + at + 1) * across);
                let line = lines.get_mut(begin..end).unwrap_or_default();
                line.iter_mut().zip(values).for_each(|(to, lanes)| *to += lanes.0[tile]);
            }
            x += 1;
            if x == tiles {
                (y, x) = (y + 1, 0);
            }
        }
    }
}

/// Lines of so many tiles, of products that lie `step` behind each other.
#[inline(always)]
fn turned_back(products: &[f32], step: usize, count: usize) -> [[Lanes; TILE]; TILE] {
    let mut down = [[Lanes::ZERO; TILE]; SIDE];
    for (column, down) in down.iter_mut().enumerate() {
        let mut rows = [Lanes::ZERO; SIDE];
        for (at, row) in rows.iter_mut().enumerate() {
            let place = (at * SIDE + column) * step;
            *row = Lanes::read(&products[place..place + count]);
        }
        *down = turn_product(rows);
    }
    let [a, b, c, d, e, f] = &down;
    let mut lines = [[Lanes::ZERO; TILE]; TILE];
    for (at, line) in lines.iter_mut().enumerate() {
        *line = turn_product([a[at], b[at], c[at], d[at], e[at], f[at]]);
    }
    lines
}
