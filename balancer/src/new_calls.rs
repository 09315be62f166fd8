//! Who gets a new call.
//!
//! | algorithm     | choice                                                                     |
//! |---------------|----------------------------------------------------------------------------|
//! | `first-alive` | the first; while its share grows, that part of the calls only, by a hash   |
//! | `call-id`     | weighted rendezvous hashing of the Call-ID                                 |
//! | `round-robin` | smooth weighted round robin: by weights 3 and 1 not three in a row, then 1 |
//!
//! By rendezvous hashing each call has an order of all servers of its own. When a server goes,
//! each of its calls moves to the next one of that call's order, and no other call moves; when
//! its share grows, calls move to it, and none between the others.
//!
//! Not here: who is fit (`balancer/standing.rs`), and that a call stays (`affinity.rs`).

use crate::boundary::Algorithm;
use std::cmp::Reverse;

/// A whole share.
pub(crate) const WHOLE: u32 = 1_000;

/// A server that may get the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its position in the configuration.
    pub(crate) server: usize,
    /// A hash of its name.
    pub(crate) name: u64,
    /// As configured.
    pub(crate) weight: u32,
    /// How much of that it has, in thousandths.
    pub(crate) share: u32,
}

impl Candidate {
    /// Never 0: who is the only one gets all.
    pub(crate) fn weight_now(&self) -> u32 {
        self.weight.saturating_mul(self.share).max(1)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NewCalls {
    /// How far behind its turn each server is, by its position.
    turns: Vec<i64>,
}

impl NewCalls {
    /// The server for the call with this hash; none if there is no candidate.
    pub(crate) fn choose(
        &mut self,
        algorithm: Algorithm,
        call: u64,
        candidates: &[Candidate],
    ) -> Option<usize> {
        match algorithm {
            Algorithm::FirstAlive => first(call, candidates),
            Algorithm::CallId => by_rendezvous(call, candidates),
            Algorithm::RoundRobin => self.in_turn(candidates),
        }
    }

    fn in_turn(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let turns = candidates.iter().map(|it| it.server + 1).max()?.max(self.turns.len());
        self.turns.resize(turns, 0);
        for (server, turn) in self.turns.iter_mut().enumerate() {
            // Who was away is not owed what it missed.
            match candidates.iter().find(|it| it.server == server) {
                Some(candidate) => *turn += i64::from(candidate.weight_now()),
                None => *turn = 0,
            }
        }
        let all: i64 = candidates.iter().map(|it| i64::from(it.weight_now())).sum();
        let chosen = candidates.iter().map(|it| it.server);
        let chosen = chosen.min_by_key(|server| Reverse(self.turns[*server]))?;
        self.turns[chosen] -= all;
        Some(chosen)
    }
}

fn first(call: u64, candidates: &[Candidate]) -> Option<usize> {
    let part = mixed(call) % u64::from(WHOLE);
    let takes = |it: &&Candidate| part < u64::from(it.share);
    let fallback = || candidates.iter().min_by_key(|it| Reverse(it.share));
    candidates.iter().find(takes).or_else(fallback).map(|it| it.server)
}

fn by_rendezvous(call: u64, candidates: &[Candidate]) -> Option<usize> {
    let scored = candidates.iter().map(|it| (score(call, it), it.server));
    scored.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, server)| server)
}

/// Its maximum falls on each candidate as often as its weight says.
#[allow(clippy::cast_precision_loss, reason = "53 bits of the hash are kept, and all are exact")]
fn score(call: u64, candidate: &Candidate) -> f64 {
    let hash = mixed(call ^ mixed(candidate.name));
    // Between 0 and 1, and neither.
    let part = ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    f64::from(candidate.weight_now()) / -part.ln()
}

/// Spreads what differs little over all bits (the finalizer of `SplitMix64`).
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: u64 = 10_000;

    fn candidate(server: usize, weight: u32, share: u32) -> Candidate {
        Candidate { server, name: 1_000 + server as u64, weight, share }
    }

    fn chosen(algorithm: Algorithm, candidates: &[Candidate]) -> Vec<usize> {
        let mut new_calls = NewCalls::default();
        let choose = |call| new_calls.choose(algorithm, call, candidates).unwrap();
        (0..CALLS).map(choose).collect()
    }

    fn count(chosen: &[usize], server: usize) -> usize {
        chosen.iter().filter(|it| **it == server).count()
    }

    #[test]
    fn turns_are_smooth_and_by_weight() {
        let turns =
            chosen(Algorithm::RoundRobin, &[candidate(0, 3, WHOLE), candidate(1, 1, WHOLE)]);
        assert_eq!(turns[..8], [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_server_that_was_away_does_not_get_what_it_missed() {
        let mut new_calls = NewCalls::default();
        let [one, two] = [candidate(0, 1, WHOLE), candidate(1, 1, WHOLE)];
        let mut choose = |fit: &[Candidate]| new_calls.choose(Algorithm::RoundRobin, 0, fit);
        for _ in 0..100 {
            assert_eq!(choose(&[one]), Some(0));
        }
        let after: Vec<_> = (0..4).filter_map(|_| choose(&[one, two])).collect();
        assert_eq!(after, [0, 1, 0, 1]);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn call_ids_spread_by_weight() {
        let servers = [candidate(0, 1, WHOLE), candidate(1, 3, WHOLE)];
        let share = count(&chosen(Algorithm::CallId, &servers), 0);
        assert!((2_300..2_700).contains(&share), "{share} of 10000 at a quarter of the weight");
    }

    #[test]
    fn a_server_that_goes_moves_its_own_calls_only() {
        let all = [candidate(0, 1, WHOLE), candidate(1, 2, WHOLE), candidate(2, 1, WHOLE)];
        let before = chosen(Algorithm::CallId, &all);
        let after = chosen(Algorithm::CallId, &[all[0], all[2]]);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == 1);
        }
        let heirs = [0, 2].map(|server| count(&after, server));
        assert!(heirs.iter().all(|it| (4_700..5_300).contains(it)), "{heirs:?}");
    }

    #[test]
    fn a_share_that_grows_moves_calls_to_its_server_only() {
        let growing = |share| [candidate(0, 1, WHOLE), candidate(1, 1, share)];
        let mut before = chosen(Algorithm::CallId, &growing(0));
        assert!(count(&before, 1) < 50);
        for share in [100, 300, 500, WHOLE] {
            let now = chosen(Algorithm::CallId, &growing(share));
            assert!(before.iter().zip(&now).all(|(before, now)| before == now || *now == 1));
            before = now;
        }
        assert!((4_700..5_300).contains(&count(&before, 1)));
    }

    #[test]
    fn the_first_one_takes_the_part_that_it_is_ready_for() {
        let calls = |shares: [u32; 2]| {
            let servers = [candidate(0, 1, shares[0]), candidate(1, 1, shares[1])];
            count(&chosen(Algorithm::FirstAlive, &servers), 0)
        };
        assert_eq!(calls([WHOLE, WHOLE]), 10_000);
        assert!((2_300..2_700).contains(&calls([250, WHOLE])));
        assert!(calls([0, 0]) == 10_000, "somebody takes them");
        assert!(calls([0, WHOLE]) == 0);
    }
}
