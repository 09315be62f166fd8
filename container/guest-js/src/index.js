// Makes a deployable unit of a service in JavaScript: docs/units.md says how.
//
// | file            | what is in it                                                     |
// |-----------------|-------------------------------------------------------------------|
// | service.js      | a unit's two functions: what it is, and the answer to a delivery  |
// | description.js  | what a service says that it is                                    |
// | context.js      | what a handler may read and ask for during one delivery           |
// | effects.js      | what it asked for, and what of that stays after a roll back       |
// | failure.js      | why a handler gave up                                             |
// | initial.js      | what an initial event selector answers                            |
// | surroundings.js | time and chance of a delivery, where JavaScript looks for them    |
// | codec.js        | MessagePack                                                       |
// | text.js         | UTF-8, which QuickJS lacks                                        |
// | sip.js          | SIP as a service sees it                                          |
//
// Not here: child SBBs and calls between entities, names of activities in a call or in the cluster,
// and `migratesFrom`. A service that needs one of them is written in Rust; docs/units.md has all.

export { decimal, flag, hex, number, permission, text } from "./description.js";
export { Failure } from "./failure.js";
export { service } from "./service.js";
