//! What scanners call themselves: programs that look for SIP servers, and try out names and
//! passwords. Who drops their requests decides how it compares; not here.

/// Parts of a User-Agent that no phone has, and with which a scanner's begins.
pub const SCANNERS_DEFAULT: [&str; 9] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sip-scan",
    "sipcli",
    "pplsip",
    "sundayddr",
    "siparmyknife",
    "VaxSIPUserAgent",
];
