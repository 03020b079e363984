import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { reply } from "../mail/reply.ts";
import { noCapabilities, parseCapabilities } from "./capabilities.ts";
import { runs } from "./testing.ts";

const offers = (...lines: string[]) => parseCapabilities(reply(250, ["mx.there.test hello", ...lines].join("\n")));

test("every extension that is used here", () => {
  const all = offers("PIPELINING", "SIZE 1000", "STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN");
  assert.ok(
    all.extended && all.pipelining && all.startTls && all.eightBitMime && all.smtpUtf8 && all.chunking && all.binaryMime && all.dsn,
  );
  assert.equal(all.size, 1000);
  assert.deepEqual(all.mechanisms, ["PLAIN", "LOGIN"]);
  const none = offers();
  assert.ok(none.extended && !none.pipelining && !none.startTls && !none.chunking && !none.dsn);
});

test("keywords have no case; the first line, where the server names itself, is none", () => {
  assert.equal(offers("pipelining").pipelining, true);
  assert.equal(parseCapabilities(reply(250, "STARTTLS")).startTls, false);
  assert.equal(parseCapabilities(reply(250, "STARTTLS\nSTARTTLS")).startTls, true);
});

test("SIZE with a limit, without one, and unreadable", () => {
  assert.equal(offers().size, undefined);
  assert.equal(offers("SIZE").size, 0);
  assert.equal(offers("SIZE 0").size, 0);
  assert.equal(offers("SIZE abc").size, 0);
  assert.equal(offers("SIZE 99999999999999999999").size, 0);
  assert.equal(offers("SIZE 10", "SIZE 20").size, 0);
});

test("AUTH in its standard form and in the old one, said twice", () => {
  assert.deepEqual(offers("AUTH=LOGIN PLAIN").mechanisms, ["LOGIN", "PLAIN"]);
  assert.deepEqual(offers("AUTH plain", "AUTH=PLAIN LOGIN").mechanisms, ["PLAIN", "LOGIN"]);
  assert.deepEqual(offers("AUTH").mechanisms, []);
  assert.deepEqual(offers("AUTH ").mechanisms, []);
});

test("DELIVERBY with a least time, without one, and unreadable", () => {
  assert.equal(offers().deliverBy, undefined);
  for (const line of [
    "DELIVERBY",
    "DELIVERBY 0",
    "DELIVERBY x",
    "DELIVERBY -5",
    "DELIVERBY 1234567890",
    "DELIVERBY 10",
    "deliverby 10,X=1",
  ])
    assert.equal(offers(line).deliverBy, line.includes(" 10") || line.includes(" 10,") ? 10 : 0, line);
});

test("FUTURERELEASE with both limits; else it is not offered", () => {
  assert.deepEqual(offers("FUTURERELEASE 86400 2026-12-01T00:00:00Z").futureRelease, { seconds: 86_400, until: Date.UTC(2026, 11, 1) });
  for (const line of ["X", "FUTURERELEASE", "FUTURERELEASE 10", "FUTURERELEASE 0 2026-12-01T00:00:00Z", "FUTURERELEASE 10 tomorrow"])
    assert.equal(offers(line).futureRelease, undefined, line);
});

test("MT-PRIORITY, with or without a profile", () => {
  assert.deepEqual(
    [offers("MT-PRIORITY"), offers("MT-PRIORITY MIXER"), offers()].map(({ mtPriority }) => mtPriority),
    [true, true, false],
  );
});

test("LIMITS: known ones are read, others and malformed ones are as if not said", () => {
  assert.deepEqual(offers("LIMITS RCPTMAX=100 MAILMAX=5 RCPTDOMAINMAX=1").limits, { rcptMax: 100, mailMax: 5, rcptDomainMax: 1 });
  assert.deepEqual(offers("limits rcptmax=999999 COLOR=blue FLAG").limits, { rcptMax: 999_999 });
  for (const word of [
    "RCPTMAX",
    "RCPTMAX=",
    "RCPTMAX=0",
    "RCPTMAX=01",
    "RCPTMAX=-1",
    "RCPTMAX=1.5",
    "RCPTMAX=1000000",
    "RCPTMAX=1=2",
    "XRCPTMAX=1",
  ])
    assert.deepEqual(offers(`LIMITS ${word}`).limits, {}, word);
  assert.deepEqual(offers("LIMITS MAILMAX=7", "LIMITS MAILMAX=3 MAILMAX=9").limits, { mailMax: 3 });
  assert.deepEqual(offers("LIMITS").limits, {});
  assert.deepEqual(noCapabilities.limits, {});
});

test("any LIMITS are read, and what is read is a number from 1 to six digits", () => {
  const word = fc.tuple(
    fc.constantFrom("RCPTMAX", "MAILMAX", "RCPTDOMAINMAX", "X"),
    fc.constantFrom("=", "", " "),
    fc.oneof(fc.integer().map(String), fc.string({ maxLength: 8 })),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), (words) => {
      const { limits } = offers(`LIMITS ${words.map((parts) => parts.join("")).join(" ")}`);
      for (const limit of Object.values(limits)) assert.ok(Number.isInteger(limit) && limit >= 1 && limit <= 999_999);
    }),
    runs(300),
  );
});

test("what is no keyword is passed over", () => {
  const { keywords } = offers("", "-X", "X_Y", "é", "XOK a b");
  assert.deepEqual([...keywords], [["XOK", "a b"]]);
  assert.equal(offers("STARTTLSX").startTls, false);
});

test("after HELO there is nothing", () => {
  assert.equal(noCapabilities.extended, false);
  assert.equal(noCapabilities.keywords.size, 0);
});

test("any reply is read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void parseCapabilities(reply(250, text))),
    runs(200),
  );
});
