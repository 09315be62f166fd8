//! Who tells a root entity in another cell something dies, or who is told, at each step of it: what
//! an activity was fired is heard by the root exactly once, and what the root wants is done once.
//!
//! `alpha` is where the activity is, and counts what the cell was told; `chooser` is the one root
//! entity of the cluster.

use crate::pair::Pair;
use crate::script::{self, State, on, selects, take_trace};
use crate::toy::SERVICES;
use resilee_core::Core;
use resilee_sbb::{InitialEvent, Tables, decode};

/// What dies, and when.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The node with the call; root entities are at the owner of the tables.
    caller: usize,
    /// The node that dies; with 2 both do.
    dies: usize,
    /// What it has sent is lost on the way.
    loses: bool,
    /// So many inputs arrive before.
    steps: usize,
}

/// What is said to the call, whose words are all for the root as well.
type Said = &'static str;

struct Story {
    pair: Pair,
    plan: Plan,
}

impl Story {
    fn begun(plan: Plan, first: Said) -> Self {
        script::clear();
        selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
        on("chooser", "ask", |_, cx| {
            cx.fire(cx.activity(), &crate::toy::Tock { word: "tock".into() })
        });
        let mut pair = Pair::up();
        assert_eq!(pair.tables_owner(), 0);
        pair.say(plan.caller, first);
        Story { pair, plan }
    }

    /// Says something, and lets the node die on the way; false if all had arrived before.
    fn dies_after(&mut self, said: Said) -> bool {
        let Plan { caller, dies, loses, steps } = self.plan;
        self.pair.begin_to_say(caller, said);
        self.pair.deliver(steps);
        let busy = self.pair.is_busy();
        if loses {
            self.pair.cut(1);
        }
        match dies {
            2 => self.both_die(),
            dies => {
                self.pair.kill(dies);
                self.pair.until_member_of(1 - dies, 1);
                self.plan.caller = 1 - dies;
            }
        }
        self.rest();
        busy
    }

    fn both_die(&mut self) {
        for node in [0, 1] {
            self.pair.kill(node);
        }
        self.pair.start(0);
        self.pair.start(1);
        self.pair.until_whole();
        let owner = |pair: &Pair, node: usize| pair.nodes[node].core.as_ref().is_some_and(owns_all);
        self.plan.caller = usize::from(!owner(&self.pair, 0));
    }

    /// Lets all words arrive, which takes less time than it takes to repeat them twice.
    fn rest(&mut self) {
        let alive = self.pair.nodes.iter().filter(|node| node.core.is_some()).count();
        for _ in 0..24 {
            self.pair.pass_ms(50);
            let nodes = self.pair.nodes.iter().filter_map(|node| node.core.as_ref());
            let quiet = nodes.filter(|core| core.loose_ties().is_empty()).count();
            if quiet == alive {
                break;
            }
        }
        for core in self.pair.nodes.iter().filter_map(|node| node.core.as_ref()) {
            assert_eq!(core.inconsistencies(), Vec::<String>::new(), "{:?}", self.plan);
            assert_eq!(core.loose_ties(), Vec::<String>::new(), "{:?}", self.plan);
        }
    }

    fn core(&self) -> &Core {
        self.pair.nodes[self.plan.caller].core.as_ref().expect("it lives")
    }

    /// How many events each entity of a service has had.
    fn counts(&self, service: &str) -> Vec<u32> {
        let cells = self.core().cells(100);
        let entities = cells.iter().flat_map(|cell| &cell.entities);
        let of_service = entities.filter(|entity| entity.service == service);
        let state = |bytes: &[u8]| decode::<State>(bytes).expect("its state");
        of_service.map(|entity| state(&entity.state.bytes).count).collect()
    }

    /// All calls end, and nothing is left.
    fn ends(mut self) {
        let caller = self.plan.caller;
        for call in ["c1", "c2"] {
            self.pair.say(caller, &format!("{call} over"));
        }
        self.rest();
        let core = self.core();
        assert_eq!(core.cells(10).len(), 0, "{:?}: {:?}", self.plan, core.cells(10));
        assert_eq!(core.timers_set(), 0, "{:?}", self.plan);
        take_trace();
    }
}

fn owns_all(core: &Core) -> bool {
    core.cells(10).iter().all(|cell| cell.owner.as_deref() == Some("server1"))
}

/// A node dies at every step; at every second one what it has sent is lost.
fn at_each_step(dies: &[usize], test: impl Fn(Plan) -> bool) {
    for (caller, dies) in
        [0, 1].into_iter().flat_map(|caller| dies.iter().map(move |it| (caller, *it)))
    {
        let mut steps = 0;
        while test(Plan { caller, dies, loses: steps % 2 == caller, steps }) {
            steps += 1;
        }
        assert!(steps > 5, "the story has more steps");
    }
}

#[test]
fn an_event_is_heard_once_whoever_dies_on_its_way() {
    at_each_step(&[0, 1], |plan| {
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin; fire choose 1 one");
        assert_eq!((story.counts("alpha"), story.counts("chooser")), (vec![1], vec![1]));
        let busy = story.dies_after("c1 fire tick 1 two; fire tick 1 three");
        let [alpha, chooser] = ["alpha", "chooser"].map(|service| story.counts(service));
        assert_eq!(alpha, chooser, "{plan:?}");
        let caller = story.plan.caller;
        story.pair.say(caller, "c1 fire tick 1 four");
        story.rest();
        assert_eq!(story.counts("chooser"), [chooser[0] + 1], "{plan:?}");
        story.ends();
        busy
    });
}

#[test]
fn an_activity_is_tied_once_to_one_root_whoever_dies_meanwhile() {
    at_each_step(&[0, 1], |plan| {
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin");
        let busy = story.dies_after("c1 fire choose 1 one; fire tick 1 two");
        let caller = story.plan.caller;
        story.pair.say(caller, "c2 start; fire choose 1 three");
        story.rest();
        let alpha = story.counts("alpha")[0];
        // A call that was never tied has told alpha nothing but its begin.
        let expected = if alpha == 1 { 1 } else { 3 };
        assert_eq!((story.counts("chooser"), alpha <= 2), (vec![expected], true), "{plan:?}");
        story.ends();
        busy
    });
}

#[test]
fn the_end_of_an_activity_ends_its_mirror_whoever_dies_meanwhile() {
    at_each_step(&[0, 1], |plan| {
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin; fire choose 1 one");
        let caller = plan.caller;
        story.pair.say(caller, "c2 start; fire choose 1 two");
        let busy = story.dies_after("c1 fire tick 1 three; end 1");
        let caller = story.plan.caller;
        if story.counts("alpha") != [0; 0] {
            story.pair.say(caller, "c1 fire tick 1 three; end 1");
            story.rest();
        }
        assert_eq!(story.counts("alpha"), [0; 0], "{plan:?}");
        assert_eq!(story.counts("chooser"), [4], "one, two, three, end: {plan:?}");
        story.ends();
        busy
    });
}

#[test]
fn what_a_root_fires_on_an_activity_comes_once_whoever_dies_meanwhile() {
    at_each_step(&[0, 1], |plan| {
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin; fire choose 1 one");
        let busy = story.dies_after("c1 fire tick 1 ask");
        let [alpha, chooser] = ["alpha", "chooser"].map(|service| story.counts(service));
        assert_eq!(alpha, chooser, "{plan:?}");
        assert!(alpha == [1] || alpha == [3], "the question and its answer, or none: {alpha:?}");
        story.ends();
        busy
    });
}

#[test]
fn nothing_is_lost_or_heard_twice_when_both_nodes_die() {
    at_each_step(&[2], |plan| {
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin; fire choose 1 one");
        let busy = story.dies_after("c1 fire tick 1 ask");
        let [alpha, chooser] = ["alpha", "chooser"].map(|service| story.counts(service));
        assert_eq!(alpha, chooser, "{plan:?}");
        story.ends();
        busy
    });
}

#[test]
fn a_root_that_is_handed_over_hears_what_comes_meanwhile() {
    use resilee_core::Input;
    use resilee_core::management::Command;
    for (caller, steps) in [0, 1].into_iter().flat_map(|it| (0..40).map(move |steps| (it, steps))) {
        let plan = Plan { caller, dies: 0, loses: false, steps };
        let mut story = Story::begun(plan, "c1 start; fire begin 1 begin; fire choose 1 one");
        let to = "server2".parse().expect("a name");
        story.pair.feed(0, Input::Command(Command::HandOver { cohort: None, to }));
        story.pair.deliver(steps);
        story.pair.begin_to_say(caller, "c1 fire tick 1 ask");
        story.rest();
        assert_eq!(story.pair.tables_owner(), 1);
        let [alpha, chooser] = ["alpha", "chooser"].map(|service| story.counts(service));
        assert_eq!((alpha, chooser), (vec![3], vec![3]), "{plan:?}");
        story.plan.caller = 1;
        story.ends();
    }
}

#[test]
fn what_is_for_a_root_waits_while_its_service_is_not_deployed_where_the_root_would_be() {
    script::clear();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    let mut pair = Pair::of(&[SERVICES[0], SERVICES[1]], Tables::default());
    pair.start(0);
    pair.until_member(0);
    pair.deploy(&SERVICES);
    pair.start(1);
    pair.until_whole();
    assert_eq!(pair.tables_owner(), 0);
    pair.say(1, "c1 start; fire choose 1 one; fire tick 1 two");
    pair.pass_ms(2_000);
    assert_eq!(take_trace(), ["chooser is asked about one"]);
    let alarms = pair.status(0).alarms;
    assert!(alarms.iter().any(|alarm| alarm.text.contains("not deployed here")), "{alarms:?}");
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.pass_ms(100);
    assert_eq!(take_trace(), ["chooser1 one", "chooser1 two"]);
}
