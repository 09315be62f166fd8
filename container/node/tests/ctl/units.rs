//! `resilee ctl deploy`, `units` and `undeploy` at a node with a compiler that knows a few names.

use crate::house::House;
use crate::scripted::ScriptedNode;
use resilee_node::{Console, CtlError, Node, ServiceOrder, Token, UnitOrder, service, unit};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, Failure, LinkedSbb, NotCompiled, Sbb, UnitCompiler,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::ops::Deref;
use std::sync::Arc;

macro_rules! service {
    ($name:ident, $text:literal, $from:expr) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        impl Sbb for $name {
            const STATE_VERSION: u32 = 1;

            fn descriptor() -> Descriptor {
                let deployment = Deployment { migrates_from: &$from, ..Deployment::ALONE };
                Descriptor { vendor: "Test", version: "3", deployment, ..Descriptor::named($text) }
            }

            fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
                Ok(())
            }
        }
    };
}

service!(One, "screening", []);
service!(Two, "screening-2", ["screening"]);

#[derive(Debug)]
struct Linker;

impl UnitCompiler for Linker {
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        match bytes {
            b"linked:screening" => Ok(LinkedSbb::of::<One>()),
            b"linked:screening-2" => Ok(LinkedSbb::of::<Two>()),
            _ => Err(NotCompiled::Lasting("it is no WebAssembly component".to_owned())),
        }
    }
}

/// The house of all tests here, with the units in files.
struct Owner(House);

impl Deref for Owner {
    type Target = House;

    fn deref(&self) -> &House {
        &self.0
    }
}

impl Owner {
    fn start() -> Owner {
        let house = House::start(Node::builder().compiler(Arc::new(Linker)), "");
        let write = |name: &str, text: &str| fs::write(house.file(name), text).unwrap();
        write("one.wasm", "linked:screening");
        write("two.wasm", "linked:screening-2");
        write("wrong.wasm", "#!/bin/sh");
        Owner(house)
    }

    fn deploy(&self, file: &str) -> UnitOrder {
        let (file, token) = (self.file(file), self.token());
        UnitOrder::Deploy { file, activate: false, replace: Vec::new(), yes: true, token }
    }

    /// Carries it out for somebody who types this, or for nobody.
    fn order(&self, order: &UnitOrder, typed: Option<&str>) -> (String, Result<(), CtlError>) {
        give(&self.admin, order, typed)
    }

    #[track_caller]
    fn done(&self, order: &UnitOrder, typed: Option<&str>) -> String {
        let (told, done) = self.order(order, typed);
        done.unwrap_or_else(|error| panic!("{error}; {told}"));
        told
    }

    #[track_caller]
    fn refused(&self, order: &UnitOrder) -> String {
        self.order(order, None).1.expect_err("it is refused").to_string()
    }

    fn undeploy(&self, unit: &str) -> UnitOrder {
        UnitOrder::Undeploy { unit: unit.to_owned(), token: self.token() }
    }

    fn services(&self) -> String {
        service(&self.admin, &ServiceOrder::List).unwrap()
    }
}

/// Gives an order to the node at `admin`: what is told, and what comes of it.
fn give(admin: &str, order: &UnitOrder, typed: Option<&str>) -> (String, Result<(), CtlError>) {
    let mut output = Vec::new();
    let mut input = typed.unwrap_or_default().as_bytes();
    let is_terminal = typed.is_some();
    let mut console = Console { input: &mut input, output: &mut output, is_terminal };
    let done = unit(admin, order, &mut console);
    (String::from_utf8(output).unwrap(), done)
}

/// The last line that begins with this word.
fn line<'a>(text: &'a str, begins: &str) -> Option<&'a str> {
    text.lines().rev().find(|line| line.split_whitespace().next() == Some(begins))
}

#[test]
fn a_unit_is_deployed_activated_replaced_and_removed() {
    let house = Owner::start();
    let told = house.done(&house.deploy("one.wasm"), None);
    assert!(told.contains("service      screening 3\nvendor       Test\n"), "{told}");
    assert!(told.contains("screening is uploaded\ncompiled by alone\n"), "{told}");
    let (token, admin) = (house.file("token"), &house.admin);
    let activate = format!(
        "activate it: resilee ctl service activate screening --token-file {} --admin {admin}\n",
        token.display()
    );
    assert!(told.ends_with(&activate), "{told}");
    let services = house.services();
    assert!(line(&services, "screening").is_some_and(|it| it.contains("inactive")), "{services}");
    let again = house.refused(&house.deploy("one.wasm"));
    assert!(again.contains("this unit is deployed already"), "{again}");

    let UnitOrder::Deploy { file, token, .. } = house.deploy("two.wasm") else { unreachable!() };
    let activate = vec!["screening".to_owned()];
    let order = ServiceOrder::Activate { names: activate.clone(), token: house.token() };
    service(&house.admin, &order).expect("it is compiled");
    let replace = UnitOrder::Deploy { file, activate: false, replace: activate, yes: true, token };
    let told = house.done(&replace, None);
    assert!(line(&told, "screening-2").is_some_and(|it| it.contains(" active")), "{told}");
    let services = house.services();
    assert!(line(&services, "screening").is_some_and(|it| it.contains("inactive")), "{services}");

    let migrate = |to: Option<&str>, from: &str| {
        let (to, from, token) = (to.map(str::to_owned), from.to_owned(), house.token());
        service(&house.admin, &ServiceOrder::Migrate { stop: to.is_none(), to, from, token })
    };
    let told = migrate(Some("screening-2"), "screening").expect("it has replaced that");
    let moving = "from screening to screening-2: 0 entity trees moved at alone, 0 stayed there";
    assert!(told.contains(moving) && told.ends_with("none is left\n"), "{told}");
    let wrong = migrate(Some("screening"), "screening-2").expect_err("it reads none").to_string();
    assert!(wrong.contains("screening does not say that it reads states"), "{wrong}");
    let stopped = migrate(None, "screening").expect("it is an order, too");
    assert!(!stopped.contains("entity trees"), "{stopped}");

    let needed = house.refused(&house.undeploy("screening-2"));
    assert!(needed.contains("screening-2 is active: deactivate it"), "{needed}");
    assert_eq!(house.done(&house.undeploy("screening"), None), "done: screening is removed\n");
    let listed = house.done(&UnitOrder::Units, None);
    assert!(line(&listed, "screening").is_none(), "{listed}");
    assert!(line(&listed, "screening-2").is_some_and(|it| it.contains("alone")), "{listed}");
    let gone = house.refused(&house.undeploy("screening"));
    assert!(gone.contains("\"screening\" is not the name of one unit"), "{gone}");
}

#[test]
fn a_unit_that_was_uploaded_and_not_activated_is_activated_by_the_same_order() {
    let house = Owner::start();
    house.done(&house.deploy("one.wasm"), None);
    let mut order = house.deploy("one.wasm");
    let UnitOrder::Deploy { activate, .. } = &mut order else { unreachable!() };
    *activate = true;
    let told = house.done(&order, None);
    assert!(line(&told, "screening").is_some_and(|it| it.contains(" active")), "{told}");
    let again = house.refused(&order);
    assert!(again.contains("this unit is deployed already"), "{again}");
}

#[test]
fn nothing_is_deployed_that_nobody_confirms_or_that_is_no_unit() {
    let house = Owner::start();
    let mut order = house.deploy("one.wasm");
    let UnitOrder::Deploy { yes, .. } = &mut order else { unreachable!() };
    *yes = false;
    let error = house.refused(&order);
    assert!(error.contains("standard input is no terminal") && error.contains("--yes"), "{error}");
    for no in ["\n", "n\n", "yess\n", ""] {
        let told = house.done(&order, Some(no));
        assert!(told.contains("Deploy screening at all nodes? [y/N] nothing was deployed"));
    }
    assert!(house.done(&UnitOrder::Units, None).ends_with("no units\n"));
    assert!(house.done(&order, Some("Y\n")).contains("compiled by alone"));

    let wrong = house.refused(&house.deploy("wrong.wasm"));
    assert!(wrong.contains("422") && wrong.contains("it is no WebAssembly component"), "{wrong}");
    let missing = house.refused(&house.deploy("missing.wasm"));
    assert!(missing.contains("missing.wasm: No such file"), "{missing}");
    let large = fs::File::create(house.file("large.wasm")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    let large = house.refused(&house.deploy("large.wasm"));
    assert!(large.contains("16777217 bytes, a unit has 16777216 at most"), "{large}");
}

/// Deploys a unit at a node that answers this to what comes after the upload.
fn deployed_at(
    activate: bool,
    answers: impl IntoIterator<Item = (u16, Value)>,
) -> (Result<(), CtlError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let [file, token_file] = ["one.wasm", "token"].map(|name| folder.path().join(name));
    fs::write(&file, "a unit").unwrap();
    fs::write(&token_file, "s3cret").unwrap();
    let described = json!({ "unit": { "id": "01", "service": "screening" } });
    let uploaded = [described, json!({})].map(|body| (200, body));
    let node = ScriptedNode::start(uploaded.into_iter().chain(answers));
    let (replace, token) = (Vec::new(), Token { token_file });
    let order = UnitOrder::Deploy { file, activate, replace, yes: true, token };
    let (_, done) = give(&node.admin, &order, None);
    (done, node.asked())
}

fn listed(missing: &[&str], problems: Value) -> (u16, Value) {
    let unit = json!({ "id": "01", "nodes": ["alone"], "missing": missing, "problems": problems });
    (200, json!({ "units": [unit] }))
}

/// The same at a node that refuses to activate it once, with this body.
fn refused_once(refusal: Value) -> (Result<(), CtlError>, Vec<String>) {
    let active = json!({ "services": [{ "name": "screening", "state": "active" }] });
    deployed_at(true, [listed(&[], json!([])), (409, refusal), (200, active)])
}

#[test]
fn a_node_that_tries_again_to_compile_a_unit_is_waited_for() {
    let text = "screening is not compiled here yet: it is busy; it is tried again";
    let passes = json!([{ "node": "server2", "text": text, "passing": true }]);
    let (done, asked) = deployed_at(false, [listed(&["server2"], passes), listed(&[], json!([]))]);
    done.expect("the second time it is compiled");
    assert_eq!(asked.len(), 4, "{asked:?}");
    // A node of an earlier build does not say whether it passes.
    for lasts in [
        json!({ "node": "a", "text": "no" }),
        json!({ "node": "a", "text": "no", "passing": false }),
    ] {
        let (done, asked) = deployed_at(false, [listed(&["a"], json!([lasts]))]);
        let error = done.expect_err("it will not be compiled").to_string();
        assert!(error.contains("a: no"), "{error}");
        assert_eq!(asked.len(), 3, "{asked:?}");
    }
}

#[test]
fn what_a_node_does_not_do_yet_is_asked_for_again_whatever_it_says_besides() {
    let refusal = json!({ "error": "un instant", "help": "patience", "code": "not_yet" });
    let (done, asked) = refused_once(refusal);
    done.expect("the second time it is done");
    assert_eq!(asked.last().map(String::as_str), Some("post /api/v1/services"), "{asked:?}");
    assert_eq!(asked.len(), 5, "{asked:?}");
}

#[test]
fn what_a_node_refuses_for_good_is_not_asked_for_again_whatever_it_says_besides() {
    let refusal = json!({ "error": "server2 has not compiled it, and never will", "help": "" });
    let (done, asked) = refused_once(refusal);
    let error = done.expect_err("it is refused").to_string();
    assert!(error.contains("409") && error.contains("never will"), "{error}");
    assert_eq!(asked.len(), 4, "{asked:?}");
}
