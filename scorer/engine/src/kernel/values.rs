/// Bytes of a record's values: two lines of matrix registers.
const BYTES: usize = 128;
/// Numbers that a bar is written in.
const DIGITS: usize = 4;
/// What each of them stands for.
const WEIGHTS: [i8; DIGITS] = [i8::MAX, i8::MAX, i8::MAX, 1];
/// How many of the values are coordinates; the record's bar follows.
pub(crate) const COORDINATES: usize = BYTES - 2 * DIGITS;

/// What a record's projections come to: coordinates, and a bar. See [`crate::prune`].
///
/// The bar is written in four digits, followed by their weights. With another record's, whose digits and weights have
/// changed places, the products of all bytes then add up to the scalar product of the coordinates, less both bars: the
/// sign of a sum tells all. That is worth the eight bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Values(pub(super) [i8; BYTES]);

impl Values {
    /// Nothing: what fills up.
    pub(crate) const NONE: Self = Self([0; BYTES]);
    /// The most that a bar may be below 0. Above 0 it is cut off at the same size.
    pub(crate) const LEAST_BAR: i32 = -(127 * 127 * (DIGITS as i32 - 1));

    /// # Panics
    /// The bar is below [`Self::LEAST_BAR`].
    pub(crate) fn new(coordinates: &[i8; COORDINATES], bar: i32) -> Self {
        assert!(bar >= Self::LEAST_BAR, "a bar of {bar} would let too few pairs through");
        let mut values = Self::NONE;
        let (to, bar_and_weights) = values.0.split_at_mut(COORDINATES);
        to.copy_from_slice(coordinates);
        let (digits, weights) = bar_and_weights.split_at_mut(DIGITS);
        weights.copy_from_slice(&WEIGHTS);
        let minus = -bar.min(-Self::LEAST_BAR);
        // rounded to the nearest, so that the rest fits into a byte
        let mut high = (f64::from(minus) / 127.0).round() as i32;
        digits[DIGITS - 1] = (minus - 127 * high) as i8;
        for digit in &mut digits[..DIGITS - 1] {
            *digit = high.clamp(-127, 127) as i8;
            high -= i32::from(*digit);
        }
        values
    }

    /// Whether the scalar product of two records' coordinates is at least the sum of their bars.
    #[inline(always)]
    pub(crate) fn reach(&self, other: &Self) -> bool {
        let mut other = other.0;
        other[COORDINATES..].rotate_left(DIGITS);
        self.0.iter().zip(&other).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>() >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_taken_off_the_product() {
        for (a, b) in [(0, 0), (-48_387, 12), (48_387, -48_387), (127, -63), (1, 0), (-16_130, 16_129)] {
            for (x, y) in [(3, 5), (0, 0), (-127, 127), (127, 127), (1, -1)] {
                let product = COORDINATES as i32 * i32::from(x) * i32::from(y);
                let (first, second) = (Values::new(&[x; COORDINATES], a), Values::new(&[y; COORDINATES], b));
                assert_eq!(first.reach(&second), product >= a + b, "{x} {y} {a} {b}");
            }
        }
    }

    #[test]
    fn higher_bars_are_cut_off() {
        let with_bar = |bar| Values::new(&[0; COORDINATES], bar).0;
        assert_eq!(with_bar(i32::MAX), with_bar(-Values::LEAST_BAR));
    }
}
