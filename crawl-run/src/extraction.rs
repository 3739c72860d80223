//! What is to be extracted: asked of crawl-fetch, which alone knows selectors, before a
//! crawl begins, and then given to it as a file in memory, so that neither a file that was
//! changed meanwhile nor a restart makes a difference.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crawl_ckpt::extraction;
use crawl_ckpt::tool::{Exit, Failure};
use rustix::fs::{MemfdFlags, memfd_create};

/// A spider's extraction that crawl-fetch understood.
#[derive(Debug)]
pub struct Extraction {
    /// A line for each kind of page.
    pub pages: Vec<String>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// The spider file's text, in memory.
    pub file: OwnedFd,
}

impl Extraction {
    /// Asks crawl-fetch what it makes of the text of a spider file; nothing, when there
    /// is nothing to extract after all.
    ///
    /// # Errors
    /// [`Exit::Usage`] with the JSON path of what is wrong; a crawl-fetch that cannot be asked.
    pub fn ask(fetch: &Path, spider: &str, text: &str) -> Result<Extraction, Failure> {
        let name = fetch.display();
        let failed = |e: io::Error| Failure::new(format_args!("cannot start {name}: {e}"));
        let mut child = Command::new(fetch)
            .args(["--extract", "-", "--check"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl+C is for the crawl, which hears of it soon.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // A crawl-fetch that does not read its input to the end gives no answer either.
        let _ = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().map_err(failed)?;
        let answer: extraction::Extraction = serde_json::from_slice(&output.stdout)
            .map_err(|_| Failure::new(format_args!("{name} does not know --extract")))?;
        if let Some(wrong) = answer.wrong {
            let message = format_args!("cannot use spider {spider}: {wrong}");
            return Err(Failure::with(Exit::Usage, message));
        }
        Ok(Extraction {
            pages: answer.pages,
            ignored: answer.ignored,
            file: in_memory(text).map_err(failed)?,
        })
    }
}

/// A file in memory with this text.
///
/// # Errors
/// The system's reason.
pub fn in_memory(text: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("spider.json", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}
