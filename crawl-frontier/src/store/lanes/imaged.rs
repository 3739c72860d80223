//! What an image has of the lanes, and the part beside it.

use std::io;

use crawl_ckpt::waiting::WaitingPart;

use super::Lanes;
use super::aside::Aside;
use super::room::AT_HAND;
use crate::schedule::HostId;

/// What an image needs a part for.
#[derive(Debug)]
pub enum WantedPart<'a> {
    /// All that waits is in the image.
    None,
    /// What is aside is in this part already, and the image has the rest.
    Kept(&'a WaitingPart),
    /// All but so many of each host are for a new one.
    New(usize),
}

impl Lanes {
    /// How many of a host stay in an image that has `most` without a priority at most.
    pub fn heads(&self, id: HostId, most: usize) -> u32 {
        let ranked = if self.ranks.is_empty() {
            0
        } else {
            self.ranks.count(id.0, &self.nodes)
        };
        (ranked + self.plain_at_hand(id).take(most).count()) as u32
    }

    /// The number of the part, when nothing else is aside.
    pub fn part_number(&self) -> Option<u64> {
        let part = self.aside.as_ref().and_then(|aside| aside.part());
        part.map(|part| part.number())
    }

    /// Where a host goes on in what is aside: how many are left, and how many are gone before them.
    pub fn place_aside(&self, id: HostId) -> (u32, u32) {
        let aside = self.aside.as_ref();
        aside.map_or((0, 0), |aside| (aside.left(id.0), aside.gone(id.0)))
    }

    /// What an image needs a part for, when so many requests wait.
    pub fn wanted_part(&self, pending: u64) -> WantedPart<'_> {
        let Some(room) = &self.room else {
            return WantedPart::None;
        };
        let aside = self.aside.as_ref();
        let left = aside.map_or(0, |aside| aside.left_of_all());
        if let Some(part) = aside.and_then(|aside| aside.part())
            && left * 2 >= part.count()
            && pending - left <= room.long
        {
            return WantedPart::Kept(part);
        }
        if left > 0 || pending > room.long {
            let hosts = self.plain.len().max(1) as u64;
            return WantedPart::New((room.heads / hosts).min(AT_HAND as u64) as usize);
        }
        WantedPart::None
    }

    /// Takes the part that an image names, of which [`Lanes::leave`] tells what is left.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn take_part(&mut self, part: WaitingPart) -> io::Result<()> {
        let dir = self.room.as_ref().map(|room| &*room.dir);
        self.aside = Some(Aside::over(part, dir)?);
        Ok(())
    }

    /// So many of a host are left of the part, behind so many that are gone.
    pub fn leave(&mut self, id: HostId, left: u32, gone: u32) {
        self.grow(id.0 as usize + 1);
        if let Some(aside) = &mut self.aside {
            aside.leave(id.0, left, gone);
        }
    }
}
