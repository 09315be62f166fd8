//! Frames of an append-only file: a magic, the length, a checksum, the bytes.
//!
//! A scan tells a torn end (the process or the machine died while it was written: nobody was told
//! that it is stored) from damage in the middle, which it steps over.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Magic, length and checksum.
pub const HEADER_BYTES: usize = 12;

/// What the frames of one kind of file look like.
#[derive(Clone, Copy, Debug)]
pub struct Framing {
    /// Starts each frame; a reader finds the next one behind damage.
    pub magic: [u8; 4],
    /// Longest content; a longer length is damage.
    pub bytes_max: usize,
}

/// What a scan found besides frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// End of the last readable frame.
    pub end: u64,
    /// Unreadable bytes that have readable frames behind them.
    pub damaged: u64,
}

impl Framing {
    /// Adds a frame to `bytes`.
    ///
    /// # Errors
    /// More content than a frame may have.
    pub fn push(self, content: &[u8], bytes: &mut Vec<u8>) -> io::Result<()> {
        let too_long = || io::Error::other(format!("{} bytes are too much", content.len()));
        let fits = content.len() <= self.bytes_max;
        let length = u32::try_from(content.len()).ok().filter(|_| fits).ok_or_else(too_long)?;
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(content).to_be_bytes());
        bytes.extend_from_slice(content);
        Ok(())
    }

    /// The content of the frame at the start of `bytes`.
    pub fn content(self, bytes: &[u8]) -> Option<&[u8]> {
        let length = self.length(bytes)?;
        let content = bytes.get(HEADER_BYTES..length)?;
        let crc = u32::from_be_bytes(*bytes[8..].first_chunk()?);
        (crc32fast::hash(content) == crc).then_some(content)
    }

    /// Reads a file of `size` bytes from the start. `take` gets the offset and content of each
    /// sound frame, and says whether it can be read.
    ///
    /// # Errors
    /// What the system says.
    pub fn scan(
        self,
        mut file: &File,
        size: u64,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<Scanned> {
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut offset = 0;
        while let Some(bytes) = self.read(&mut reader, size - offset)? {
            let content = self.content(&bytes);
            if !content.is_some_and(|content| take(offset, content)) {
                return self.scan_behind_damage(file, offset, take);
            }
            offset += bytes.len() as u64;
        }
        if offset < size {
            return self.scan_behind_damage(file, offset, take);
        }
        Ok(Scanned { end: offset, damaged: 0 })
    }

    /// The next frame's bytes if its header is sound and the file is long enough.
    fn read(self, reader: &mut impl Read, left: u64) -> io::Result<Option<Vec<u8>>> {
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = vec![0; HEADER_BYTES];
        reader.read_exact(&mut bytes)?;
        let Some(length) = self.length(&bytes).filter(|length| *length as u64 <= left) else {
            return Ok(None);
        };
        bytes.resize(length, 0);
        reader.read_exact(&mut bytes[HEADER_BYTES..])?;
        Ok(Some(bytes))
    }

    /// Looks at every later offset for a sound frame. Rare, so the rest is read into memory.
    fn scan_behind_damage(
        self,
        mut file: &File,
        start: u64,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<Scanned> {
        let mut rest = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut rest)?;
        let (mut at, mut end, mut damaged) = (0, 0, 0);
        while at + HEADER_BYTES <= rest.len() {
            let content = self.content(&rest[at..]);
            match content.filter(|content| take(start + at as u64, content)) {
                Some(content) => {
                    damaged += (at - end) as u64;
                    at += HEADER_BYTES + content.len();
                    end = at;
                }
                None => at += 1,
            }
        }
        Ok(Scanned { end: start + end as u64, damaged })
    }

    fn length(self, header: &[u8]) -> Option<usize> {
        let rest = header.strip_prefix(&self.magic)?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        (length <= self.bytes_max).then_some(HEADER_BYTES + length)
    }
}
