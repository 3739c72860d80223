//! Work of libraries that call themselves as deep as elements are nested: workers have small
//! stacks, so it is done in a thread of its own.

use std::thread;

use super::dom::Page;

/// Enough for elements nested [`super::dom::MAX_DEPTH`] deep, without optimizations too.
const STACK_BYTES: usize = 64 << 20;

/// What the work gives; nothing when the library broke down, and the item is cut, or when there
/// is no thread to be had, and the page is to be read again.
pub fn on_deep_stack<T: Send>(page: Page<'_>, work: impl FnOnce() -> T + Send) -> Option<T> {
    let budget = &page.tree.budget;
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("extract".into())
            .stack_size(STACK_BYTES);
        let Ok(thread) = thread.spawn_scoped(scope, work) else {
            budget.fall_short();
            return None;
        };
        let done = thread.join().ok();
        if done.is_none() {
            budget.cut();
        }
        done
    })
}
