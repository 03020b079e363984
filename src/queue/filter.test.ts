import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FILTER_LIMIT, FilterError, parseFilter } from "./filter.ts";
import type { QueuedSummary } from "./store.ts";

const now = 1_764_000_000_000;
const message: QueuedSummary = {
  id: "1M86WQ6X5RMRKBBN",
  arrived: now - 2 * 3_600_000,
  from: { localPart: "ann", domain: "here.test" },
  size: 20_500,
  origin: { kind: "submission", account: "ann@here.test", peer: "192.0.2.1" },
  hold: { reason: "Looked at" },
  recipients: [
    {
      index: 0,
      mailbox: { localPart: "bob", domain: "Gmail.com" },
      state: "held",
      attempts: 3,
      due: now + 300_000,
      last: '421 4.7.0 Rate "limit" exceeded',
    },
    { index: 1, mailbox: { localPart: "carl", domain: "sub.far.test" }, state: "active", attempts: 0, due: now, last: "" },
  ],
};
const fits = (text: string, one: QueuedSummary = message): boolean => parseFilter(text).matches(one, now);

describe("filter", () => {
  for (const text of [
    "",
    "to:gmail.com",
    "to:BOB@gmail.com",
    "to:*.far.test",
    "domain:sub.far.test",
    "from:here.test from:ann@here.test",
    "account:Ann@here.test",
    "id:1m86wq6x5rmrkbbn",
    "state:held",
    "is:submitted",
    "age>1h age<=2h",
    "due>=5m",
    "size>20K size<1M",
    "attempts=3",
    'error~"rate \\"limit"',
    "error:RATE",
    "reason~looked",
    "to:gmail.com age>1h error~rate",
    "to:nowhere.test or to:gmail.com",
    "not to:nowhere.test",
    "(to:nowhere.test or state:active) not attempts>0",
    "to:gmail.com AND NOT state:active",
  ])
    it(`fits: ${text}`, () => assert.ok(fits(text)));

  for (const text of [
    "to:mail.com",
    "to:far.test",
    "from:<>",
    "is:bounce",
    "age>2h",
    "due<0s",
    "size>1M",
    "to:gmail.com state:active",
    "not to:gmail.com not to:*.far.test",
    "reason:other",
  ])
    it(`does not fit: ${text}`, () => assert.ok(!fits(text)));

  for (const [text, words, at] of [
    ["colour:red", /there is no field "colour"/, 0],
    ["to:gmail.com age>soon", /age> expects a duration/, 13],
    ["to>gmail.com", /to is followed by : or =, not by >/, 0],
    ["size:5", /size is followed by > or >=/, 0],
    ["to:a b", /expected a condition such as .* at "b"/, 5],
    ["(to:a.test", /not closed/, 0],
    ["to:a.test)", /not opened/, 9],
    ["to:a.test or", /expected a condition at the end/, 12],
    ["to:a..b", /neither an address nor a domain/, 0],
    ["state:gone", /a state is/, 0],
    ["is:constructor", /is: expects/, 0],
    [`${"(".repeat(60)}to:a.test`, /at most 50 deep/, 50],
    ["x".repeat(FILTER_LIMIT + 1), /at most/, FILTER_LIMIT],
  ] as const) {
    it(`is refused: ${text.slice(0, 40)}`, () => {
      assert.throws(
        () => parseFilter(text),
        (error: FilterError) => error instanceof FilterError && words.test(error.message) && error.at === at,
      );
    });
  }

  it("never throws anything else, and is linear", () => {
    const piece = fc.constantFrom("to:", "a.test", "age>", "1h", "(", ")", "not ", "or", " ", '"', "\\", "~", "error", "<>", "\u00e9");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        try {
          parseFilter(pieces.join("")).matches(message, now);
        } catch (error) {
          assert.ok(error instanceof FilterError, String(error));
        }
      }),
    );
    parseFilter(`error~"${"\\\\".repeat(FILTER_LIMIT / 2 - 10)}"`);
  });
});
