//! The fields that our files are made of: numbers and texts of any length behind each
//! other, numbers of a fixed width in headers. See FORMAT.md.

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The bytes end too early; at least so many are needed.
    Short(usize),
    /// The bytes make no sense.
    Wrong(&'static str),
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads fields off the front of a byte slice.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Bad> {
        let end = self
            .at
            .checked_add(len)
            .ok_or(Bad::Wrong("a length is absurd"))?;
        let taken = self.bytes.get(self.at..end).ok_or(Bad::Short(end))?;
        self.at = end;
        Ok(taken)
    }

    /// The next byte, which stays.
    #[inline]
    pub(crate) fn peek(&self) -> Result<u8, Bad> {
        let byte = self.bytes.get(self.at).copied();
        byte.ok_or(Bad::Short(self.at + 1))
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Bad> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// What was taken since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Bad::Wrong("a number is too long"))
    }

    #[inline]
    pub(crate) fn varint_u32(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.varint()?).map_err(|_| Bad::Wrong("a number is too large"))
    }

    #[inline]
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], Bad> {
        let len = usize::try_from(self.varint()?).map_err(|_| Bad::Wrong("a length is absurd"))?;
        self.take(len)
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Bad> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| Bad::Wrong("a text is not UTF-8"))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }
}

pub(crate) fn first_half(hash: blake3::Hash) -> [u8; 16] {
    array_at(hash.as_bytes(), 0)
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_round_trip_and_overlong_ones_are_wrong() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX >> 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Cursor::new(&bytes).varint(), Ok(value));
            assert!(Cursor::new(&bytes[..bytes.len() - 1]).varint().is_err());
        }
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
    }
}
