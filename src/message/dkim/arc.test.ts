import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../../util/bytes.ts";
import { cut, octets } from "../contents.test.ts";
import { readHeaderSection } from "../header-section.ts";
import { FOLD_AT } from "../trace.ts";
import { ArcSealer } from "./arc-seal.ts";
import { ARC_SET_LIMIT, type ChainValidation } from "./arc-set.ts";
import { DkimKey } from "./key.ts";
import { keyRecordText } from "./key-tools.ts";
import { readSignedMessage } from "./signed-message.ts";
import { DkimSigner } from "./signer.ts";
import { arcOf, edKey, KEYS, MESSAGE, NOW, RFC8463_SEED, rsaKey, type Table } from "./testing.ts";

const sealer = new ArcSealer(edKey);
const results = "mx.example.com; arc=none; dkim=pass header.d=example.com header.s=ed; spf=pass smtp.mailfrom=alice@example.com";

/** Seals a message once more; with `validation`, or with what the chain is. */
function sealed(content: Uint8Array, by: ArcSealer = sealer, validation?: ChainValidation): Uint8Array {
  const verdict = validation ?? arcOf([content]).verdict;
  assert.notEqual(verdict, "temperror");
  const message = readSignedMessage([content], { form: "relaxed" });
  const made = by.seal(message, { validation: verdict as ChainValidation, authenticationResults: results, now: NOW });
  assert.equal(made.kind, "sealed");
  return made.kind === "sealed" ? concat([made.fields, content]) : content;
}

const one = sealed(MESSAGE);
const two = sealed(one, new ArcSealer(rsaKey));
const three = sealed(two);
const text = fromLatin1(three);

test("a chain of three, with both algorithms, passes; its fields are folded", () => {
  assert.equal(arcOf([MESSAGE]).verdict, "none");
  for (const [i, content] of [one, two, three].entries()) {
    const arc = arcOf([content]);
    assert.equal(arc.verdict, "pass", arc.reason);
    assert.equal(arc.oldestPass, 0);
    assert.deepEqual(
      arc.sets.map(({ instance, validation }) => `${instance} ${validation}`),
      ["1 none", "2 pass", "3 pass"].slice(0, i + 1),
    );
  }
  for (const line of text.split("\r\n")) assert.ok(line.length <= FOLD_AT, line);
});

test("the order of the fields in the header does not matter, nor how the message comes", () => {
  const { section, body } = readHeaderSection(three);
  const reversed = concat([...section.fields.map(({ raw }) => raw)].reverse().concat([latin1("\r\n"), body]));
  assert.equal(arcOf([reversed]).verdict, "pass");
  const whole = arcOf([three]);
  assert.deepEqual(arcOf(octets(three)), whole);
  fc.assert(
    fc.property(fc.array(fc.nat(300)), (cuts) => assert.deepEqual(arcOf(cut(three, cuts)), whole)),
    { numRuns: 30 },
  );
});

test("a body changed on the way by one who sealed it: the chain passes, and oldestPass says from where on", () => {
  const changed = latin1(`${fromLatin1(one)}-- \r\na list's footer\r\n`);
  assert.equal(arcOf([changed]).verdict, "fail");
  const message = readSignedMessage([changed], { form: "relaxed" });
  const made = sealer.seal(message, { validation: "pass", authenticationResults: results, now: NOW });
  assert.ok(made.kind === "sealed");
  const arc = arcOf([made.fields, changed]);
  assert.equal(arc.verdict, "pass");
  assert.equal(arc.oldestPass, 2);
  assert.equal(arc.sets[0]!.message.cause, "body-changed");
});

const broken: [what: string, change: (text: string) => string, words: RegExp][] = [
  ["the body", (t) => `${t}x\r\n`, /message signature of instance 3 .*body was changed/],
  ["a signed field", (t) => t.replace("Lunch", "Dinner"), /message signature of instance 3/],
  ["what an older sealer had found", (t) => t.replace("i=1; mx.example.com;", "i=1; mx.example.org;"), /seal of instance 3/],
  ["an older message signature", (t) => t.replace(/(i=1;[\s\S]*?t=)1751328000/, "$11751328001"), /seal of instance 3/],
  [
    "a seal taken away",
    (t) => t.replace(/ARC-Seal:(?:(?!ARC-)[\s\S])*?i=2;(?:(?!ARC-)[\s\S])*(?=ARC-)/, ""),
    /ARC-Seal of instance 2 is missing/,
  ],
  [
    "results taken away",
    (t) => t.replace(/ARC-Authentication-Results: i=2(?:(?!ARC-)[\s\S])*/, ""),
    /ARC-Authentication-Results of instance 2 is missing/,
  ],
  ["a second set of results", (t) => `ARC-Authentication-Results: i=2; x\r\n${t}`, /two ARC-Authentication-Results fields of instance 2/],
  ["results without an instance", (t) => `ARC-Authentication-Results: mx.example.com; none\r\n${t}`, /no instance/],
  ["an instance of 0", (t) => `ARC-Authentication-Results: i=0; x\r\n${t}`, /no instance/],
  ["an instance of 51", (t) => `ARC-Authentication-Results: i=51; x\r\n${t}`, /no instance/],
  ["a gap", (t) => t.replaceAll(/(\b|;)i=3;/g, "$1i=4;"), /of instance 3 is missing/],
  ["a seal that is no tag-list", (t) => `ARC-Seal: hello\r\n${t}`, /no instance/],
  ["cv=pass in the first", (t) => t.replace("cv=none", "cv=pass"), /instance 1 has cv=pass/],
  ["cv=none later", (t) => t.replace("cv=pass", "cv=none"), /has cv=none/],
  ["no cv=", (t) => t.replace(" cv=none;", ""), /no cv=/],
  ["cv= unknown", (t) => t.replace("cv=none", "cv=maybe"), /cv=maybe/],
  ["cv=fail in the newest", (t) => t.replace("cv=pass", "cv=fail"), /chain had failed/],
  ["a message signature over seals", (t) => t.replace(" h=from", " h=arc-seal:from"), /message signature of instance 3 .*covers ARC-Seal/],
  ["h= in a seal", (t) => t.replace(" cv=pass;", " cv=pass; h=from;"), /must not have/],
];
for (const [what, change, words] of broken) {
  test(`a chain fails: ${what}`, () => {
    const changed = change(text);
    assert.notEqual(changed, text);
    const arc = arcOf([latin1(changed)]);
    assert.equal(arc.verdict, "fail");
    assert.match(arc.reason, words);
  });
}

test("DNS that does not answer is temperror, unless something has failed anyway", () => {
  const half: Table = { ...KEYS, [edKey.recordName]: { kind: "failed", why: "SERVFAIL" } };
  assert.equal(arcOf([three], half).verdict, "temperror");
  assert.equal(arcOf([latin1(text.replace("d=example.com; i=2", "d=example.net; i=2"))], half).verdict, "fail");
  assert.equal(arcOf([three], { [rsaKey.recordName]: KEYS[rsaKey.recordName]! }).verdict, "fail");
});

test("a failed chain is sealed once with cv=fail over its own set, and then left alone", () => {
  const changed = latin1(`${text}x\r\n`);
  const failed = sealed(changed);
  const section = readHeaderSection(failed).section;
  assert.match(section.value("ARC-Seal")!, /cv=fail; .*i=4;/);
  assert.equal(arcOf([failed]).verdict, "fail");
  const message = readSignedMessage([failed], { form: "relaxed" });
  assert.equal(sealer.seal(message, { validation: "fail", authenticationResults: results, now: NOW }).kind, "left");
  const gap = latin1(text.replaceAll(/(\b|;)i=3;/g, "$1i=7;"));
  assert.match(readHeaderSection(sealed(gap)).section.value("ARC-Seal")!, /i=8;/);
});

test("a chain may have 50 sets and not one more", () => {
  let content = MESSAGE;
  for (let i = 1; i <= ARC_SET_LIMIT; i++) content = sealed(content, sealer, i === 1 ? "none" : "pass");
  const arc = arcOf([content]);
  assert.equal(arc.verdict, "pass");
  assert.equal(arc.sets.length, ARC_SET_LIMIT);
  const full = readSignedMessage([content], { form: "relaxed" });
  assert.equal(sealer.seal(full, { validation: "pass", authenticationResults: results, now: NOW }).kind, "left");
  const over = latin1(`ARC-Seal: i=1; x=y\r\n${fromLatin1(content)}`);
  assert.match(arcOf([over]).reason, /more than 50/);
});

test("a sealer covers DKIM signatures, and never what the next one changes", () => {
  const fields = new DkimSigner({ keys: [rsaKey] }).sign([MESSAGE], { now: NOW });
  const content = concat([latin1("Authentication-Results: mx.example.com; none\r\n"), fields, MESSAGE]);
  const made = sealed(content);
  const names = / h=([^;]*);/.exec(readHeaderSection(made).section.value("ARC-Message-Signature")!)![1]!;
  assert.match(names, /dkim-signature/);
  assert.doesNotMatch(names, /authentication-results|arc-/);
  assert.equal(arcOf([latin1("Received: by x\r\nReply-To: x@example.net\r\n"), made]).verdict, "pass");
  assert.throws(() => new ArcSealer(edKey, { names: [{ name: "arc-seal", oversign: "never" }] }), RangeError);
});

test("a caller cannot make a seal lie", () => {
  const options = (validation: ChainValidation, authenticationResults = results) => ({ validation, authenticationResults, now: NOW });
  const none = readSignedMessage([MESSAGE], { form: "relaxed" });
  const chain = readSignedMessage([one], { form: "relaxed" });
  const gap = readSignedMessage([latin1(text.replaceAll(/(\b|;)i=3;/g, "$1i=4;"))], { form: "relaxed" });
  assert.throws(() => sealer.seal(none, options("pass")), RangeError);
  assert.throws(() => sealer.seal(chain, options("none")), RangeError);
  assert.throws(() => sealer.seal(gap, options("pass")), RangeError);
  assert.throws(() => sealer.seal(none, options("none", "mx\r\nBcc: x")), RangeError);
  assert.throws(() => sealer.seal(readSignedMessage([MESSAGE]), options("none")), /relaxed/);
});

test("seals of a key that is another's do not pass", () => {
  const other = new DkimKey({ domain: "example.com", selector: "rsa", privateKey: RFC8463_SEED });
  const content = sealed(MESSAGE, new ArcSealer(other));
  assert.equal(arcOf([content]).verdict, "fail");
  assert.equal(arcOf([content], { [other.recordName]: keyRecordText(other) }).verdict, "pass");
});
