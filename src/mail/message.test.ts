import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryContent, readContent } from "./content.ts";
import { formatReversePath } from "./envelope.ts";
import { firstDue, isMessageId, newMessageId } from "./message.ts";
import { describeHost, describeReason, isUnfinished } from "./outcome.ts";
import { reply } from "./reply.ts";

test("ids are 16 characters and sort by arrival", () => {
  const ids = [0, 1, 31, 32, 1_700_000_000_000, 1_700_000_000_001, 4_000_000_000_000].map((now) => newMessageId(now));
  assert.deepEqual([...ids].sort(), ids);
  for (const id of ids) assert.ok(isMessageId(id), id);
});

test("two ids of one millisecond differ by chance alone, and chance is used to its ends", () => {
  assert.notEqual(newMessageId(1), newMessageId(1));
  assert.equal(
    newMessageId(0, () => 0),
    "0".repeat(16),
  );
  assert.equal(
    newMessageId(32 ** 9 - 1, () => 0.999999),
    "Z".repeat(16),
  );
});

test("what is no id", () => {
  for (const text of ["", "0".repeat(15), "0".repeat(17), "I".repeat(16), "u".repeat(16), `${"0".repeat(15)}/`, `${"0".repeat(16)}\n`]) {
    assert.equal(isMessageId(text), false, JSON.stringify(text));
  }
});

test("what falls due when: by arrival, the urgent ahead and the others behind; what is held never before its time", () => {
  const due = (extras: { priority?: number; holdUntil?: number }) =>
    firstDue({ arrived: 1_000_000_000, envelope: { reversePath: null, recipients: [], body: "7BIT", smtpUtf8: false, ...extras } });
  assert.equal(due({}), 1_000_000_000);
  assert.equal(due({ priority: 2 }), 1_000_000_000 - 120_000);
  assert.equal(due({ priority: -1 }), 1_000_000_000 + 60_000);
  assert.equal(due({ holdUntil: 1_000_000_001 }), 1_000_000_001);
  assert.equal(due({ holdUntil: 1_000_000_001, priority: 9 }), 1_000_000_001);
  assert.equal(due({ holdUntil: 1_000_000_000, priority: 1 }), 1_000_000_000 - 60_000);
});

test("content in memory is read as the chunks that it has", () => {
  const chunks = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  const content = memoryContent(chunks);
  assert.equal(content.size, 3);
  assert.equal(readContent(content), chunks);
});

test("reverse-paths", () => {
  assert.equal(formatReversePath(null), "<>");
  assert.equal(formatReversePath({ localPart: "a", domain: "b.test" }), "<a@b.test>");
});

test("reasons as one line", () => {
  const at = { name: "mx.test", address: "192.0.2.1", port: 25 };
  assert.equal(describeHost(at), "mx.test[192.0.2.1]:25");
  assert.equal(describeHost({ ...at, name: "192.0.2.1" }), "192.0.2.1:25");
  assert.equal(
    describeReason({ kind: "reply", reply: reply(550, "5.1.1", "No such\nuser"), doing: "sending RCPT TO", at }),
    "mx.test[192.0.2.1]:25: 550 5.1.1 No such user (sending RCPT TO)",
  );
  assert.equal(
    describeReason({ kind: "connection", text: "timed out", doing: "connecting", at }),
    "mx.test[192.0.2.1]:25: timed out (connecting)",
  );
  assert.equal(describeReason({ kind: "dns", text: "no such domain" }), "no such domain");
});

test("unfinished outcomes are those that are delayed or failed", () => {
  const why = { kind: "local", text: "too old" } as const;
  assert.equal(isUnfinished({ action: "failed", scope: "message", status: "5.4.7", why }), true);
  assert.equal(isUnfinished({ action: "delayed", scope: "host", status: "4.4.1", why }), true);
  assert.equal(isUnfinished({ action: "expanded", to: [] }), false);
});
