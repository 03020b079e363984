import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliverBy } from "../mail/envelope.ts";
import { reply } from "../mail/reply.ts";
import { parseCapabilities } from "../protocol/capabilities.ts";
import { type FitOptions, fitMessage, holdMisfit } from "./fit.ts";

const NOW = Date.UTC(2026, 10, 28, 11);
const facts = { size: 10, eightBit: false, eightBitHeader: false, binary: false, longestLine: 5 };
const offers = (...lines: string[]) => parseCapabilities(reply(250, ["mx", ...lines].join("\n")));

const fit = (deliverBy: DeliverBy, peer: string[], options: Partial<FitOptions> = {}): string => {
  const envelope = { reversePath: null, body: "7BIT", smtpUtf8: false, deliverBy } as const;
  const found = fitMessage(envelope, facts, offers(...peer), { now: NOW, ...options });
  return found.kind === "send" ? "send" : found.status;
};
const by = (seconds: number, mode: DeliverBy["mode"]): DeliverBy => ({ at: NOW + seconds * 1000, mode, trace: false });

test("what must come back if it is late goes to servers that keep to that, while there is time (RFC 2852 4.1.4)", () => {
  assert.equal(fit(by(60, "return"), ["DELIVERBY"]), "send");
  assert.equal(fit(by(60, "return"), ["DELIVERBY 60"]), "send");
  assert.equal(fit(by(60, "return"), ["DELIVERBY 61"]), "5.4.7");
  assert.equal(fit(by(0.5, "return"), ["DELIVERBY"]), "5.4.7");
  assert.equal(fit(by(60, "return"), ["DSN"]), "5.4.7");
  assert.equal(fit(by(0, "return"), ["DSN"]), "5.4.7");
});

test("into a mailbox it goes while there is time, whatever that server knows", () => {
  assert.equal(fit(by(60, "return"), [], { final: true }), "send");
  assert.equal(fit(by(0, "return"), [], { final: true }), "5.4.7");
  assert.equal(fit(by(60, "return"), ["DELIVERBY 61"], { final: true }), "5.4.7");
});

test("what only has to be told goes everywhere, late or not", () => {
  for (const seconds of [60, 0, -60]) assert.equal(fit(by(seconds, "notify"), []), "send");
  assert.equal(fit(by(1, "notify"), ["DELIVERBY 61"]), "send");
});

test("what is to be held goes to servers that hold it for so long", () => {
  const peer = offers("FUTURERELEASE 60 2026-12-01T00:00:00Z");
  assert.equal(holdMisfit(undefined, offers()), undefined);
  assert.equal(holdMisfit({ kind: "for", seconds: 60 }, peer), undefined);
  assert.equal(holdMisfit({ kind: "until", at: Date.UTC(2026, 11, 1) }, peer), undefined);
  assert.match(holdMisfit({ kind: "for", seconds: 61 }, peer)?.text ?? "", /for 61 seconds, the server does so for 60 at most/);
  assert.match(
    holdMisfit({ kind: "until", at: Date.UTC(2026, 11, 2) }, peer)?.text ?? "",
    /until 2026-12-02T00:00:00Z, the server does so until 2026-12-01T00:00:00Z/,
  );
  assert.match(holdMisfit({ kind: "for", seconds: 1 }, offers())?.text ?? "", /does not offer FUTURERELEASE/);
});
