//! What the benchmark asks of the kernels: which ones there are, and the speed that counting bits in registers cannot exceed.

use super::{Kernel, NAMES};

/// The kernels that this processor knows, the fastest first, as LINKAGE_KERNEL calls them.
#[doc(hidden)]
pub fn kernel_names() -> Vec<&'static str> {
    Kernel::available().into_iter().map(Kernel::name).collect()
}

/// The kernels that other processors know, and this one does not.
#[doc(hidden)]
pub fn missing_kernel_names() -> Vec<&'static str> {
    let available = kernel_names();
    NAMES.into_iter().filter(|name| !available.contains(name)).collect()
}

/// Does the arithmetic of so many rounds of comparisons of 1024 bits, and nothing besides: AND, VPOPCNTQ and addition,
/// with eight records in registers and the words of the others broadcast from the fastest cache, as the kernel does it,
/// but no sums are put together, compared or kept. Gives the number of pairs back, for the caller to time; None on a
/// processor without AVX-512 VPOPCNTDQ.
#[doc(hidden)]
pub fn register_ceiling(rounds: u64) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return avx512::register_ceiling(rounds);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = rounds;
        None
    }
}

/// The same for telling pairs apart by segment counts with AVX2: the greater of two counts, and a subtraction, with the
/// counts of some records in registers. Gives the number of pairs back, each counted once for every segment; None on a
/// processor without AVX2.
#[doc(hidden)]
pub fn segment_ceiling(rounds: u64) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return avx2::segment_ceiling(rounds);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = rounds;
        None
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_extract_epi32, _mm256_max_epu8, _mm256_set1_epi8, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_sub_epi8, _mm256_xor_si256,
    };
    use std::hint::black_box;

    /// Records of a register, a byte each.
    const LANES: usize = 32;
    /// Segments whose counts are in registers.
    const SEGMENTS: usize = 4;
    /// 1 KB, which the fastest cache holds.
    const ROWS: usize = 64;
    /// Several, as a subtraction has to wait for the one before.
    const SUMS: usize = 2 * SEGMENTS;

    pub(super) fn segment_ceiling(rounds: u64) -> Option<u64> {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return None;
        }
        // each count four times side by side
        let rows: [[i32; SEGMENTS]; ROWS] =
            std::array::from_fn(|row| std::array::from_fn(|i| i32::from_ne_bytes([(7 * row + i) as u8; 4])));
        #[allow(unsafe_code)]
        // SAFETY: the processor has AVX2, as was just seen.
        black_box(unsafe { subtract(rounds, black_box([3, 9, 5, 12]), &rows) });
        Some(rounds * (ROWS * SEGMENTS * LANES * 2) as u64)
    }

    #[target_feature(enable = "avx2")]
    fn subtract(rounds: u64, columns: [i8; SEGMENTS], rows: &[[i32; SEGMENTS]; ROWS]) -> i32 {
        let columns = columns.map(|count| _mm256_set1_epi8(count));
        let mut sums: [__m256i; SUMS] = [_mm256_setzero_si256(); SUMS];
        for _ in 0..rounds {
            // as above; two registers of records at a time
            for counts in black_box(rows) {
                for i in 0..SEGMENTS {
                    let count = _mm256_set1_epi32(counts[i]);
                    for half in 0..2 {
                        let greater = _mm256_max_epu8(columns[(i + half) % SEGMENTS], count);
                        sums[2 * i + half] = _mm256_sub_epi8(sums[2 * i + half], greater);
                    }
                }
            }
        }
        _mm256_extract_epi32::<0>(
            sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_xor_si256(a, b)),
        )
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_popcnt_epi64, _mm512_reduce_add_epi64,
        _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512,
    };
    use std::hint::black_box;

    /// Words of an encoding.
    const WIDTH: usize = 16;
    /// 64-bit lanes of a register: as many records side by side.
    const LANES: usize = 8;
    /// 8 KB, which the fastest cache holds.
    const ROWS: usize = 64;
    /// Several, as an addition has to wait for the one before.
    const SUMS: usize = 8;

    pub(super) fn register_ceiling(rounds: u64) -> Option<u64> {
        let has = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vpopcntdq");
        if !has {
            return None;
        }
        let word = |i: usize| (i as i64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
        let columns: [[i64; LANES]; WIDTH] =
            std::array::from_fn(|i| std::array::from_fn(|lane| word(LANES * i + lane)));
        let rows: [[i64; WIDTH]; ROWS] =
            std::array::from_fn(|row| std::array::from_fn(|i| word(LANES * WIDTH + row * WIDTH + i)));
        #[allow(unsafe_code)]
        // SAFETY: the processor has both features, as was just seen.
        black_box(unsafe { compare(rounds, black_box(&columns), &rows) });
        Some(rounds * (ROWS * LANES) as u64)
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    fn compare(rounds: u64, columns: &[[i64; LANES]; WIDTH], rows: &[[i64; WIDTH]; ROWS]) -> i64 {
        let mut records = [_mm512_setzero_si512(); WIDTH];
        for (record, &[a, b, c, d, e, f, g, h]) in records.iter_mut().zip(columns) {
            *record = _mm512_setr_epi64(a, b, c, d, e, f, g, h);
        }
        let mut sums: [__m512i; SUMS] = [_mm512_setzero_si512(); SUMS];
        for _ in 0..rounds {
            // for all the compiler knows the rows are others in every round, so that it can leave none of them out
            for row in black_box(rows) {
                for i in 0..WIDTH {
                    let common = _mm512_and_si512(records[i], _mm512_set1_epi64(row[i]));
                    sums[i % SUMS] = _mm512_add_epi64(sums[i % SUMS], _mm512_popcnt_epi64(common));
                }
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_epi64(sum)).sum()
    }
}
