import assert from "node:assert/strict";
import { describe, it } from "node:test";
import dns from "dns-packet";
import fc from "fast-check";
import { decodeResponse, encodeQuery, type Question, readResponse } from "./dns-message.ts";

const question: Question = { name: "x.test", type: "MX" };

function response(): Buffer {
  return dns.encode({
    type: "response",
    id: 7,
    flags: dns.RECURSION_AVAILABLE,
    questions: [{ name: "X.test", type: "MX" }],
    answers: [
      { type: "CNAME", name: "x.test", ttl: 9, data: "y.test" },
      { type: "MX", name: "y.test", ttl: 60, data: { preference: 5, exchange: "mx.test" } },
      { type: "MX", name: "elsewhere.test", ttl: 60, data: { preference: 1, exchange: "evil.test" } },
    ],
  });
}

describe("DNS messages", () => {
  it("takes only records of the name asked for or its aliases", () => {
    const packet = decodeResponse(response(), question, 7);
    assert.ok(packet);
    assert.deepEqual(readResponse(packet, question), { kind: "found", records: [{ preference: 5, exchange: "mx.test" }], ttl: 9 });
  });

  it("refuses another id, another question, a query", () => {
    assert.equal(decodeResponse(response(), question, 8), undefined);
    assert.equal(decodeResponse(response(), { name: "x.test", type: "A" }, 7), undefined);
    assert.equal(decodeResponse(response(), { name: "z.test", type: "MX" }, 7), undefined);
    assert.equal(decodeResponse(encodeQuery(question, 7, true), question, 7), undefined);
  });

  it("never throws, whatever the bytes", () => {
    const whole = response();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(whole.length), (changes, cut) => {
        const bytes = Buffer.from(whole.subarray(0, whole.length - cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const packet = decodeResponse(bytes, question, bytes.length >= 2 ? bytes.readUInt16BE(0) : 0);
        if (packet !== undefined) readResponse(packet, question);
      }),
      { numRuns: 3000 },
    );
  });

  it("goes on by TCP when a message was cut anywhere after its question", () => {
    const whole = Buffer.from(response());
    whole.writeUInt16BE(whole.readUInt16BE(2) | dns.TRUNCATED_RESPONSE, 2);
    for (let end = 24; end < whole.length; end++) assert.ok(decodeResponse(whole.subarray(0, end), question, 7)?.flag_tc, `cut at ${end}`);
  });
});
