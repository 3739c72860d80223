//! Result lines that are left out: the first few are told one by one, all are counted.

use crawl_ckpt::human::counted;

/// So many are told one by one: a fetcher that goes wrong may do so a million times.
const TOLD: u64 = 10;

/// The lines that were left out so far.
#[derive(Debug, Default)]
pub struct Flaws {
    count: u64,
}

impl Flaws {
    /// What to tell of one more.
    pub fn tell(&mut self, why: &str) -> Option<String> {
        self.count += 1;
        let more = match self.count {
            TOLD => "; from here on they are only counted",
            _ => "",
        };
        (self.count <= TOLD).then(|| format!("a result line is left out: {why}{more}"))
    }

    /// What to tell at the end.
    pub fn sum(&self) -> Option<String> {
        let lines = counted(self.count, "result line");
        (self.count > TOLD).then(|| format!("{lines} were left out, of which {TOLD} were told"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_told_and_the_others_counted() {
        let mut flaws = Flaws::default();
        assert_eq!(flaws.sum(), None);
        let told = (0..1000).filter_map(|_| flaws.tell("it has no id")).count();
        assert_eq!(told, 10);
        let sum = flaws.sum().unwrap();
        assert!(sum.starts_with("1,000 result lines were left out"), "{sum}");
    }
}
