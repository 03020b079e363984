import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isReply, NO_PARAMETER_SUPPORT, type ParameterSupport, readMailParameters, readRcptParameters } from "./parameters.ts";
import type { Parameter } from "./path.ts";
import { runs } from "./testing.ts";

const ALL: ParameterSupport = {
  size: true,
  eightBitMime: true,
  binaryMime: true,
  smtpUtf8: true,
  dsn: true,
  auth: true,
  futureRelease: true,
  deliverBy: true,
  mtPriority: true,
};

const parse = (text: string): Parameter[] =>
  text
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => {
      const at = word.indexOf("=");
      return { keyword: at < 0 ? word : word.slice(0, at), value: at < 0 ? undefined : word.slice(at + 1) };
    });

const mail = (text: string, support = ALL) => {
  const read = readMailParameters(parse(text), support);
  return isReply(read) ? read.code : read;
};
const rcpt = (text: string, support = ALL) => {
  const read = readRcptParameters(parse(text), support);
  return isReply(read) ? read.code : read;
};

test("MAIL: what each means", () => {
  const none = { body: "7BIT", smtpUtf8: false };
  assert.deepEqual(mail(""), none);
  assert.deepEqual(mail("SIZE=0"), { ...none, size: 0 });
  assert.deepEqual(mail(`SIZE=${"9".repeat(20)}`), { ...none, size: 1e20 });
  assert.deepEqual(mail("BODY=8bitmime SMTPUTF8"), { body: "8BITMIME", smtpUtf8: true });
  assert.deepEqual(mail("RET=full ENVID=a+20b"), { ...none, ret: "FULL", envelopeId: "a b" });
  assert.deepEqual(mail("AUTH=<>"), none);
  assert.deepEqual(mail("AUTH=e+3Dmc2"), none);
});

test("MAIL: malformed values are 501, what is not known or not offered is 555", () => {
  for (const text of [
    "SIZE",
    "SIZE=",
    "SIZE=x",
    "SIZE=1.5",
    "SIZE=+1",
    "SIZE=٣",
    `SIZE=${"1".repeat(21)}`,
    "BODY",
    "BODY=",
    "BODY=9BIT",
    "SMTPUTF8=1",
  ]) {
    assert.equal(mail(text), 501, text);
  }
  for (const text of [
    "RET",
    "RET=NONE",
    "ENVID",
    "ENVID=+",
    "ENVID=+0A",
    "ENVID=+C3+A9",
    "AUTH",
    "AUTH=a=b",
    "SIZE=1 SIZE=2",
    "SMTPUTF8 SMTPUTF8",
  ]) {
    assert.equal(mail(text), 501, text);
  }
  for (const text of ["FOO", "FOO=1", "constructor", "__proto__=1", "NOTIFY=NEVER", "ORCPT=rfc822;a"]) assert.equal(mail(text), 555, text);
  for (const text of ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=a", "AUTH=<>"])
    assert.equal(mail(text, NO_PARAMETER_SUPPORT), 555, text);
  assert.equal(mail("BODY=BINARYMIME", { ...ALL, binaryMime: false }), 555);
});

test("MAIL: HOLDFOR and HOLDUNTIL (RFC 4865)", () => {
  const none = { body: "7BIT", smtpUtf8: false };
  assert.deepEqual(mail("HOLDFOR=1"), { ...none, hold: { kind: "for", seconds: 1 } });
  assert.deepEqual(mail("HOLDFOR=999999999"), { ...none, hold: { kind: "for", seconds: 999_999_999 } });
  const until = { kind: "until", at: Date.UTC(2027, 0, 1, 7, 30) };
  assert.deepEqual(mail("HOLDUNTIL=2027-01-01T07:30:00Z"), { ...none, hold: until });
  assert.deepEqual(mail("HOLDUNTIL=2027-01-01T08:30:00+01:00"), { ...none, hold: until });
  for (const text of ["HOLDFOR", "HOLDFOR=", "HOLDFOR=0", "HOLDFOR=01", "HOLDFOR=-1", "HOLDFOR=+1", "HOLDFOR=1.5", "HOLDFOR=1000000000"])
    assert.equal(mail(text), 501, text);
  for (const text of ["HOLDUNTIL", "HOLDUNTIL=", "HOLDUNTIL=1", "HOLDUNTIL=2027-01-01", "HOLDUNTIL=2027-01-01T07:30:00"])
    assert.equal(mail(text), 501, text);
  for (const text of ["HOLDFOR=1 HOLDUNTIL=2027-01-01T07:30:00Z", "HOLDUNTIL=2027-01-01T07:30:00Z HOLDFOR=1", "HOLDFOR=1 HOLDFOR=1"])
    assert.equal(mail(text), 501, text);
  for (const text of ["HOLDFOR=1", "HOLDFOR=x", "HOLDUNTIL=x"]) assert.equal(mail(text, { ...ALL, futureRelease: false }), 555, text);
});

test("MAIL: BY (RFC 2852)", () => {
  const by = (text: string) => {
    const read = mail(text);
    return typeof read === "number" ? read : read.deliverBy;
  };
  assert.deepEqual(by("BY=600;R"), { seconds: 600, mode: "return", trace: false });
  assert.deepEqual(by("BY=+1;rt"), { seconds: 1, mode: "return", trace: true });
  assert.deepEqual(by("BY=0;N"), { seconds: 0, mode: "notify", trace: false });
  assert.deepEqual(by("BY=-999999999;NT"), { seconds: -999_999_999, mode: "notify", trace: true });
  for (const text of [
    "BY",
    "BY=",
    "BY=5",
    "BY=;R",
    "BY=5;",
    "BY=5;X",
    "BY=5;T",
    "BY=5;RN",
    "BY=5;RTT",
    "BY=5,R",
    "BY=1.5;R",
    "BY=1000000000;N",
  ])
    assert.equal(by(text), 501, text);
  for (const text of ["BY=0;R", "BY=-1;R", "BY=-0;RT"]) assert.equal(by(text), 501, text);
  assert.equal(mail("BY=5;R", { ...ALL, deliverBy: false }), 555);
});

test("MAIL: MT-PRIORITY (RFC 6710)", () => {
  for (let priority = -9; priority <= 9; priority++)
    assert.deepEqual(mail(`MT-PRIORITY=${priority}`), { body: "7BIT", smtpUtf8: false, priority });
  for (const value of ["", "=", "=10", "=-10", "=+1", "=-0", "=00", "=1.0", "=high"]) assert.equal(mail(`MT-PRIORITY${value}`), 501, value);
  assert.equal(mail("MT-PRIORITY=1", { ...ALL, mtPriority: false }), 555);
});

test("RCPT: NOTIFY and ORCPT", () => {
  assert.deepEqual(rcpt(""), {});
  assert.deepEqual(rcpt("NOTIFY=never"), { notify: [] });
  assert.deepEqual(rcpt("NOTIFY=SUCCESS,delay"), { notify: ["success", "delay"] });
  assert.deepEqual(rcpt("ORCPT=rfc822;a+2Bb@c.test"), { originalRecipient: { type: "rfc822", address: "a+b@c.test" } });
  assert.deepEqual(rcpt("ORCPT=utf-8;j\\x{FC}@c.test"), { originalRecipient: { type: "utf-8", address: "jü@c.test" } });
  for (const text of [
    "NOTIFY",
    "NOTIFY=",
    "NOTIFY=,",
    "NOTIFY=NEVER,SUCCESS",
    "NOTIFY=DELAY,DELAY",
    "NOTIFY=X",
    "ORCPT",
    "ORCPT=",
    "ORCPT=a",
  ]) {
    assert.equal(rcpt(text), 501, text);
  }
  for (const text of [
    "ORCPT=;a",
    "ORCPT=rfc822;",
    "ORCPT=rf c;a",
    "ORCPT=rfc822;+0D",
    "ORCPT=utf-8;\\x{0A}",
    `ORCPT=rfc822;${"a".repeat(494)}`,
  ]) {
    assert.ok(rcpt(text) === 501 || rcpt(text) === 555, text);
  }
  assert.equal(rcpt("SIZE=1"), 555);
  assert.equal(rcpt("NOTIFY=NEVER", NO_PARAMETER_SUPPORT), 555);
});

test("any parameters: read, 501 or 555; what was read holds no control", () => {
  const keyword = fc.constantFrom(
    "SIZE",
    "BODY",
    "SMTPUTF8",
    "RET",
    "ENVID",
    "AUTH",
    "HOLDFOR",
    "HOLDUNTIL",
    "BY",
    "MT-PRIORITY",
    "NOTIFY",
    "ORCPT",
    "X",
  );
  const value = fc.option(
    fc.string({ unit: fc.constantFrom("a", "1", "+", "-", "0", "D", "R", "N", "T", ";", ",", "é", "\\", "x", "{", "}"), maxLength: 12 }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(fc.array(fc.record({ keyword, value }), { maxLength: 4 }), (parameters) => {
      for (const read of [readMailParameters(parameters, ALL), readRcptParameters(parameters, ALL)]) {
        if (isReply(read)) assert.ok(read.code === 501 || read.code === 555);
        else {
          assert.ok(!/\\u00[01]/.test(JSON.stringify(read)));
          if ("priority" in read) assert.ok(Math.abs(read.priority ?? 0) <= 9);
          if ("deliverBy" in read) assert.ok(read.deliverBy?.mode === "notify" || (read.deliverBy?.seconds ?? 0) > 0);
        }
      }
    }),
    runs(500),
  );
});
