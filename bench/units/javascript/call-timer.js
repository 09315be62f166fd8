// The service that is measured: what `bench/units/src/lib.rs` is in Rust.

import { number, service } from "resilee-guest";
import { INVITE } from "resilee-guest/sip";

const RINGING = "ringing";

export const unit = service({
  name: "call-timer",
  vendor: "bench",
  version: "1.0",
  initialEvents: [INVITE],
  usage: { calls: "counter" },
  profileTables: [
    {
      name: RINGING,
      about: "how long a call may ring",
      attributes: { seconds: number(1, 180) },
      profilesMax: 1_000,
    },
  ],
  initialState: () => ({ caller: "", callee: "", calls: 0 }),

  onEvent(cx, event) {
    if (event.type !== INVITE) {
      return;
    }
    const callee = event.payload.callee.address_of_record;
    const ringing = cx.profile(RINGING, callee);
    if (ringing) {
      cx.setTimer(1, ringing.seconds * 1000);
      cx.setAttribute("seconds", ringing.seconds);
    }
    cx.count("calls");
    cx.state.caller = event.payload.caller.address_of_record;
    cx.state.callee = callee;
    cx.state.calls += 1;
  },
});
