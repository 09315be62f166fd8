//! A second adaptor: letters, which go out by its own sockets and not by the balancer.
//!
//! A service sends one by `cx.start_activity("post", &word)`; the answer comes on that activity. A
//! letter from outside begins a cell of its own.
//!
//! | letter                      | what the adaptor does                                   |
//! |-----------------------------|---------------------------------------------------------|
//! | [`Letter::First`]           | starts an activity and fires `choose`, `keep`, or at    |
//! |                             | any other word `begin` on it                            |
//! | [`Letter::Answer`]          | fires `tick` on the activity that it answers            |
//! | [`Letter::Last`]            | ends the activity that it answers                       |

use crate::toy::{Begin, Choose, Keep, Tick};
use resilee_core::{Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_membership::{Flow, Transport};
use resilee_sbb::{ActivityId, EventPayload, Failure, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// A letter to the adaptor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Letter {
    First { key: u64, word: String },
    Answer { activity: ActivityId, word: String },
    Last { activity: ActivityId },
}

impl Letter {
    pub fn bytes(&self) -> Vec<u8> {
        encode(self).expect("plain data")
    }
}

/// Its letters have no address.
pub fn flow() -> Flow {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Flow { remote: nowhere, local: nowhere, transport: Transport::Udp }
}

/// The adaptor: the word of each living activity.
#[derive(Default)]
pub struct Post {
    letters: BTreeMap<ActivityId, String>,
    /// The only property.
    stamp: String,
}

fn read(ingress: &Ingress) -> Letter {
    decode(&ingress.bytes).expect("a test writes letters")
}

fn say(endpoint: &mut Endpoint, text: String) {
    endpoint.send(flow(), text.into_bytes());
}

impl ResourceAdaptor for Post {
    fn route(&self, _now: Timestamp, ingress: &Ingress) -> Route {
        match read(ingress) {
            Letter::First { key, .. } => {
                Route::Cell { key, scope: Scope::Call, creates: true, cohort: None }
            }
            Letter::Answer { activity, .. } | Letter::Last { activity } => {
                Route::Known(activity.cell)
            }
        }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        match read(ingress) {
            Letter::First { word, .. } => {
                let activity = endpoint.start_activity();
                match word.as_str() {
                    "choose" => endpoint.fire(activity, &Choose { word: word.clone() }),
                    "keep" => endpoint.fire(activity, &Keep { word: word.clone() }),
                    _ => endpoint.fire(activity, &Begin { word: word.clone() }),
                }
                self.letters.insert(activity, word);
            }
            Letter::Answer { activity, word } if self.letters.contains_key(&activity) => {
                endpoint.fire(activity, &Tick { word });
            }
            Letter::Last { activity } if self.letters.contains_key(&activity) => {
                endpoint.end_activity(activity);
            }
            Letter::Answer { .. } | Letter::Last { .. } => {}
        }
    }

    fn unknown(&mut self, _now: Timestamp, _ingress: &Ingress) -> Vec<Egress> {
        vec![Egress::new(flow(), b"returned to sender".to_vec())]
    }

    fn refuse(&mut self, _now: Timestamp, _ingress: &Ingress, _after_s: u32) -> Vec<Egress> {
        vec![Egress::new(flow(), b"refused".to_vec())]
    }

    fn start(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let word: String = decode(payload)?;
        if word.is_empty() {
            return Err(Failure::new("an empty letter"));
        }
        say(endpoint, format!("{}letter {} {word}", self.stamp, activity.number));
        self.letters.insert(activity, word);
        Ok(())
    }

    fn command(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let word: String = decode(payload)?;
        say(endpoint, format!("more {} {word}", activity.number));
        Ok(())
    }

    fn asks_about_event(&self, event_type: &str) -> bool {
        [Begin::TYPE, Choose::TYPE].contains(&event_type)
    }

    fn event_processed(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        event_type: &str,
        received: bool,
    ) {
        let received = if received { "received" } else { "not received" };
        say(endpoint, format!("{event_type} of {} {received}", activity.number));
    }

    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        say(endpoint, format!("failed {}", activity.number));
    }

    fn asks_about_references(&self) -> bool {
        true
    }

    fn activity_unreferenced(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        say(endpoint, format!("unreferenced {}", activity.number));
        endpoint.end_activity(activity);
    }

    fn verify(&self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        match properties.keys().find(|name| *name != "stamp") {
            Some(name) => Err(Failure::new(format!("what is {name}?"))),
            None => Ok(()),
        }
    }

    fn configure(&mut self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        self.stamp = properties.get("stamp").cloned().unwrap_or_default();
        Ok(())
    }

    fn query_liveness(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        match self.letters.get(&activity).map(String::as_str) {
            Some("dead") => endpoint.end_activity(activity),
            _ => say(endpoint, format!("looked at {}", activity.number)),
        }
    }

    fn removed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        say(endpoint, format!("farewell {}", activity.number));
    }

    fn end(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        say(endpoint, format!("please end {}", activity.number));
    }

    fn timeout(&mut self, _endpoint: &mut Endpoint, _activity: ActivityId) {}

    fn next_timeout(&self, _activity: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        encode(&self.letters[&activity]).expect("plain data")
    }

    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        _adoption: Adoption,
    ) -> Result<(), Failure> {
        let word: String = decode(state)?;
        say(endpoint, format!("again {} {word}", activity.number));
        self.letters.insert(activity, word);
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.letters.remove(&activity);
    }
}
