//! Keeps a phone registered (RFC 3261 §10): challenge, refresh, end.
//!
//! | state      | input               | output                          | next       |
//! |------------|---------------------|---------------------------------|------------|
//! | idle       | Register, refresh   | REGISTER                        | in flight  |
//! | idle       | Unregister          | REGISTER with Expires 0         | in flight  |
//! | in flight  | 401, 407            | REGISTER with credentials       | same       |
//! | in flight  | 423                 | REGISTER with a longer interval | same       |
//! | in flight  | 2xx                 | told; refresh at 4/5 of it      | idle       |
//! | in flight  | other final, none   | told; later again if 408, 5xx   | idle       |

use super::Phone;
use super::authentication::Authentication;
use super::dialog::{Dialog, address_of_record, contact};
use super::io::{PhoneConfig, PhoneEvent};
use super::transactions::Purpose;
use crate::random::Random;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{HeaderName, Message, name_addr};
use rsip::headers::{self, UntypedHeader};
use rsip::{Header, Method};
use std::time::Duration;

/// Time from a REGISTER that was not answered, or by 5xx, to the next try.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The registration of a phone.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    /// To and From are the same, so no dialog comes of it; its Call-ID and CSeq numbers stay.
    requests: Dialog,
    authentication: Authentication,
    /// What the user wants.
    is_wanted: bool,
    /// Expires of the REGISTER under way; 0 ends the registration.
    in_flight: Option<u32>,
    /// Interval to ask for.
    expires_s: u32,
    is_registered: bool,
    /// The next REGISTER.
    due: Option<Timestamp>,
}

impl Registration {
    pub(super) fn new(config: &PhoneConfig, random: &mut Random) -> Self {
        let mut requests = Dialog::to(config, random, &address_of_record(config));
        requests.remote_target = format!("sip:{}", config.domain);
        Registration {
            requests,
            authentication: Authentication::default(),
            is_wanted: false,
            in_flight: None,
            expires_s: config.register_expires_s,
            is_registered: false,
            due: None,
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        self.is_registered
    }

    pub(super) fn next_timeout(&self) -> Option<Timestamp> {
        self.due
    }
}

impl Phone {
    pub(super) fn register(&mut self, now: Timestamp) {
        self.registration.is_wanted = true;
        self.begin_register(now);
    }

    pub(super) fn unregister(&mut self, now: Timestamp) {
        self.registration.is_wanted = false;
        self.begin_register(now);
    }

    pub(super) fn on_registration_timeout(&mut self, now: Timestamp) {
        if self.registration.due.is_some_and(|due| due <= now) {
            self.begin_register(now);
        }
    }

    pub(super) fn on_register_response(
        &mut self,
        now: Timestamp,
        response: &Message<'_>,
        status: u16,
    ) {
        let Some(expires_s) = self.registration.in_flight else { return };
        match status {
            100..=199 => {}
            200..=299 => self.on_registered(now, response, expires_s),
            401 | 407 if self.config.password.is_some() => {
                if self.registration.authentication.on_challenge(response) {
                    self.send_register(now, expires_s);
                } else {
                    self.on_register_failed(now, status);
                }
            }
            423 => {
                let least = response.header_named("Min-Expires");
                match least.and_then(|least| least.parse().ok()) {
                    Some(least) if least > expires_s => {
                        self.registration.expires_s = least;
                        self.send_register(now, least);
                    }
                    _ => self.on_register_failed(now, status),
                }
            }
            _ => self.on_register_failed(now, status),
        }
    }

    pub(super) fn on_register_failed(&mut self, now: Timestamp, status: u16) {
        let registration = &mut self.registration;
        registration.in_flight = None;
        let is_passing = status == 408 || status >= 500;
        if is_passing && registration.is_wanted {
            registration.due = Some(now + RETRY_AFTER);
        } else {
            registration.is_registered = false;
        }
        self.tell(PhoneEvent::RegistrationFailed(status));
    }

    fn on_registered(&mut self, now: Timestamp, response: &Message<'_>, asked_s: u32) {
        let granted_s = self.granted(response).unwrap_or(asked_s);
        let registration = &mut self.registration;
        registration.in_flight = None;
        registration.is_registered = asked_s > 0;
        if asked_s > 0 {
            let refresh_after = Duration::from_secs(u64::from(granted_s)) * 4 / 5;
            registration.due = Some(now + refresh_after.max(Duration::from_secs(1)));
            self.tell(PhoneEvent::Registered);
        } else {
            self.tell(PhoneEvent::Unregistered);
        }
        // The user changed their mind meanwhile.
        if self.registration.is_wanted != (asked_s > 0) {
            self.begin_register(now);
        }
    }

    /// Seconds that the registrar grants to our Contact.
    fn granted(&self, response: &Message<'_>) -> Option<u32> {
        let own = contact(&self.config);
        let contacts = response.values(HeaderName::Contact);
        let mut contacts = contacts.iter().filter_map(|value| name_addr(value));
        let parameter = contacts.find(|it| it.uri == own).and_then(|it| it.param("expires"));
        let parameter = parameter.map(str::to_owned);
        let header = || response.header(HeaderName::Expires).map(|it| it.into_owned());
        parameter.or_else(header)?.parse().ok()
    }

    fn begin_register(&mut self, now: Timestamp) {
        let registration = &mut self.registration;
        registration.due = None;
        if registration.in_flight.is_some() {
            return;
        }
        registration.authentication.on_new_request();
        let expires_s = if registration.is_wanted { registration.expires_s } else { 0 };
        self.send_register(now, expires_s);
    }

    fn send_register(&mut self, now: Timestamp, expires_s: u32) {
        let config = &self.config;
        let registration = &mut self.registration;
        let contact = format!("<{}>", contact(config));
        let mut more: Vec<Header> =
            vec![headers::Contact::new(contact).into(), headers::Expires::from(expires_s).into()];
        let password = config.password.as_deref();
        let uri = registration.requests.remote_target.clone();
        let authentication = &mut registration.authentication;
        let credentials =
            authentication.header(&mut self.random, &config.user, password, "REGISTER", &uri);
        more.extend(credentials.map(|(name, value)| Header::Other(name.to_string(), value)));
        let requests = &mut registration.requests;
        let request = requests.request(config, &mut self.random, Method::Register, more, b"");
        registration.in_flight = Some(expires_s);
        let proxy = config.proxy;
        let steps = self.transactions.start_client(now, Purpose::Register, proxy, request);
        self.perform(now, steps);
    }
}
