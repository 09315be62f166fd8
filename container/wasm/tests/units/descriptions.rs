//! What units have said that they are is kept as long as the process runs.

use crate::guest::{Guest, Honest, deliver, delivered, host};
use resilee_sbb::{LinkedSbb, Permission, UnitCompiler, UnitDescription};

/// A unit whose description is some 60 KB.
fn large(version: usize) -> Vec<u8> {
    let mut description = UnitDescription::of(&[LinkedSbb::of::<Honest>()]);
    description.sbbs[0].version = version.to_string();
    let permission = Permission::Command("x".repeat(128).leak());
    description.sbbs[0].permissions = vec![(&permission).into(); 64];
    for number in 1..7 {
        let mut sbb = description.sbbs[0].clone();
        sbb.name = format!("guest-{number}");
        description.sbbs.push(sbb);
    }
    Guest { description: description.to_bytes(), ..Guest::default() }.bytes()
}

#[test]
fn what_a_unit_says_is_kept_once() {
    let host = host();
    let first = host.look_at(&Guest::default().bytes()).expect("a unit");
    first.forget();
    let again = host.compile(&Guest::default().bytes()).expect("the same again");
    assert!(std::ptr::eq(first.descriptor().name, again.descriptor().name));
    assert_eq!(again.invoke(&deliver()), delivered(Vec::new()));
}

#[test]
fn a_node_does_not_look_at_any_number_of_units() {
    let host = host();
    let looks = (0..145).map(|it| host.look_at(&large(it)).map(|service| service.forget()));
    let looks: Vec<_> = looks.collect();
    let seen = looks.iter().take_while(|it| it.is_ok()).count();
    assert!((100..145).contains(&seen), "{seen}");
    let error = looks[seen].as_ref().expect_err("it is one too many").to_string();
    let start = "this node has looked at units of 8";
    let end = " bytes of descriptions since it started, which it keeps, 8388608 allowed: ask \
               another node, or start this one again";
    assert!(error.starts_with(start) && error.ends_with(end), "{error}");
    assert!(looks[seen..].iter().all(Result::is_err));
    // One that was seen is not kept twice, and what is deployed needs no look.
    assert!(host.look_at(&large(0)).is_ok());
    assert!(host.compile(&large(144)).is_ok());
    assert!(host.look_at(&large(144)).is_ok());
}
