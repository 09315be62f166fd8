//! What holds in each story: of a call's audio, and of its bill.

use crate::bill;
use crate::phones::HandsetState;
use crate::rest::BillRow;
use crate::stage::Stage;
use anyhow::Context;
use std::time::Duration;

/// How long after a bill a second one would have come.
const SECOND_BILL_WITHIN: Duration = Duration::from_secs(1);

impl Stage {
    /// What holds for every bill at the server with this index: there is one of the call, with the
    /// right time and the right price.
    pub async fn check_bill(
        &mut self,
        server: usize,
        bill: &BillRow,
        measured: Duration,
    ) -> anyhow::Result<()> {
        tokio::time::sleep(SECOND_BILL_WITHIN).await;
        let count = self.servers[server].bills_of(&bill.call_id).await?.len();
        self.report.check("there is exactly one bill of the call", count == 1, count);
        let found = format!(
            "{:.3} s billed, {:.3} s by A's own clock",
            bill::talk_time(bill).as_secs_f64(),
            measured.as_secs_f64()
        );
        let agrees = bill::agrees_with_phones(bill, measured);
        self.report.check("the bill agrees with the phones within 1 s", agrees, found);
        let expected = bill::expected_total(bill).context("a price is no decimal")?;
        let is_right = bill::is_same_amount(&expected, &bill.total);
        let found = format!("{} billed, {expected} worked out", bill.total);
        self.report.check("the total follows from the tariff", is_right, found);
        Ok(())
    }

    /// Audio flows between alice and bob, both ways.
    pub fn check_media(&mut self, name: &str) {
        let (of_alice, of_bob) = (self.alice.state(), self.bob.state());
        let flows = |to: &HandsetState, from: &HandsetState| {
            to.rtp.received > 0 && to.rtp.missing * 100 <= from.rtp_sent
        };
        let held = flows(&of_alice, &of_bob) && flows(&of_bob, &of_alice);
        let gap = of_alice.rtp.longest_gap.max(of_bob.rtp.longest_gap);
        let found = format!(
            "RTP A to B {} of {} packets, B to A {} of {}; longest gap {} ms",
            of_bob.rtp.received,
            of_alice.rtp_sent,
            of_alice.rtp.received,
            of_bob.rtp_sent,
            gap.as_millis()
        );
        self.report.check(name, held, found);
        self.report.detail("(media is phone to phone by design: no server carries it)");
    }
}
