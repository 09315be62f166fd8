//! Which updates of a frame are applied.
//!
//! | this run  | the frame is of                        | its updates are                        |
//! |-----------|----------------------------------------|----------------------------------------|
//! | a member  | a member, by this view or an older one | applied: it owns what it speaks of     |
//! | a joiner  | the member that it joins               | applied: that is the snapshot          |
//! | any       | a run that was voted out               | dropped, and it is told the view       |
//! | any       | another, by a view still to be adopted | kept, in order, and taken in then      |
//!
//! The last row: two members store a view milliseconds apart, a slow disk more, and the quicker
//! one may commit at once as a new member. Dropped, its updates would leave a hole, and a hole
//! closes the link.

use crate::core::Core;
use crate::frame::{Frame, FrameError, Update};
use resilee_membership::{Destination, NodeName, PlantedFault};
use resilee_sbb::{Timestamp, decode};

/// Bytes of updates that wait for a view; frames beyond are dropped, and come again when the hole
/// that they leave has closed the link.
const EARLY_BYTES_MAX: usize = 4 * 1024 * 1024;

fn bytes(frame: &Frame) -> usize {
    frame.updates.iter().map(|update| update.len()).sum()
}

impl Core {
    /// See the table.
    ///
    /// # Errors
    /// What is wrong with them: the link is to be closed.
    pub(crate) fn take_updates(
        &mut self,
        now: Timestamp,
        peer: &NodeName,
        mut frame: Frame,
    ) -> Result<(), FrameError> {
        // To a new run a peer may still say what its old one was to hear.
        let joined = self.joining.as_ref().is_some_and(|joining| joining.member == frame.from);
        let outdated = frame.view < self.view.number && !self.view.contains(&frame.from);
        let Some(link) = self.links.get_mut(peer) else { return Ok(()) };
        let outsiders = self.planted.is(PlantedFault::HearOutsiders);
        let member = self.view.contains(&self.config.me) && self.view.contains(&frame.from);
        if member || joined || outsiders {
            for update in link.accept(&mut frame)? {
                let update: Update = decode(&update).map_err(|error| error.to_string())?;
                self.check_update(frame.view, &update)?;
                #[cfg(feature = "planted-faults")]
                if self.planted.is(PlantedFault::AckBeforeApplying) {
                    self.unapplied.push((frame.from.clone(), update));
                    self.links.get_mut(peer).into_iter().for_each(|link| link.on_applied());
                    continue;
                }
                self.apply_update(now, &frame.from, update).map_err(|error| error.to_string())?;
                if let Some(link) = self.links.get_mut(peer) {
                    link.on_applied();
                }
            }
            if let Some(outbox) = self.outbox.get_mut(&frame.from) {
                *outbox = outbox.split_off(&frame.done.saturating_add(1));
            }
        } else if outdated && !frame.updates.is_empty() {
            self.refuse_old(Destination::Node(peer.clone()));
        } else if frame.view > self.view.number {
            self.keep_early_frame(frame);
        }
        Ok(())
    }

    fn keep_early_frame(&mut self, frame: Frame) {
        let waiting: usize = self.early_frames.iter().map(bytes).sum();
        if waiting + bytes(&frame) > EARLY_BYTES_MAX {
            return self.count_drop("frame of a view that is not adopted yet");
        }
        if !frame.updates.is_empty() {
            self.early_frames.push(frame);
        }
    }

    /// What was kept for the view that holds now.
    pub(crate) fn take_in_early_frames(&mut self, now: Timestamp) {
        for frame in std::mem::take(&mut self.early_frames) {
            let peer = frame.from.node.clone();
            let link = self.links.get(&peer);
            // To a new run the frames of its old one say nothing.
            if link.is_some_and(|link| link.run.as_ref() == Some(&frame.from))
                && let Err(error) = self.take_updates(now, &peer, frame)
            {
                self.refuse_frame(now, &peer, &error);
            }
        }
    }
}
