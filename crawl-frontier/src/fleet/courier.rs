//! The thread that speaks with the store, as the crawl has it: it gives it tasks, hears its words, and never waits
//! for it. What the thread does is its [round](super::round).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crawl_ckpt::fleet::Depot;
use crawl_ckpt::tool::Failure;

use super::bell::Bell;
use super::round::{Round, Told};
use super::words::{Task, Word};

/// The crawl's end of it.
#[derive(Debug)]
pub struct Courier {
    tasks: Sender<Task>,
    words: Receiver<Word>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        engine: Box<dyn Depot>,
        worker: &str,
        parts: u32,
        patience: Duration,
        bell: Bell,
    ) -> Result<Courier, Failure> {
        let (mut courier, mut round, inbox) = Courier::idle(engine, worker, parts, bell);
        let thread = std::thread::Builder::new()
            .name("courier".into())
            .spawn(move || round.run(&inbox, patience))
            .map_err(|e| Failure::new(format_args!("cannot start a thread: {e}")))?;
        courier.thread = Some(thread);
        Ok(courier)
    }

    /// One that goes no round by itself.
    pub(super) fn idle(
        engine: Box<dyn Depot>,
        worker: &str,
        parts: u32,
        bell: Bell,
    ) -> (Courier, Round, Receiver<Task>) {
        let (tasks, inbox) = channel();
        let (outbox, words) = channel();
        let round = Round::new(engine, worker, parts, Told { outbox, bell });
        let courier = Courier {
            tasks,
            words,
            thread: None,
        };
        (courier, round, inbox)
    }

    /// Gives it something to do.
    pub fn ask(&self, task: Task) {
        // One that has ended told why.
        let _ = self.tasks.send(task);
    }

    /// What it said since the last call.
    pub fn words(&self) -> impl Iterator<Item = Word> + '_ {
        self.words.try_iter()
    }

    /// Waits until it has done all.
    pub fn leave(&mut self) {
        self.ask(Task::Leave);
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the panic itself.
            let _ = thread.join();
        }
    }
}
