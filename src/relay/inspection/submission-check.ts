/**
 * A submission on its way in: whose From it bears, and the signature it gets.
 *
 * Rules
 * 1. Every address in From is the account's own, or the message is refused or rewritten (RFC 6409 6.1, 8.1): who logged in may not write in
 *    the name of another.
 *    A message without From is written in nobody's name: it goes as it came, and there is no domain that could sign it.
 * 2. Where there are keys for the author's domain, the message is signed or not taken: never passed on unsigned.
 * 3. What is signed is what is kept, after all mending.
 */
import { formatMailbox } from "../../mail/mailbox.ts";
import { reply } from "../../mail/reply.ts";
import { type NamedMailbox, parseAddressList } from "../../message/address.ts";
import { DkimContentError, type DkimSigner, type DkimSigning } from "../../message/dkim/signer.ts";
import { addressField, needsUtf8 } from "../../message/fields.ts";
import { fieldText, type HeaderSection, readHeaderSection } from "../../message/header-section.ts";
import { type Arrival, type Inspection, type Refusal, refuse } from "../../server/policy.ts";
import { concat, utf8 } from "../../util/bytes.ts";
import type { Directory } from "../policy.ts";
import type { Signers } from "../signers.ts";

/** What is done with a From that is not the account's. */
export type FromRule = "owned" | "rewrite" | "allow";

export interface SubmissionCheckOptions {
  readonly from: FromRule;
  readonly directory: Pick<Directory, "owns">;
  readonly signers: Signers;
}

export class SubmissionCheck implements Inspection {
  readonly #options: SubmissionCheckOptions;
  readonly #arrival: Arrival;
  #signer: DkimSigner | undefined;
  #signing: DkimSigning | undefined;

  constructor(arrival: Arrival, options: SubmissionCheckOptions) {
    this.#arrival = arrival;
    this.#options = options;
  }

  /** There only where the message is signed. */
  get again(): (() => Inspection) | undefined {
    const signer = this.#signer;
    return signer === undefined ? undefined : () => new Signature(signer, this.#arrival.now);
  }

  async header(section: HeaderSection, kept: readonly Uint8Array[]): Promise<readonly Uint8Array[] | Refusal> {
    const authors = authorsOf(section);
    if (this.#options.from === "allow") return this.#sign(kept, authors.ok ? authors.mailboxes : []);
    if (!authors.ok) return refuse(reply(550, "5.6.0", `${authors.why} (RFC 5322 3.6.2)`), authors.why);
    const account = this.#arrival.peer.account ?? "";
    const owned = await Promise.all(authors.mailboxes.map(({ mailbox }) => this.#options.directory.owns(account, mailbox)));
    const other = authors.mailboxes[owned.indexOf(false)];
    if (other === undefined) return this.#sign(kept, authors.mailboxes);
    const mine = this.#arrival.mail.reversePath;
    if (this.#options.from === "rewrite" && mine !== null) {
      const author: NamedMailbox = { ...(other.name === undefined ? {} : { name: other.name }), mailbox: mine };
      return this.#sign(rewritten(kept, author, authors.mailboxes), [author]);
    }
    const address = formatMailbox(other.mailbox);
    const text = `This account may not write as <${address}>: From must be an address of its own`;
    return refuse(reply(550, "5.7.1", text), `${account} does not own <${address}> in From: add it with \`postrider user add --address\``);
  }

  body(chunk: Uint8Array): void {
    this.#signing?.push(chunk);
  }

  async end(): Promise<readonly Uint8Array[] | Refusal> {
    return signatureOf(this.#signing);
  }

  #sign(kept: readonly Uint8Array[], [author]: readonly NamedMailbox[]): readonly Uint8Array[] {
    this.#signer = author === undefined ? undefined : this.#options.signers.for(author.mailbox.domain);
    this.#signing = this.#signer?.start({ now: this.#arrival.now });
    for (const chunk of kept) this.#signing?.push(chunk);
    return kept;
  }
}

/** Signs what was encoded anew. */
class Signature implements Inspection {
  readonly #signing: DkimSigning;

  constructor(signer: DkimSigner, now: number) {
    this.#signing = signer.start({ now });
  }

  header(_section: HeaderSection, kept: readonly Uint8Array[]): readonly Uint8Array[] {
    return kept;
  }

  body(chunk: Uint8Array): void {
    this.#signing.push(chunk);
  }

  async end(): Promise<readonly Uint8Array[] | Refusal> {
    return signatureOf(this.#signing);
  }
}

function signatureOf(signing: DkimSigning | undefined): readonly Uint8Array[] | Refusal {
  if (signing === undefined) return [];
  try {
    return [signing.finish()];
  } catch (error) {
    if (!(error instanceof DkimContentError)) throw error;
    return refuse(reply(550, "5.6.0", `This message cannot be signed (DKIM): ${error.message}`), error.message);
  }
}

type Authors =
  | { readonly ok: true; readonly mailboxes: readonly NamedMailbox[] }
  /** A sentence. */
  | { readonly ok: false; readonly why: string };

function authorsOf(section: HeaderSection): Authors {
  const fields = section.all("from");
  if (fields.length === 0) return { ok: true, mailboxes: [] };
  if (fields.length > 1) return { ok: false, why: "The message has several From fields" };
  const list = parseAddressList(fieldText(fields[0] as (typeof fields)[number]));
  if (!list.ok) return { ok: false, why: `The From field cannot be read: ${list.error}` };
  if (list.addresses.length === 0) return { ok: false, why: "The From field names nobody" };
  return { ok: true, mailboxes: list.addresses };
}

/** The header with From as the sender's own address; answers go to whoever stood there, unless Reply-To says more. */
function rewritten(kept: readonly Uint8Array[], author: NamedMailbox, before: readonly NamedMailbox[]): readonly Uint8Array[] {
  const whole = concat(
    [...kept],
    kept.reduce((size, chunk) => size + chunk.length, 0),
  );
  const { section } = readHeaderSection(whole);
  const style = [author, ...before].some(({ mailbox }) => needsUtf8(mailbox)) ? "utf8" : "ascii";
  const fields = [addressField("From", [author], style)];
  if (!section.has("reply-to")) fields.push(addressField("Reply-To", before, style));
  return [...section.without(["from"]), utf8(fields.join("")), whole.subarray(section.bytes.length)];
}
