//! What scanners call themselves: programs that look for SIP servers, and try out names and
//! passwords. Who drops their requests decides how it compares; not here.

/// Parts of a User-Agent that no phone has, and with which a scanner's begins. `sipcli` alone
/// would be `SIPClient`, too; and the name of a library (`VaxSIPUserAgent`) is that of honest
/// phones which are made with it, whoever else has used it.
pub const SCANNERS_DEFAULT: [&str; 8] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sip-scan",
    "sipcli/",
    "pplsip",
    "sundayddr",
    "siparmyknife",
];
