//! The few bytes in front of each frame: which run sent it, and on which of its links.
//!
//! ractor delivers bytes without their sender. The cookie keeps strangers out; what a frame says
//! is judged by the core.

/// Largest frame; a larger one is refused by its sender.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What the header, ractor's own fields and protobuf may add to a frame.
pub(crate) const OVERHEAD_BYTES_MAX: u64 = 4096;

/// A frame with its header opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    /// Counts the links of the sending run; tells frames of a dead link from those of a new one.
    pub link: u64,
    /// The sending run as `name#incarnation`.
    pub run: &'a str,
    /// The frame.
    pub frame: &'a [u8],
}

/// Puts the header in front of `frame`.
///
/// # Panics
/// If the run's name is longer than 255 bytes; [`crate::links::Run::parse`] refuses those.
pub(crate) fn seal(link: u64, run: &str, frame: &[u8]) -> Vec<u8> {
    let length = u8::try_from(run.len()).expect("names of runs are short");
    let mut bytes = Vec::with_capacity(9 + run.len() + frame.len());
    bytes.extend_from_slice(&link.to_be_bytes());
    bytes.push(length);
    bytes.extend_from_slice(run.as_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

/// Reads what [`seal`] wrote; `None`: somebody else wrote it.
pub(crate) fn open(bytes: &[u8]) -> Option<Opened<'_>> {
    let (link, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first()?;
    let (run, frame) = rest.split_at_checked(usize::from(*length))?;
    let run = std::str::from_utf8(run).ok()?;
    Some(Opened { link: u64::from_be_bytes(*link), run, frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_frame_opens_and_a_cut_header_does_not() {
        let bytes = seal(7, "server1#12", b"frame");
        let opened = Opened { link: 7, run: "server1#12", frame: b"frame" };
        assert_eq!(open(&bytes), Some(opened));
        let header = bytes.len() - b"frame".len();
        assert!((0..header).all(|cut| open(&bytes[..cut]).is_none()));
    }
}
