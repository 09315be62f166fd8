//! Which bills a reader asks for: the query parameters `party`, `from`, `to`, `page` and
//! `per_page`, read strictly. Which bills there are is in `bill_book`.

use crate::moment;
use crate::problem::Problem;
use resilee_call_billing::Bill;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Bills on one page at most.
pub const PER_PAGE_MAX: usize = 500;
/// Characters of a searched party at most.
pub const PARTY_CHARS_MAX: usize = 200;

const KNOWN: &str = "the parameters are party, from, to, page and per_page";
const MOMENT_HELP: &str =
    "write a date like 2026-05-01, or a UTC time like 2026-05-01T14:03 or 2026-05-01T14:03:22.120Z";
const DAY: Duration = Duration::from_secs(86_400);

/// The bills a reader asks for. A bill belongs to the moment at which its call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Part of the caller's or callee's address, in any case; empty for all.
    pub party: String,
    /// Calls that ended at this moment or later.
    pub from: Option<Timestamp>,
    /// Calls that ended before this moment; a bare date includes its day.
    pub to: Option<Timestamp>,
    /// From 1.
    pub page: usize,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: usize,
}

impl Selection {
    /// All bills, the first `per_page` of them.
    pub fn all(per_page: usize) -> Self {
        Selection { party: String::new(), from: None, to: None, page: 1, per_page }
    }

    /// Reads the parameters of a query. An empty value counts as absent, since a form sends all
    /// its fields.
    pub fn read(pairs: &[(String, String)], per_page: usize) -> Result<Self, Problem> {
        let mut selection = Selection::all(per_page);
        for (name, value) in pairs {
            let value = value.trim();
            match name.as_str() {
                "party" | "from" | "to" | "page" | "per_page" if value.is_empty() => {}
                "party" if value.chars().count() > PARTY_CHARS_MAX => {
                    let help = format!("search for at most {PARTY_CHARS_MAX} characters");
                    return Err(Problem::bad_request("party is too long", help));
                }
                "party" => selection.party = value.to_owned(),
                "from" => selection.from = Some(read_moment(name, value)?),
                "to" if moment::is_date(value) => {
                    selection.to = Some(read_moment(name, value)? + DAY);
                }
                "to" => selection.to = Some(read_moment(name, value)?),
                "page" => selection.page = read_count(name, value, usize::MAX)?,
                "per_page" => selection.per_page = read_count(name, value, PER_PAGE_MAX)?,
                _ => {
                    let what = format!("unknown parameter {:?}", cut(name));
                    return Err(Problem::bad_request(what, KNOWN));
                }
            }
        }
        match (selection.from, selection.to) {
            (Some(from), Some(to)) if to < from => {
                Err(Problem::bad_request("to is before from", "swap the two, or leave one empty"))
            }
            _ => Ok(selection),
        }
    }

    /// True if something is searched for.
    pub fn is_narrowed(&self) -> bool {
        !self.party.is_empty() || self.from.is_some() || self.to.is_some()
    }

    /// True if `bill`, with its parties in lower case, is asked for.
    pub fn matches(&self, bill: &Bill, parties: &str, party_wanted: &str) -> bool {
        self.from.is_none_or(|from| bill.ended_at >= from)
            && self.to.is_none_or(|to| bill.ended_at < to)
            && parties.contains(party_wanted)
    }

    /// The query string of another page of the same selection, percent-encoded.
    pub fn query(&self, page: usize) -> String {
        let mut query = self.query_of_search();
        if page > 1 {
            query += &format!("&page={page}");
        }
        query
    }

    /// The query string without the page.
    pub fn query_of_search(&self) -> String {
        let mut query = format!("per_page={}", self.per_page);
        if !self.party.is_empty() {
            query += &format!("&party={}", percent_encoded(&self.party));
        }
        for (name, moment) in [("from", self.from), ("to", self.to)] {
            if let Some(moment) = moment {
                query += &format!("&{name}={}", moment::form_field(moment));
            }
        }
        query
    }
}

fn read_moment(name: &str, value: &str) -> Result<Timestamp, Problem> {
    let what = || format!("{name} is {:?}, which is no time", cut(value));
    moment::parse(value).ok_or_else(|| Problem::bad_request(what(), MOMENT_HELP))
}

fn read_count(name: &str, value: &str, max: usize) -> Result<usize, Problem> {
    let count = value.parse::<usize>().ok().filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| {
        let what = format!("{name} is {:?}, which is no number of that kind", cut(value));
        let most = if max == usize::MAX { String::new() } else { format!(" to {max}") };
        Problem::bad_request(what, format!("write a whole number from 1{most}"))
    })
}

/// What is quoted of a wrong value.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte);
    let encode = |byte: u8| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Selection, Problem> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Selection::read(&pairs.iter().map(owned).collect::<Vec<_>>(), 50)
    }

    #[test]
    fn an_empty_form_selects_all_bills() {
        let form = [("party", ""), ("from", " "), ("to", ""), ("page", "")];
        assert_eq!(read(&form), Ok(Selection::all(50)));
    }

    #[test]
    fn a_bare_date_as_end_includes_its_day() {
        let selection = read(&[("from", "2026-05-01"), ("to", "2026-05-01")]).unwrap();
        let (from, to) = (selection.from.unwrap(), selection.to.unwrap());
        assert_eq!(to.since(from), DAY);
    }

    #[test]
    fn a_wrong_parameter_is_named_with_what_to_write() {
        let wrong = [
            ("from", "yesterday", "2026-05-01"),
            ("page", "0", "from 1"),
            ("per_page", "501", "1 to 500"),
            ("patry", "alice", "party, from, to"),
        ];
        for (name, value, help) in wrong {
            let problem = read(&[(name, value)]).expect_err("must be refused");
            assert!(problem.what.contains(name) && problem.help.contains(help), "{problem:?}");
        }
        assert!(read(&[("from", "2026-05-02"), ("to", "2026-04-01")]).is_err());
        assert!(read(&[("party", &"x".repeat(201))]).is_err());
    }

    #[test]
    fn a_selection_survives_its_own_query_string() {
        let selection =
            read(&[("party", "a&b=ü \"x"), ("from", "2026-05-01T14:03:22.5Z")]).unwrap();
        let query = selection.query(3);
        assert!(query.ends_with("&party=a%26b%3D%C3%BC%20%22x&from=2026-05-01T14:03:22.5&page=3"));
        assert!(query.starts_with("per_page=50&"), "{query}");
    }
}
