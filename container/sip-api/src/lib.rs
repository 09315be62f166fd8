//! SIP as a service sees it: events that the SIP resource adaptor fires, commands it takes, and
//! the rows that services share. Plain data; nothing here reads or writes a SIP message.

mod account;
mod command;
mod event;
mod location;
mod phone_call;
mod proof;
mod source_network;

pub use account::{
    ACCOUNT_PROFILES, ACCOUNTS, Account, Algorithm, Credentials, QopAuth, REGISTER_NONCE_LIFETIME_S,
};
pub use command::{
    Diversion, DiversionReason, REFUSED, REFUSED_ALIAS, SipCommand, Target, refuse, refuse_on,
};
pub use event::{
    Answered, Binding, EndCause, Ended, Invite, OtherRequest, Party, Progress, Register, Rejected,
    Side,
};
pub use location::{Contact, REGISTRATIONS, Registrations, UsedNonce};
pub use phone_call::{ADAPTOR, NO_AUDIO, PhoneCall, call_phone};
pub use source_network::SourceNetwork;
