/**
 * Verifies the signatures of a message: DKIM (RFC 6376) and the ARC chain (RFC 8617), with their keys out of DNS.
 *
 * Rules
 * 1. The message is read once for both. Key look-ups begin when the header section is whole, and go on while the body comes.
 * 2. The same key is asked for once, and none for a signature that is lost without it. That is at most 10 names for DKIM and 100 for ARC.
 * 3. A look-up that throws has failed: temperror, never a pass.
 */
import { type Content, readContent } from "../mail/content.ts";
import type { ArcChain } from "../message/dkim/arc-set.ts";
import { type ArcResult, judgeArc } from "../message/dkim/arc-verify.ts";
import type { Canonicalization } from "../message/dkim/canonical-body.ts";
import { keyName, type TxtAnswer } from "../message/dkim/key-record.ts";
import type { MessageSignature, ReadField, Signature } from "../message/dkim/signature-field.ts";
import { type SignedHeader, type SignedMessage, SignedMessageReader } from "../message/dkim/signed-message.ts";
import { type Judgement, judgeEarly, judgeMessageSignature } from "../message/dkim/verify.ts";
import type { CheckDns } from "./dns.ts";

/** What was found about one DKIM-Signature field. */
export interface DkimResult extends Judgement {
  /** d=, as written; absent where the field has none that can be read. */
  readonly domain: string | undefined;
  readonly selector: string | undefined;
  readonly algorithm: string | undefined;
  /** What else the field says; absent where it could not be used. */
  readonly signature: MessageSignature | undefined;
  /** The key has t=y: the domain is trying DKIM out, a failure counts as no signature (RFC 6376 3.6.1). */
  readonly testing: boolean;
  /** l=: what of the canonical body is signed, in octets; whoever added the rest is not known. */
  readonly bodyLength: { readonly signed: number; readonly total: number } | undefined;
  /** Fields of this name that stand above the signed ones: anyone may have added them (RFC 6376 8.15). */
  readonly unsignedFields: readonly string[];
}

export interface DkimVerification {
  /** From the top of the message. Empty: the message is not signed (`dkim=none`). */
  readonly results: readonly DkimResult[];
  /** DKIM-Signature fields that were not looked at because there were too many. */
  readonly skipped: number;
}

export interface SignatureVerification {
  readonly message: SignedMessage;
  readonly dkim: DkimVerification;
  readonly arc: ArcResult;
}

export interface SignatureOptions {
  readonly dns: Pick<CheckDns, "txt">;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** A form of the body to hash in any case: `relaxed` where the message may be sealed afterwards. */
  readonly form?: Canonicalization;
}

/** Verifies a message that comes in chunks. */
export class SignatureCheck {
  readonly #now: number;
  readonly #keys: KeyLookup;
  readonly #reader: SignedMessageReader;
  #asked = false;

  constructor(options: SignatureOptions) {
    this.#now = options.now;
    this.#keys = new KeyLookup(options.dns);
    this.#reader = new SignedMessageReader(options.form === undefined ? {} : { form: options.form });
  }

  /** The next chunk. It must stay as it is until the header section is whole. */
  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    if (!this.#asked && this.#reader.header !== undefined) this.#ask(this.#reader.header);
  }

  /** The message has ended. Never rejects for anything that a message or DNS may do. */
  async finish(): Promise<SignatureVerification> {
    const message = this.#reader.finish();
    if (!this.#asked) this.#ask(message);
    const answers = await this.#keys.all();
    const answerFor = (signature: Signature): TxtAnswer => answers.get(nameOf(signature)) ?? NOT_ASKED;
    const results = message.dkim.map((read) => dkimResult(read, message, answerFor, this.#now));
    return { message, dkim: { results, skipped: message.skipped }, arc: judgeArc(message, answerFor, this.#now) };
  }

  #ask({ dkim, arc }: SignedHeader): void {
    this.#asked = true;
    for (const read of [...dkim, ...arcSignatures(arc)]) {
      if (read.ok && judgeEarly(read.value, this.#now) === undefined) this.#keys.ask(read.value);
    }
  }
}

const NOT_ASKED: TxtAnswer = { kind: "failed", why: "it was not asked" };

/** Verifies the signatures of a whole message. */
export async function verifySignatures(content: Content, options: SignatureOptions): Promise<SignatureVerification> {
  const check = new SignatureCheck(options);
  if (content.kind === "memory") for (const chunk of content.chunks) check.push(chunk);
  else for await (const chunk of readContent(content)) check.push(chunk);
  return check.finish();
}

function arcSignatures(arc: ArcChain): readonly ReadField<Signature>[] {
  return arc.kind === "sets" && !arc.ended ? arc.sets.flatMap((set) => [set.seal, set.message]) : [];
}

function nameOf({ selector, domain }: Signature): string {
  return keyName(selector, domain);
}

/** Asks for each key once. */
class KeyLookup {
  readonly #dns: Pick<CheckDns, "txt">;
  readonly #asked = new Map<string, Promise<TxtAnswer>>();

  constructor(dns: Pick<CheckDns, "txt">) {
    this.#dns = dns;
  }

  ask(signature: Signature): void {
    const name = nameOf(signature);
    if (!this.#asked.has(name)) this.#asked.set(name, this.#answer(name));
  }

  async all(): Promise<ReadonlyMap<string, TxtAnswer>> {
    const answers = new Map<string, TxtAnswer>();
    for (const [name, answer] of this.#asked) answers.set(name, await answer);
    return answers;
  }

  async #answer(name: string): Promise<TxtAnswer> {
    try {
      return await this.#dns.txt(name);
    } catch (error) {
      return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
    }
  }
}

function dkimResult(
  read: ReadField<MessageSignature>,
  message: SignedMessage,
  answerFor: (signature: Signature) => TxtAnswer,
  now: number,
): DkimResult {
  if (!read.ok) {
    const { verdict, why, domain, selector, algorithm } = read.value;
    const judgement: Judgement = { verdict, cause: "unusable-field", reason: why, key: undefined, body: undefined };
    return { ...judgement, domain, selector, algorithm, signature: undefined, testing: false, bodyLength: undefined, unsignedFields: [] };
  }
  const signature = read.value;
  const judgement = judgeMessageSignature(signature, message, answerFor(signature), now);
  const { length, domain, selector, algorithm } = signature;
  return {
    ...judgement,
    domain,
    selector,
    algorithm,
    signature,
    testing: judgement.key?.record.testing ?? false,
    bodyLength: length === undefined || judgement.body === undefined ? undefined : { signed: length, total: judgement.body.size },
    unsignedFields: unsignedFields(signature, message),
  };
}

/** Names of h= of which the message has more fields than are signed. */
function unsignedFields({ names }: MessageSignature, { index }: SignedMessage): string[] {
  const signed = new Map<string, number>();
  for (const name of names) signed.set(name, (signed.get(name) ?? 0) + 1);
  const more = [...signed].filter(([name, count]) => name !== "dkim-signature" && index.all(name).length > count);
  return more.map(([name]) => name);
}
