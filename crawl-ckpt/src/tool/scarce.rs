//! The memory of a tool that may need much of it, and what it says when there is no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

use super::Exit;

/// From this size on memory is asked for in large pages, of which a few are not worth it.
const LARGE: usize = 4 << 20;

/// The system's memory, in large pages where much is asked for at once: whoever looks here and there in gigabytes
/// waits for the processor to find the page as long as for what is in it. When there is no more memory the tool
/// says so in words, and ends with [`Exit::Failed`] as if it was killed: what was committed is as safe as ever.
#[derive(Debug)]
pub struct ScarceMemory {
    /// Whose it is.
    pub tool: &'static str,
    /// What helps.
    pub hint: &'static str,
}

// SAFETY: every call is passed on to the system's allocator as it is, and what that gives is handed
// back; only where it gives nothing does the process end instead.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for ScarceMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as above.
        self.given(unsafe { System.realloc(memory, layout, bytes) }, bytes)
    }
}

impl ScarceMemory {
    #[inline]
    fn given(&self, memory: *mut u8, bytes: usize) -> *mut u8 {
        if memory.is_null() {
            self.end(bytes);
        }
        if bytes >= LARGE {
            prefer_large_pages(memory, bytes);
        }
        memory
    }

    /// Nothing here may ask for memory, nor wait for what another thread holds.
    #[cold]
    #[allow(unsafe_code)]
    fn end(&self, bytes: usize) -> ! {
        let mut words = [0; 512];
        let mut rest = &mut words[..];
        let (tool, hint) = (self.tool, self.hint);
        // What does not fit is left out.
        let _ = write!(
            rest,
            "{tool}: out of memory: {bytes} bytes more are not to be had\nhint: {hint}\n"
        );
        let left = rest.len();
        let told = &words[..words.len() - left];
        // Whether anybody reads it changes nothing.
        let _ = rustix::io::write(rustix::stdio::stderr(), told);
        // SAFETY: it ends the process and touches nothing of it.
        unsafe { libc::_exit(Exit::Failed as i32) }
    }
}

/// Asks for large pages. Nobody needs to know whether there are any.
#[cfg(target_os = "linux")]
#[cold]
#[allow(unsafe_code)]
fn prefer_large_pages(memory: *mut u8, bytes: usize) {
    // All pages that have any of it: where a part of them is asked for otherwise, the system cannot let it grow
    // where it is, and copies it.
    let page = rustix::param::page_size();
    let before = memory.addr() % page;
    let whole = (before + bytes).next_multiple_of(page);
    // SAFETY: what lies there stays the same.
    unsafe {
        libc::madvise(
            memory.wrapping_sub(before).cast(),
            whole,
            libc::MADV_HUGEPAGE,
        )
    };
}

#[cfg(not(target_os = "linux"))]
fn prefer_large_pages(_: *mut u8, _: usize) {}
