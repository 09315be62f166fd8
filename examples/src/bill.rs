//! What a bill must say, worked out from the printed tariff and the phones' own clocks, with
//! arithmetic of its own: a mistake in the service's would not be repeated here.

use crate::rest::{BillRow, TariffRow};
use std::time::Duration;

/// How far a bill's talk time may be from what the phones measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Decimals of a micro-unit.
const DECIMALS: usize = 6;

/// All fields of a bill, a line each.
pub fn table(bill: &BillRow, page: &str) -> String {
    let BillRow { tariff, currency, .. } = bill;
    let TariffRow { connect_fee, per_minute, increment_s, .. } = tariff;
    let rows = [
        ("caller", bill.caller.clone()),
        ("callee", bill.callee.clone()),
        ("Call-ID", bill.call_id.clone()),
        ("set up", format!("{:.3}", bill.set_up_at)),
        ("answered", format!("{:.3} by {}", bill.answered_at, bill.answered_by)),
        ("ended", format!("{:.3} closed by {}", bill.ended_at, bill.closed_by)),
        ("hung up by", bill.ended_by.clone()),
        ("seconds", format!("{}, charged {}", bill.seconds, bill.billed_seconds)),
        (
            "tariff",
            format!(
                "{connect_fee} {currency} + {per_minute} {currency}/min in {increment_s} s steps"
            ),
        ),
        ("total", format!("{} {currency}", bill.total)),
        ("page", page.to_owned()),
    ];
    let lines = rows.map(|(name, value)| format!("{name:<11} {value}"));
    lines.join("\n")
}

/// Talk time in the bill.
pub fn talk_time(bill: &BillRow) -> Duration {
    Duration::try_from(bill.ended_at.duration_since(bill.answered_at)).unwrap_or_default()
}

/// True if the bill's talk time is what the phones measured, within the tolerance.
pub fn agrees_with_phones(bill: &BillRow, measured: Duration) -> bool {
    let is_near = |other: Duration| measured.abs_diff(other) <= TOLERANCE;
    // `seconds` is rounded up, so it may be another whole second above.
    let rounded = Duration::from_secs(bill.seconds);
    is_near(talk_time(bill))
        && rounded >= talk_time(bill).saturating_sub(Duration::from_millis(1))
        && rounded < talk_time(bill) + Duration::from_millis(1001)
}

/// What the call costs by its tariff; `None` if a price cannot be read.
pub fn expected_total(bill: &BillRow) -> Option<String> {
    let step_s = u64::from(bill.tariff.increment_s.max(1));
    let mut charged_s = 0;
    while charged_s < bill.seconds {
        charged_s += step_s;
    }
    let fee = micros(&bill.tariff.connect_fee)?;
    let per_minute = micros(&bill.tariff.per_minute)?;
    let total = fee + (per_minute * u128::from(charged_s) + 30) / 60;
    Some(decimal(total))
}

/// True if two decimal texts are the same amount.
pub fn is_same_amount(a: &str, b: &str) -> bool {
    matches!((micros(a), micros(b)), (Some(a), Some(b)) if a == b)
}

fn micros(text: &str) -> Option<u128> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > DECIMALS {
        return None;
    }
    format!("{units}{decimals:0<DECIMALS$}").parse().ok()
}

fn decimal(micros: u128) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(seconds: u64, increment_s: u32) -> BillRow {
        let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap();
        BillRow {
            id: "1".into(),
            call_id: "c".into(),
            caller: "a".into(),
            callee: "b".into(),
            set_up_at: at(0),
            answered_at: at(1_000),
            ended_at: at(1_000 + 1_000 * i64::try_from(seconds).unwrap() - 400),
            seconds,
            billed_seconds: seconds,
            tariff: TariffRow {
                prefix: String::new(),
                connect_fee: "0.05".into(),
                per_minute: "0.12".into(),
                increment_s,
            },
            total: "0.0620".into(),
            currency: "EUR".into(),
            answered_by: "server1".into(),
            closed_by: "server2".into(),
            ended_by: "caller".into(),
        }
    }

    #[test]
    fn a_total_is_the_fee_and_the_begun_steps() {
        assert_eq!(expected_total(&bill(5, 6)).as_deref(), Some("0.062000"));
        assert_eq!(expected_total(&bill(7, 6)).as_deref(), Some("0.074000"));
        assert_eq!(expected_total(&bill(61, 60)).as_deref(), Some("0.290000"));
        assert!(is_same_amount("0.0620", "0.062"));
        assert!(!is_same_amount("0.062", "0.0621") && !is_same_amount("x", "x"));
    }

    #[test]
    fn a_second_too_many_is_noticed() {
        let millis = Duration::from_millis;
        assert!(agrees_with_phones(&bill(5, 6), millis(4_600)));
        assert!(agrees_with_phones(&bill(5, 6), millis(3_700)));
        assert!(!agrees_with_phones(&bill(5, 6), millis(3_500)));
        assert!(!agrees_with_phones(&BillRow { seconds: 6, ..bill(5, 6) }, millis(4_600)));
    }
}
