//! The instructions of AVX-512.

use std::arch::x86_64::{
    __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{LANES, Lanes};

/// Within each quarter of the registers the values of four rows, and then the quarters.
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(square: &mut [Lanes; LANES]) {
    let mut rows = [_mm512_setzero_ps(); LANES];
    for (row, lanes) in rows.iter_mut().zip(square.iter()) {
        // SAFETY: there are as many values as a register has.
        *row = unsafe { _mm512_loadu_ps(lanes.0.as_ptr()) };
    }
    for four in rows.as_chunks_mut::<4>().0 {
        *four = quarters(*four);
    }
    for first in 0..4 {
        let [a, b, c, d] = [rows[first], rows[first + 4], rows[first + 8], rows[first + 12]];
        let (low, high) = (
            [_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d)],
            [_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d)],
        );
        rows[first] = _mm512_shuffle_f32x4::<0x88>(low[0], low[1]);
        rows[first + 4] = _mm512_shuffle_f32x4::<0x88>(high[0], high[1]);
        rows[first + 8] = _mm512_shuffle_f32x4::<0xdd>(low[0], low[1]);
        rows[first + 12] = _mm512_shuffle_f32x4::<0xdd>(high[0], high[1]);
    }
    for (row, lanes) in rows.iter().zip(square) {
        // SAFETY: there is room for as many values as a register has.
        unsafe { _mm512_storeu_ps(lanes.0.as_mut_ptr(), *row) };
    }
}

/// Squares of four beside each other, each turned.
#[target_feature(enable = "avx512f")]
fn quarters([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let pairs = |lower: __m512, upper: __m512| {
        let (lower, upper) = (_mm512_castps_pd(lower), _mm512_castps_pd(upper));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(lower, upper)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(lower, upper)),
        ]
    };
    let [one, two] = pairs(_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
    let [three, four] = pairs(_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
    [one, two, three, four]
}
