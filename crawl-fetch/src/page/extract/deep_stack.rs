//! Work of libraries that call themselves as deep as elements are nested: workers have small
//! stacks, so it is done in a thread of its own.

use std::thread;

use super::dom::Page;

/// Enough for elements nested [`super::dom::MAX_DEPTH`] deep, without optimizations too.
const STACK_BYTES: usize = 64 << 20;

/// What the work gives; nothing, and the item is cut, when no thread could be had or the library
/// broke down.
pub fn on_deep_stack<T: Send>(page: Page<'_>, work: impl FnOnce() -> T + Send) -> Option<T> {
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("extract".into())
            .stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    });
    if done.is_none() {
        page.tree.budget.cut();
    }
    done
}
