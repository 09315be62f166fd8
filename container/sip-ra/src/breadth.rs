//! How many branches a request may still become in all (Max-Breadth, RFC 5393 §5): forked again and
//! again, each time to a few targets, it would be a flood.
//!
//! | a request with a Max-Breadth of  | goes on with                                           |
//! |----------------------------------|--------------------------------------------------------|
//! | none, or more than [`MAX`]       | as if it had [`MAX`]                                   |
//! | 0, or less than it has targets   | not at all: 440                                        |
//! | any other                        | its share of that; shares of parallel targets add up   |
//!
//! Targets that a service has given up do not count, though RFC 5393 §5.3.3 counts each until its
//! final response (`redirection.rs`).

use resilee_sip_proto::{HeaderName, Message};

/// Most branches of one request (RFC 5393 §5.3.3 recommends it).
const MAX: u32 = 60;

/// How many branches a request may become; of several values the lowest.
pub(crate) fn breadth_of(request: &Message<'_>) -> u32 {
    let values = request.values(HeaderName::MaxBreadth);
    let all = values.iter().flat_map(|value| value.split(','));
    all.map(|value| value.trim().parse().unwrap_or(MAX)).min().map_or(MAX, |it| it.min(MAX))
}

/// What each of so many targets may become, the first target first; `None`: too little for them.
pub(crate) fn shares(breadth: u32, targets: usize) -> Option<impl Iterator<Item = u32>> {
    let targets = u32::try_from(targets).ok()?;
    let each = breadth.checked_div(targets).filter(|each| *each > 0)?;
    let further = breadth % targets;
    Some((0..targets).map(move |target| each + u32::from(target < further)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_what_there_was() {
        let all = |breadth, targets| shares(breadth, targets).map(Iterator::collect::<Vec<_>>);
        assert_eq!(all(60, 1), Some(vec![60]));
        assert_eq!(all(7, 3), Some(vec![3, 2, 2]));
        assert_eq!(all(3, 3), Some(vec![1, 1, 1]));
        assert_eq!((all(2, 3), all(0, 1), all(5, 0)), (None, None, None));
    }
}
