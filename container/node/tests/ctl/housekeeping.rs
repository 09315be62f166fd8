//! `resilee ctl housekeeping` at a node with a service that leaves something of each kind.

use crate::house::{House, wait_for};
use clap::Parser;
use resilee_node::{CtlError, HousekeepingOrder, Node, housekeeping};
use resilee_sbb::{
    ActivityId, Context, Descriptor, Event, EventPayload, Failure, Sbb, TimerFired, TimerId,
};
use resilee_sip_api::Invite;
use serde::{Deserialize, Serialize};
use std::net::UdpSocket;
use std::time::Duration;

/// Goes on after the call that it was for: nobody ends its null activity.
#[derive(Default, Serialize, Deserialize)]
struct Hoarder {
    hoard: Option<ActivityId>,
}

impl Sbb for Hoarder {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { initial_events: &[Invite::TYPE], ..Descriptor::named("hoarder") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.get::<TimerFired>()?.is_some() {
            return Ok(());
        }
        let hoard = cx.create_null_activity()?;
        cx.attach(cx.entity(), hoard)?;
        cx.bind_name(hoard, "the hoard")?;
        cx.set_timer(TimerId(7), Duration::from_secs(3_600));
        self.hoard = Some(hoard);
        Ok(())
    }
}

/// The command line after `resilee ctl housekeeping`.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    order: HousekeepingOrder,
}

impl House {
    fn order(&self, line: &[&str]) -> Result<String, CtlError> {
        let line = Line::try_parse_from(line).expect("an order");
        housekeeping(&self.admin, &line.order)
    }

    fn listed(&self, kind: &str) -> String {
        self.order(&[kind, "--service", "hoarder"]).expect("a list")
    }

    fn remove(&self, id: &str) -> Result<String, CtlError> {
        let token = self.file("token").display().to_string();
        self.order(&["remove", id, "--token-file", &token])
    }

    /// The id of the only one of its kind; each mark is in it.
    fn found(&self, kind: &str, mark: &str) -> String {
        let list = self.listed(kind);
        let mut ids = list.lines().filter_map(|line| {
            let id = line.get(..line.find("  ")?)?;
            id.contains(mark).then(|| id.to_owned())
        });
        let id = ids.next().unwrap_or_else(|| panic!("no {mark} in {list}"));
        assert_eq!(ids.next(), None, "{list}");
        id
    }
}

#[test]
fn a_timer_a_name_an_entity_and_an_activity_are_found_and_removed() {
    let house = House::start(Node::builder().without_services().service::<Hoarder>(), "");
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = phone.local_addr().unwrap();
    let invite = format!(
        "INVITE sip:bob@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@{0}>;tag=1\r\nTo: <sip:bob@{0}>\r\n\
         Call-ID: hoard\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@{address}>\r\n\
         Content-Length: 0\r\n\r\n",
        house.sip
    );
    phone.send_to(invite.as_bytes(), house.sip).unwrap();
    wait_for("a timer", || house.listed("timers").contains("/t7").then_some(()));

    // The activity last: all of the others go with it.
    let kinds = [
        ("timers", "timer", "/t7"),
        ("names", "name", "/the hoard"),
        ("entities", "SBB entity", "/e"),
    ];
    let hoard = house.found("names", "/the hoard").replace("/the hoard", "");
    for (kind, one, mark) in kinds {
        let id = house.found(kind, mark);
        assert_eq!(house.remove(&id).expect("it is there"), format!("{one} {id} is removed\n"));
        let left = house.listed(kind);
        assert!(left.contains(&format!("no {kind} like that")), "{left}");
        let again = house.remove(&id).expect_err("it is gone").to_string();
        assert!(again.contains(&format!("there is no {one} {id}")), "{again}");
    }
    let gone = house.remove(&hoard).expect_err("nobody is attached to it").to_string();
    assert!(gone.contains(&format!("there is no activity {hoard}")), "{gone}");
}
