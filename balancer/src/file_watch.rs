//! When a file is read again that somebody may change, by looks at it now and then.
//!
//! | look                                  | the file is                               |
//! |---------------------------------------|-------------------------------------------|
//! | it is as it was when it was read      | left alone                                |
//! | it is not as it was at the last look  | left alone: somebody may be writing it    |
//! | it has changed, and rests since       | read                                      |
//! | somebody orders it                    | read, whether it has changed or not       |
//!
//! Not here: the file (`shell/reload.rs`), and what is in it (`config.rs`).

/// See the module; a stamp is what tells one content of the file from another.
#[derive(Clone, Debug)]
pub(crate) struct FileWatch<S> {
    /// When it was read last.
    read: S,
    /// At the last look.
    seen: S,
}

impl<S: PartialEq + Clone> FileWatch<S> {
    /// The file was read when it had this stamp.
    pub(crate) fn new(stamp: S) -> Self {
        FileWatch { read: stamp.clone(), seen: stamp }
    }

    /// Whether to read it now.
    pub(crate) fn handle_look(&mut self, stamp: S) -> bool {
        let rests = self.seen == stamp;
        self.seen = stamp;
        let is_due = rests && self.read != self.seen;
        if is_due {
            self.read = self.seen.clone();
        }
        is_due
    }

    /// It is read now, by order.
    pub(crate) fn handle_order(&mut self, stamp: S) {
        *self = FileWatch::new(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_after_each_change_and_only_when_it_rests() {
        let mut watch = FileWatch::new(1);
        let looks = [1, 1, 2, 3, 3, 3, 1, 1].map(|stamp| watch.handle_look(stamp));
        assert_eq!(looks, [false, false, false, false, true, false, false, true]);
    }

    #[test]
    fn what_was_read_by_order_is_not_read_again() {
        let mut watch = FileWatch::new(1);
        watch.handle_order(2);
        assert_eq!([2, 2].map(|stamp| watch.handle_look(stamp)), [false, false]);
    }
}
