//! Registers of 64 bytes, and the memory that they are read from and written to.

use std::arch::x86_64::{__m512i, _mm512_loadu_si512, _mm512_storeu_si512};

/// Whole numbers that fill a register.
pub(super) trait Lanes {}

impl Lanes for [u8; 64] {}
impl Lanes for [i8; 64] {}
impl Lanes for [i32; 16] {}
impl Lanes for [i64; 8] {}
impl Lanes for [u64; 8] {}

#[target_feature(enable = "avx512f")]
#[inline]
#[allow(unsafe_code)]
pub(super) fn load<L: Lanes>(lanes: &L) -> __m512i {
    const { assert!(size_of::<L>() == size_of::<__m512i>()) };
    // SAFETY: the reference is to the 64 bytes that are read; no alignment is asked for.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(lanes).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
#[allow(unsafe_code)]
pub(super) fn store<L: Lanes>(register: __m512i, lanes: &mut L) {
    const { assert!(size_of::<L>() == size_of::<__m512i>()) };
    // SAFETY: the reference is to the 64 bytes that are written, of whole numbers, which may have any bits; no alignment is
    // asked for.
    unsafe { _mm512_storeu_si512(std::ptr::from_mut(lanes).cast(), register) };
}
