//! Memory for many encodings, in pages as large as the system has.

/// Fewer bytes are not worth large pages: a few of them.
#[cfg(target_os = "linux")]
const LEAST_BYTES: usize = 8 << 20;

/// Room for so many items, for the caller to fill.
///
/// Where records are read in any order, each read of a page of 4 KB that was not read lately waits for the page tables as
/// well as for the memory. Pages of 2 MB avoid most of that; Linux gives them to those who ask.
pub(crate) fn room<T>(items: usize) -> Vec<T> {
    let room = Vec::with_capacity(items);
    #[cfg(target_os = "linux")]
    ask_for_large_pages(&room);
    room
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn ask_for_large_pages<T>(room: &Vec<T>) {
    /// Of `madvise`, which wants whole pages: at least as large as those of any processor.
    const PAGE_BYTES: usize = 1 << 16;
    let bytes = room.capacity() * size_of::<T>();
    if bytes < LEAST_BYTES || cfg!(miri) {
        return;
    }
    let start = room.as_ptr().cast::<libc::c_void>().cast_mut();
    let before = start.align_offset(PAGE_BYTES);
    let whole = (bytes - before) / PAGE_BYTES * PAGE_BYTES;
    // SAFETY: the range lies within the vector's own memory, as it has at least `LEAST_BYTES`. The call is a hint, which
    // changes nothing that can be read there; a system that does not take it is as good as before.
    unsafe { libc::madvise(start.byte_add(before), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room() {
        for words in [0, 1, 1000, (8 << 20) / 8, 5_000_001] {
            let mut room = room(words);
            assert!(room.is_empty() && room.capacity() >= words);
            room.extend(0..words as u64);
            assert!(room.iter().copied().eq(0..words as u64));
        }
    }
}
