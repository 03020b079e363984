import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedRecipient } from "./delivery-status.ts";
import { reportText } from "./report-text.ts";

const at = { name: "mx.far.test", port: 25 };
const recipient = (localPart: string) => ({ mailbox: { localPart, domain: "far.test" } });
const textOf = (recipients: readonly ReportedRecipient[]): string =>
  reportText({
    reportingMta: "mail.here.test",
    postmaster: "postmaster@here.test",
    recipients,
    returned: "headers",
    arrived: 0,
  }).replace(/\s+/g, " ");

test("why somebody hears that it was passed on, each by itself", () => {
  const outcome = { action: "relayed", at, reply: { code: 250, text: "OK" } } as const;
  const text = textOf([
    { recipient: recipient("plain"), outcome },
    { recipient: recipient("late"), outcome, passedOn: "untimed" },
    { recipient: recipient("step"), outcome, passedOn: "traced" },
  ]);
  assert.match(text, /this address\. The server that took it will not report any further\. <plain@far\.test>/);
  assert.match(text, /this address\. The server that took it does not know the time by which you want it there\. <late@far\.test>/);
  assert.match(text, /this address\. You asked to be told of each step\. <step@far\.test>/);
});

test("what came back for its time's sake says what to do", () => {
  const why = { kind: "local", text: "the time is over by which it had to be delivered" } as const;
  const text = textOf([{ recipient: recipient("bob"), outcome: { action: "failed", scope: "message", status: "5.4.7", why } }]);
  assert.match(text, /Please send it again with more time, or without a time\./);
});
