//! The cells of a table of fingerprints, in large pages where there are many.
//!
//! A table is looked at in random order. In small pages the processor waits longer for where in memory a cell is than
//! for what is there: of a bulk load of 40 M URLs that was a tenth.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, null_mut};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::param::page_size;

/// The large page of x86-64, and of most kernels on ARM; where it is another one, all is as right.
const LARGE_PAGE: usize = 2 << 20;

/// So many cells, 0 at first. They are as many as they were made.
#[derive(Debug)]
pub struct Cells {
    first: NonNull<u128>,
    len: usize,
}

// SAFETY: the memory is its own.
#[allow(unsafe_code)]
unsafe impl Send for Cells {}
// SAFETY: it changes through `&mut` alone.
#[allow(unsafe_code)]
unsafe impl Sync for Cells {}

#[allow(unsafe_code)]
impl Cells {
    /// So many. Ends the process when there is no memory, as any list does.
    pub fn new(len: usize) -> Cells {
        let layout = layout(len);
        let first = if layout.size() == 0 {
            NonNull::<u128>::dangling().as_ptr().cast()
        } else if layout.size() < LARGE_PAGE {
            // SAFETY: it has a size.
            unsafe { alloc_zeroed(layout) }
        } else {
            in_large_pages(layout.size()).unwrap_or(null_mut())
        };
        let Some(first) = NonNull::new(first.cast()) else {
            handle_alloc_error(layout)
        };
        Cells { first, len }
    }
}

#[allow(unsafe_code)]
impl Drop for Cells {
    fn drop(&mut self) {
        let (first, layout) = (self.first.as_ptr(), layout(self.len));
        // SAFETY: as it was allocated, and nothing borrows it.
        unsafe {
            match layout.size() {
                0 => {}
                1..LARGE_PAGE => dealloc(first.cast(), layout),
                size => give_back(first.cast(), size),
            }
        }
    }
}

#[allow(unsafe_code)]
impl Deref for Cells {
    type Target = [u128];

    fn deref(&self) -> &[u128] {
        // SAFETY: they are there, and all were zeroed.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

#[allow(unsafe_code)]
impl DerefMut for Cells {
    fn deref_mut(&mut self) -> &mut [u128] {
        // SAFETY: they are there, and all were zeroed.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl Default for Cells {
    fn default() -> Cells {
        Cells::new(0)
    }
}

impl Clone for Cells {
    fn clone(&self) -> Cells {
        let mut copy = Cells::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

fn layout(len: usize) -> Layout {
    Layout::array::<u128>(len).expect("no list is longer than memory")
}

/// Zeroed memory that begins with a large page.
#[allow(unsafe_code)]
fn in_large_pages(bytes: usize) -> Option<*mut u8> {
    let (mode, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    let bytes = bytes.next_multiple_of(page_size());
    // SAFETY: it is new memory, of which nobody knows but this.
    unsafe {
        let mapped = mmap_anonymous(null_mut(), bytes + LARGE_PAGE, mode, flags).ok()?;
        let before = mapped.align_offset(LARGE_PAGE);
        let first = mapped.byte_add(before);
        give_back(mapped, before);
        give_back(first.byte_add(bytes), LARGE_PAGE - before);
        #[cfg(target_os = "linux")]
        // Where there are none, all is as right and slower.
        let _ = madvise(first, bytes, Advice::LinuxHugepage);
        Some(first.cast())
    }
}

/// Gives back what was mapped and nobody uses any more.
#[allow(unsafe_code)]
unsafe fn give_back(first: *mut c_void, bytes: usize) {
    if bytes > 0 {
        // SAFETY: as the caller says.
        let given = unsafe { munmap(first, bytes.next_multiple_of(page_size())) };
        debug_assert!(given.is_ok(), "{given:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_0_at_first_and_keep_what_is_put_in() {
        let page = page_size() / size_of::<u128>();
        let large = LARGE_PAGE / size_of::<u128>();
        for len in [0, 1, page, large - 1, large, 3 * large + page + 1] {
            let mut cells = Cells::new(len);
            assert_eq!(cells.len(), len);
            assert!(cells.iter().all(|cell| *cell == 0));
            for (at, cell) in cells.iter_mut().enumerate() {
                *cell = at as u128;
            }
            let copy = cells.clone();
            drop(cells);
            assert!(copy.iter().copied().eq(0..len as u128));
        }
    }

    #[test]
    fn many_begin_with_a_large_page() {
        let cells = Cells::new(LARGE_PAGE / size_of::<u128>());
        assert_eq!(cells.as_ptr().addr() % LARGE_PAGE, 0);
    }
}
