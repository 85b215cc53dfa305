//! A global allocator that counts, for tests and measurements of memory.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, live_bytes: 0 }) };
}

/// What a thread has allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocations so far, those that grow a block among them.
    pub allocations: u64,
    /// Bytes allocated and not freed; what another thread has freed is missing.
    pub live_bytes: i64,
}

/// The system's allocator, counted for each thread. Install it by `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

impl CountingAllocator {
    /// What this thread has allocated.
    pub fn counts() -> Counts {
        COUNTS.get()
    }
}

fn count(allocations: u64, bytes: i64) {
    // While a thread ends there is nothing to count in.
    let _ = COUNTS.try_with(|counts| {
        let now = counts.get();
        counts.set(Counts { allocations: now.allocations + allocations, live_bytes: now.live_bytes + bytes });
    });
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the counting touches only a
// thread-local cell without destructor and allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size as i64 - layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
