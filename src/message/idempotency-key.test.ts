import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { readHeaderSection } from "./header-section.ts";
import { IDEMPOTENCY_KEY_LIMIT, readIdempotencyKey } from "./idempotency-key.ts";
import { fixSubmission } from "./submission.ts";

const found = (header: string) => readIdempotencyKey(readHeaderSection(latin1(`${header}\r\n\r\n`)).section);

test("a key is unfolded and trimmed; its name is of any case", () => {
  assert.deepEqual(found("Subject: x"), { kind: "none" });
  assert.deepEqual(found("idempotency-KEY: \t order 7~! \t"), { kind: "key", key: "order 7~!" });
  assert.deepEqual(found("Idempotency-Key:\r\n a\r\n b"), { kind: "key", key: "a b" });
  assert.deepEqual(found(`Idempotency-Key: ${"k".repeat(IDEMPOTENCY_KEY_LIMIT)}`), { kind: "key", key: "k".repeat(IDEMPOTENCY_KEY_LIMIT) });
});

test("what is no key is told, never ignored", () => {
  for (const [header, why] of [
    ["Idempotency-Key:", /is empty/],
    ["Idempotency-Key: \t", /is empty/],
    [`Idempotency-Key: ${"k".repeat(IDEMPOTENCY_KEY_LIMIT + 1)}`, /is longer than 255 octets/],
    ["Idempotency-Key: a\tb", /printable ASCII/],
    ["Idempotency-Key: caf\xc3\xa9", /printable ASCII/],
    ["Idempotency-Key: a\nb", /printable ASCII/],
    ["Idempotency-Key: a\r\nSubject: x\r\nIdempotency-Key: a", /more than one/],
  ] as const) {
    const key = found(header);
    assert.ok(key.kind === "wrong" && why.test(key.why), JSON.stringify([header, key]));
  }
});

test("on submission the field leaves, and nothing else with it", () => {
  const content = latin1(
    "Date: x\r\nIdempotency-Key: a\r\n b\r\nMessage-ID: <1@x>\r\nidempotency-key-2: stays\r\n\r\nIdempotency-Key: body\r\n",
  );
  const { section, body } = readHeaderSection(content);
  const kept = fromLatin1(concat([...fixSubmission(section, { now: 0, messageId: "2@x" }), body]));
  assert.equal(kept, "Date: x\r\nMessage-ID: <1@x>\r\nidempotency-key-2: stays\r\n\r\nIdempotency-Key: body\r\n");
});
