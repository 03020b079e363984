/**
 * How a verdict on a signature came about, for `postrider verify`: steps in words a person can act on.
 *
 * Rules
 * 1. Made from the results afterwards: who does not ask for steps does not pay for them.
 */
import type { ArcResult } from "../message/dkim/arc-verify.ts";
import { keyName } from "../message/dkim/key-record.ts";
import type { MessageSignature } from "../message/dkim/signature-field.ts";
import type { Judgement } from "../message/dkim/verify.ts";
import { encodeBase64 } from "../util/base64.ts";
import type { DkimResult, DkimVerification } from "./dkim.ts";
import { type Step, Steps, shown } from "./step.ts";

/** The steps of all DKIM signatures of a message. */
export function dkimSteps({ results, skipped }: DkimVerification): readonly Step[] {
  const steps = new Steps();
  if (results.length === 0) steps.add("there is no DKIM-Signature field: dkim=none");
  for (const [i, result] of results.entries()) addResult(steps, result, i + 1);
  if (skipped > 0) steps.add(`${skipped} more DKIM-Signature fields were not looked at: there are too many`);
  return steps.list;
}

/** The steps of an ARC chain. */
export function arcSteps(arc: ArcResult): readonly Step[] {
  const steps = new Steps();
  for (const { instance, domain, validation, seal, message } of arc.sets) {
    steps.add(`ARC set ${instance} by ${shown(domain ?? "nobody that can be read")}, which found cv=${validation}`);
    steps.add(`seal: ${seal.verdict}, ${seal.reason}`, 1);
    steps.add(`message signature: ${message.verdict}, ${message.reason}`, 1);
  }
  if (arc.oldestPass !== undefined && arc.verdict === "pass") {
    steps.add(
      arc.oldestPass === 0 ? "the message was not changed since the first set" : `the message was not changed since set ${arc.oldestPass}`,
    );
  }
  steps.add(`arc=${arc.verdict}: ${arc.reason}`);
  return steps.list;
}

function addResult(steps: Steps, result: DkimResult, number: number): void {
  const { domain, selector, signature } = result;
  steps.add(
    `DKIM signature ${number} of ${shown(domain ?? "nobody that can be read")} (s=${shown(selector ?? "?")}, a=${shown(result.algorithm ?? "?")})`,
  );
  if (signature !== undefined) addField(steps, signature);
  addKey(steps, result, signature);
  if (signature !== undefined) addHashes(steps, result, signature);
  for (const name of result.unsignedFields) {
    steps.add(`${name} stands in the message more often than it is signed: the upper ones may have been added by anyone`, 1);
  }
  const { bodyLength } = result;
  if (bodyLength !== undefined && bodyLength.total > bodyLength.signed) {
    steps.add(
      `only ${bodyLength.signed} of ${bodyLength.total} octets of the body are signed (l=): the rest may have been added by anyone`,
      1,
    );
  }
  if (result.testing) steps.add("the key says t=y (testing): a failure counts as no signature", 1);
  steps.add(`dkim=${result.verdict}: ${result.reason}`, 1);
}

function addField(steps: Steps, signature: MessageSignature): void {
  const { names, headerForm, bodyForm, created, expires, identity } = signature;
  steps.add(
    `it covers ${shown([...new Set(names)].join(", "))}; canonical forms ${headerForm}/${bodyForm}; on behalf of ${shown(identity)}`,
    1,
  );
  const times = [
    created === undefined ? undefined : `made at ${time(created)}`,
    expires === undefined ? undefined : `valid until ${time(expires)}`,
  ];
  const told = times.filter((text) => text !== undefined);
  if (told.length > 0) steps.add(told.join(", "), 1);
}

function addKey(steps: Steps, { key }: Judgement, signature: MessageSignature | undefined): void {
  if (key === undefined || signature === undefined) return;
  const bits = key.bits === 0 ? "" : `, ${key.bits} bits`;
  steps.add(
    `key found at ${keyName(signature.selector, signature.domain)} (${shown(key.record.kind)}${bits}): ${shown(key.record.text)}`,
    1,
  );
}

function addHashes(steps: Steps, { body, cause }: Judgement, signature: MessageSignature): void {
  if (body === undefined) return;
  const signed = encodeBase64(signature.bodyHash);
  if (cause === "body-changed") steps.add(`body hash: ${body.hash ?? "none"}, signed was ${signed}`, 1);
  else {
    steps.add(`body hash: ${signed}, as it was signed`, 1);
    steps.add(cause === "verified" ? "header fields: as they were signed" : "header fields: the signature does not match them", 1);
  }
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
