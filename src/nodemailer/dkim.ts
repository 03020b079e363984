/**
 * DKIM signing by Nodemailer's options.
 *
 * Rules
 * 1. A bad key, or an option that would have to be ignored, is an error where it is given: nothing goes unsigned.
 * 2. Keys are read once for each set of options.
 */
import { createPrivateKey } from "node:crypto";
import { signedContent } from "../authentication/dkim-sign.ts";
import type { Content } from "../mail/content.ts";
import { SIGNED_NAMES, type SigningName } from "../message/dkim/field-selection.ts";
import { DkimKey } from "../message/dkim/key.ts";
import { DkimSigner } from "../message/dkim/signer.ts";
import { NodemailerError, unsupported } from "./errors.ts";
import type { DkimKeyOptions, DkimOptions } from "./transport-options.ts";

export type Sign = (content: Content) => Promise<Content>;

const known = new WeakMap<DkimOptions, Sign>();

/** Puts the signatures in front of a content. Throws a NodemailerError, ECONFIG, for a key that is none. */
export function signerOf(options: DkimOptions): Sign {
  const made = known.get(options) ?? makeSigner(options);
  known.set(options, made);
  return made;
}

function makeSigner(options: DkimOptions): Sign {
  if (options.hashAlgo !== undefined && options.hashAlgo !== "sha256")
    throw unsupported(`dkim.hashAlgo ${String(options.hashAlgo)}`, "sha256 is meant (RFC 8301)");
  let signer: DkimSigner;
  try {
    signer = new DkimSigner({ keys: keysOf(options).map(keyOf), names: namesOf(options) });
  } catch (cause) {
    if (cause instanceof NodemailerError) throw cause;
    throw new NodemailerError("ECONFIG", `dkim: ${cause instanceof Error ? cause.message : String(cause)}`, { command: "API", cause });
  }
  return (content) => signedContent(signer, content, { now: Date.now() });
}

function keysOf({ keys, domainName, keySelector, privateKey }: DkimOptions): readonly DkimKeyOptions[] {
  if (keys !== undefined) return Array.isArray(keys) ? keys : [keys as DkimKeyOptions];
  if (domainName === undefined || keySelector === undefined || privateKey === undefined) {
    throw new NodemailerError("ECONFIG", "dkim needs domainName, keySelector and privateKey", { command: "API" });
  }
  return [{ domainName, keySelector, privateKey }];
}

function keyOf({ domainName, keySelector, privateKey }: DkimKeyOptions): DkimKey {
  const pem =
    typeof privateKey === "string" ? privateKey : createPrivateKey(privateKey).export({ type: "pkcs8", format: "pem" }).toString();
  return new DkimKey({ domain: domainName, selector: keySelector, privateKey: pem });
}

function namesOf({ headerFieldNames, skipFields }: DkimOptions): readonly SigningName[] {
  const words = (text: string): string[] =>
    text
      .toLowerCase()
      .split(":")
      .map((word) => word.trim())
      .filter((word) => word !== "");
  const wanted: readonly SigningName[] =
    headerFieldNames === undefined ? SIGNED_NAMES : [...new Set(words(headerFieldNames))].map((name) => ({ name, oversign: "never" }));
  const skipped = new Set(words(skipFields ?? ""));
  return wanted.filter(({ name }) => !skipped.has(name));
}
