//! What `docs/first-sbb.md` and `docs/event-router.md` show is code of these tests, what
//! `docs/resource-adaptors.md` shows that of an example, and what `README.md` shows that of the
//! template of services, word for word.

mod a_child;
mod a_name;
mod a_room;
mod a_shared_root;
mod a_timer;
mod one_sbb;
mod who_is_next;

/// The code blocks of a page.
fn snippets(page: &str) -> impl Iterator<Item = &str> {
    page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next())
}

fn check(page: &str, sources: &[&str]) {
    assert!(snippets(page).count() > 0, "the page shows no code");
    for snippet in snippets(page) {
        let shown = sources.iter().any(|source| source.contains(snippet));
        assert!(shown, "in no test:\n{snippet}");
    }
}

#[test]
fn first_sbb_shows_code_that_runs() {
    let sources = [
        include_str!("one_sbb.rs"),
        include_str!("a_child.rs"),
        include_str!("a_timer.rs"),
        include_str!("../../../templates/service/tests/calls.rs"),
    ];
    check(include_str!("../../../docs/first-sbb.md"), &sources);
}

#[test]
fn event_router_shows_code_that_runs() {
    let sources = [
        include_str!("who_is_next.rs"),
        include_str!("a_shared_root.rs"),
        include_str!("a_name.rs"),
        include_str!("a_room.rs"),
    ];
    check(include_str!("../../../docs/event-router.md"), &sources);
}

#[test]
fn resource_adaptors_shows_code_of_the_example() {
    let relay = include_str!("../../../examples/web_hooks/relay.rs");
    check(include_str!("../../../docs/resource-adaptors.md"), &[relay]);
}

#[test]
fn the_readme_shows_code_of_the_template() {
    let template = include_str!("../../../templates/service/src/lib.rs");
    check(include_str!("../../../README.md"), &[template]);
}
