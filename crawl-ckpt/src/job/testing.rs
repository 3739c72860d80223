//! A job in a folder of its own, for unit tests.

use std::sync::Arc;

use super::{Job, JobPlace, Manifest};
use crate::durable::RealDisk;
use crate::lock::JobLock;

pub(crate) struct TestPlace {
    pub dir: tempfile::TempDir,
    pub place: JobPlace,
    pub lock: JobLock,
}

impl TestPlace {
    pub fn new() -> TestPlace {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("checkpoint"));
        let lock = JobLock::acquire(&place).unwrap();
        TestPlace { dir, place, lock }
    }

    pub fn create(&self) -> Job {
        let manifest = Manifest::new("test 1").unwrap();
        Job::create(Arc::new(RealDisk), &self.place, &self.lock, manifest).unwrap()
    }

    pub fn open(&self) -> Job {
        Job::open(Arc::new(RealDisk), &self.place).unwrap().unwrap()
    }
}
