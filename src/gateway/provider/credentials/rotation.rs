//! Whose turn it is among credentials of different weight: smooth weighted round robin, in which each gains its weight
//! at every turn and the richest pays for all. Those that cool down neither gain nor are chosen. Pure: instants are
//! microseconds of monotonic time.

/// The turns of one provider's credentials, by place.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    turns: Vec<Turn>,
}

#[derive(Debug)]
struct Turn {
    weight: i64,
    gained: i64,
    free_at_us: u64,
}

impl Rotation {
    pub(super) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let turn = |weight| Turn {
            weight: i64::from(weight),
            gained: 0,
            free_at_us: 0,
        };
        Self {
            turns: weights.map(turn).collect(),
        }
    }

    /// The place whose turn it is; where all cool down, the one that is soonest free.
    pub(super) fn choose(&mut self, now_us: u64) -> usize {
        self.choose_other(now_us, &[]).unwrap_or_else(|| self.soonest_free())
    }

    /// The richest of those that are free and not among these; `None` where there is none.
    pub(super) fn choose_other(&mut self, now_us: u64, used: &[usize]) -> Option<usize> {
        let (mut total, mut richest) = (0, None);
        for (place, turn) in self.turns.iter_mut().enumerate() {
            if turn.free_at_us > now_us || used.contains(&place) {
                continue;
            }
            turn.gained += turn.weight;
            total += turn.weight;
            if richest.is_none_or(|(_, gained)| turn.gained > gained) {
                richest = Some((place, turn.gained));
            }
        }
        let (place, _) = richest?;
        self.turns[place].gained -= total;
        Some(place)
    }

    /// Leaves the credential out until then; a pause is never shortened. True where it was in use until now.
    pub(super) fn cool(&mut self, place: usize, now_us: u64, until_us: u64) -> bool {
        let Some(turn) = self.turns.get_mut(place) else {
            return false;
        };
        let was_free = turn.free_at_us <= now_us;
        turn.free_at_us = turn.free_at_us.max(until_us);
        was_free
    }

    /// How many cool down.
    pub(super) fn cooling(&self, now_us: u64) -> usize {
        self.turns.iter().filter(|turn| turn.free_at_us > now_us).count()
    }

    fn soonest_free(&self) -> usize {
        let waiting = self.turns.iter().enumerate();
        waiting
            .min_by_key(|(_, turn)| turn.free_at_us)
            .map_or(0, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(rotation: &mut Rotation, now_us: u64, count: usize) -> Vec<usize> {
        (0..count).map(|_| rotation.choose(now_us)).collect()
    }

    #[test]
    fn turns_follow_the_weights_and_do_not_bunch() {
        let table: [(&[u32], &[usize]); 4] = [
            (&[1], &[0, 0, 0]),
            (&[1, 1], &[0, 1, 0, 1]),
            (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0, 0, 0, 1]),
            (&[2, 1], &[0, 1, 0, 0, 1, 0]),
        ];
        for (weights, wanted) in table {
            let mut rotation = Rotation::new(weights.iter().copied());
            assert_eq!(chosen(&mut rotation, 0, wanted.len()), wanted, "{weights:?}");
        }
    }

    #[test]
    fn over_a_round_each_has_exactly_its_weight() {
        let weights = [1000, 7, 1, 250];
        let mut rotation = Rotation::new(weights.into_iter());
        let mut counts = [0; 4];
        for place in chosen(&mut rotation, 0, 1258 * 3) {
            counts[place] += 1;
        }
        assert_eq!(counts, weights.map(|weight| weight * 3));
    }

    #[test]
    fn one_that_cools_down_is_left_out_until_its_instant() {
        let mut rotation = Rotation::new([1, 1, 1].into_iter());
        assert!(rotation.cool(1, 0, 100));
        assert!(!rotation.cool(1, 50, 80), "it was cooling down already");
        assert_eq!(chosen(&mut rotation, 0, 4), [0, 2, 0, 2]);
        assert!(!chosen(&mut rotation, 99, 4).contains(&1), "the pause was shortened");
        assert!(chosen(&mut rotation, 100, 3).contains(&1));
    }

    #[test]
    fn where_all_cool_down_the_one_that_is_soonest_free_is_used() {
        let mut rotation = Rotation::new([9, 1, 1].into_iter());
        for (place, until_us) in [(0, 300), (1, 200), (2, 250)] {
            rotation.cool(place, 0, until_us);
        }
        assert_eq!(chosen(&mut rotation, 10, 3), [1, 1, 1]);
        rotation.cool(1, 10, 400);
        assert_eq!(chosen(&mut rotation, 10, 2), [2, 2]);
        assert_eq!(chosen(&mut rotation, 250, 2), [2, 2]);
        assert!(chosen(&mut rotation, 300, 9).contains(&0));
    }

    #[test]
    fn another_one_is_neither_used_nor_cooling_down() {
        let mut rotation = Rotation::new([1, 1, 1].into_iter());
        rotation.cool(1, 0, 100);
        assert_eq!((rotation.cooling(99), rotation.cooling(100)), (1, 0));
        assert_eq!(rotation.choose_other(0, &[0]), Some(2));
        assert_eq!(rotation.choose_other(0, &[0, 2]), None);
        assert_eq!(rotation.choose_other(100, &[0, 2]), Some(1));
        assert_eq!(Rotation::default().choose_other(0, &[]), None);
    }

    #[test]
    fn a_place_that_is_not_there_is_nobodys() {
        assert!(!Rotation::default().cool(3, 0, 9));
        assert_eq!(Rotation::default().choose(0), 0);
    }
}
