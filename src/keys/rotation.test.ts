import assert from "node:assert/strict";
import { test } from "node:test";
import { days } from "../util/clock.ts";
import {
  begin,
  type InDns,
  KEEP,
  type Known,
  NO_ROTATION,
  nextStep,
  parseRotation,
  type Rotation,
  rotationText,
  selectorsToAsk,
  withSigning,
} from "./rotation.ts";

const now = Date.UTC(2026, 0, 1);
const known = (dns: Record<string, InDns> = {}, more: Partial<Known> = {}): Known => ({
  now,
  dns: new Map(Object.entries(dns)),
  configured: undefined,
  ...more,
});
const idle = withSigning(NO_ROTATION, ["old"]);
const begun = begin(idle, ["new", "new-ed25519"], now);
const verified: Rotation = { ...idle, next: { selectors: ["new", "new-ed25519"], made: now, verified: now } };
const both: Record<string, InDns> = { new: "published", "new-ed25519": "published" };

test("without keys there is nothing to rotate; with them, new ones are made", () => {
  assert.equal(nextStep(NO_ROTATION, known()).kind, "no-keys");
  assert.equal(nextStep(idle, known()).kind, "make");
  assert.deepEqual(selectorsToAsk(idle), []);
  assert.deepEqual(selectorsToAsk(begun), ["new", "new-ed25519"]);
});

test("verified first, then switched: two calls, and DNS is asked at both", () => {
  const first = nextStep(begun, known(both));
  assert.ok(first.kind === "verified");
  assert.equal(first.state.next?.verified, now);
  const second = nextStep(first.state, known(both));
  assert.ok(second.kind === "switched");
  assert.deepEqual(second.state, { signing: ["new", "new-ed25519"], retiring: { selectors: ["old"], since: now }, retired: [] });
});

const answers: InDns[] = ["revoked", "absent", "different", "unknown"];
for (const answer of answers) {
  test(`nothing is switched where one record is ${answer}, though it was verified`, () => {
    const step = nextStep(verified, known({ ...both, new: answer }));
    // Silence proves nothing, an absence takes the verification back.
    if (answer === "unknown") assert.deepEqual(step, { kind: "unknown", selectors: ["new"] });
    else assert.deepEqual(step, { kind: "not-published", selectors: ["new"], state: begun });
  });
}

test("nothing is switched for an answer that is missing", () => {
  assert.equal(nextStep(verified, known({ new: "published" })).kind, "unknown");
  assert.equal(nextStep(begun, known()).kind, "unknown");
});

const retiring: Rotation = { signing: ["new"], retiring: { selectors: ["old"], since: now }, retired: ["older"] };

test("old records stay for their time, then are taken away, then retired", () => {
  assert.deepEqual(nextStep(retiring, known({ old: "published" })), { kind: "keep", until: now + KEEP, selectors: ["old"] });
  assert.equal(nextStep(retiring, known({ old: "absent" }, { now: now + KEEP - 1 })).kind, "keep");
  const later = { now: now + KEEP };
  assert.equal(nextStep(retiring, known({ old: "published" }, later)).kind, "take-back");
  assert.equal(nextStep(retiring, known({ old: "unknown" }, later)).kind, "unknown");
  assert.equal(nextStep(retiring, known({ old: "published" }, { now: now + days(1), keep: days(1) })).kind, "take-back");
  for (const gone of ["revoked", "absent", "different"] as const) {
    const step = nextStep(retiring, known({ old: gone }, later));
    assert.ok(step.kind === "retired");
    assert.deepEqual(step.state, { signing: ["new"], retired: ["older", "old"] });
  }
});

test("nothing is retired that the configuration signs with, nor before it signs with the new", () => {
  const at = (configured: readonly string[]) => nextStep(retiring, known({ old: "absent" }, { now: now + KEEP, configured }));
  assert.deepEqual(at(["old"]), { kind: "not-configured", missing: ["new"], old: ["old"] });
  assert.deepEqual(at(["old", "new"]), { kind: "not-configured", missing: [], old: ["old"] });
  assert.deepEqual(at([]), { kind: "not-configured", missing: ["new"], old: [] });
  assert.equal(at(["new"]).kind, "retired");
});

test("keys that are replaced before they were retired are not forgotten", () => {
  const step = nextStep({ ...retiring, next: { selectors: ["next"], made: now, verified: now } }, known({ next: "published" }));
  assert.ok(step.kind === "switched");
  assert.deepEqual(step.state.retiring?.selectors, ["old", "new"]);
});

test("the text of a state reads as that state", () => {
  for (const state of [NO_ROTATION, idle, begun, verified, retiring, { ...retiring, next: verified.next! }]) {
    assert.deepEqual(parseRotation(rotationText(state)), { ok: true, value: state });
  }
});

const damaged = [
  "",
  "no",
  "[]",
  "null",
  "{}",
  '{"version":2,"signing":[],"retired":[]}',
  '{"version":1,"signing":"a","retired":[]}',
  '{"version":1,"signing":[],"retired":[1]}',
  '{"version":1,"signing":[],"retired":[],"next":[]}',
  '{"version":1,"signing":[],"retired":[],"next":{"selectors":["a"]}}',
  '{"version":1,"signing":[],"retired":[],"next":{"selectors":["a"],"made":"soon"}}',
  '{"version":1,"signing":[],"retired":[],"retiring":{"since":"2026-01-01T00:00:00.000Z"}}',
];
for (const text of damaged) test(`no state: ${text}`, () => assert.equal(parseRotation(text).ok, false));
