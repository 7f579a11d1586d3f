//! Values that are worked on at once, and squares of them turned.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::ops::{Add, Mul, Sub};

use bytemuck::{Pod, Zeroable};

/// Values of a register where they are widest.
pub(super) const LANES: usize = 16;

/// Values that are worked on at once; each operation is one instruction where registers are as wide.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub(super) struct Lanes(pub(super) [f32; LANES]);

// SAFETY: they are an array of `f32`, of which zeros are values too.
unsafe impl Zeroable for Lanes {}
// SAFETY: as above; there is nothing between the values.
unsafe impl Pod for Lanes {}

impl Lanes {
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    /// What `value` gives for each.
    #[inline(always)]
    fn of(value: impl Fn(usize) -> f32) -> Self {
        let mut lanes = [0.0; LANES];
        for (at, lane) in lanes.iter_mut().enumerate() {
            *lane = value(at);
        }
        Self(lanes)
    }

    /// Them times `factor`, and `more` added: in one instruction where every processor of this kind has it.
    #[inline(always)]
    pub(super) fn times_plus(self, factor: f32, more: Self) -> Self {
        let fused = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        Self::of(|at| {
            if fused {
                factor.mul_add(self.0[at], more.0[at])
            } else {
                factor * self.0[at] + more.0[at]
            }
        })
    }

    /// The first values, and zeros where there are fewer.
    #[inline(always)]
    pub(super) fn read(values: &[f32]) -> Self {
        let mut lanes = Self::ZERO;
        match values.first_chunk() {
            Some(whole) => lanes.0 = *whole,
            None => lanes.0[..values.len()].copy_from_slice(values),
        }
        lanes
    }

    /// Adds as many as there is room for.
    #[inline(always)]
    pub(super) fn add_to(self, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(to) => *to = (Self(*to) + self).0,
            None => to.iter_mut().zip(self.0).for_each(|(to, lane)| *to += lane),
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

/// Rows for columns.
pub(super) fn transpose(square: &mut [Lanes; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor was asked for these instructions.
        return unsafe { x86_64::transpose(square) };
    }
    plainly_transpose(square);
}

fn plainly_transpose(square: &mut [Lanes; LANES]) {
    for row in 0..LANES {
        for column in 0..row {
            let value = square[row].0[column];
            square[row].0[column] = square[column].0[row];
            square[column].0[row] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let numbered = |row: usize, column: usize| (row * LANES + column) as f32;
        for turn in [transpose, plainly_transpose] {
            let mut square: [Lanes; LANES] =
                std::array::from_fn(|row| Lanes::of(|column| numbered(row, column)));
            turn(&mut square);
            for (row, lanes) in square.iter().enumerate() {
                assert_eq!(*lanes, Lanes::of(|column| numbered(column, row)));
            }
        }
    }
}
