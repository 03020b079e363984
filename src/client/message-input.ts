/**
 * What a program gives to be sent, made into an envelope and content.
 *
 * Rules
 * 1. Everything is checked before a connection is asked for: a message that cannot be made throws, and nothing was written.
 * 2. It is written as the server that it goes to takes it: what was written for one that offers the same is not written anew.
 * 3. Time, Message-ID and boundary are drawn once: each attempt sends the same message.
 */
import type { ContentFacts } from "../mail/content.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { newMessageId } from "../mail/message.ts";
import type { Composed, ComposeOptions } from "../message/compose.ts";
import type { Accepted, AddressInputs, Draft, RawDraft } from "../message/draft.ts";
import type { DraftContent } from "../message/draft-content.ts";
import { contentFacts } from "../message/facts.ts";
import { domainOfAddress } from "./client-input.ts";
import { readTransfer, type Transfer, type TransferInput } from "./transfer-input.ts";

/** RFC 3461: asks the servers on the way to report. */
export interface DsnInput {
  readonly notify?: "never" | readonly ("success" | "failure" | "delay")[];
  /** What a failure report brings back. */
  readonly ret?: "full" | "headers";
  /** Comes back in reports; printable ASCII, at most 100 octets. */
  readonly envelopeId?: string;
}

/** A draft, or a message that is there already. */
export type ClientMessage = (Draft | RawDraft) & { readonly dsn?: DsnInput } & TransferInput;

export interface MadeMessage {
  readonly from: Mailbox | null;
  readonly to: readonly Mailbox[];
  readonly dsn: DsnInput | undefined;
  readonly transfer: Transfer;
  /** With its angle brackets; "" where there is none. */
  readonly messageId: string;
  /** It can be written again for another attempt: no stream in it is used up. */
  readonly replayable: boolean;
  /** The message as octets, for a server that takes this much. */
  write(accept: Accepted): Written;
}

export interface Written {
  readonly content: DraftContent;
  readonly facts: ContentFacts;
}

/** A third of the client's code: who goes step by step with a message of their own has no need of it. */
let composer: Promise<typeof import("../message/compose.ts")> | undefined;

/** `accept`: what the server is thought to take. Rejects with a ComposeError, or a TypeError for times and a priority that make no sense. */
export async function messageFor(message: ClientMessage, accept: Accepted = {}): Promise<MadeMessage> {
  composer ??= import("../message/compose.ts");
  const { compose } = await composer;
  const now = Date.now();
  const transfer = readTransfer(message, now);
  const options: ComposeOptions = {
    now,
    offset: -new Date(now).getTimezoneOffset(),
    messageId: `${newMessageId(now)}.${newMessageId(now).slice(9)}@${domainFor(message)}`,
    boundary: newMessageId(now),
  };
  const composed = (wanted: Accepted): Composed => {
    const made = compose(message, { ...options, accept: wanted });
    // BDAT has to say beforehand how much comes: what nobody knows the size of goes by DATA, as text.
    const unsized = made.facts.binary === true && made.facts.size === undefined;
    return unsized ? compose(message, { ...options, accept: { ...wanted, binaryMime: false } }) : made;
  };
  let written = { accept, composed: composed(accept) };
  const { from, to, messageId, replayable } = written.composed;
  return {
    from,
    to,
    dsn: message.dsn,
    transfer,
    messageId: messageId === undefined ? "" : `<${messageId}>`,
    replayable,
    write: (wanted) => {
      if (!("raw" in message) && !isSame(written.accept, wanted)) {
        written = { accept: wanted, composed: composed(wanted) };
      }
      return { content: written.composed.content, facts: factsOf(written.composed, wanted) };
    },
  };
}

const isSame = (a: Accepted, b: Accepted): boolean =>
  (a.eightBitMime === true) === (b.eightBitMime === true) && (a.binaryMime === true) === (b.binaryMime === true);

/** What the composer knows; scanned where it does not. */
function factsOf({ content, facts }: Composed, { eightBitMime = false }: Accepted): ContentFacts {
  const { eightBit, binary, smtpUtf8, size = 0 } = facts;
  if (content.kind === "memory" && (smtpUtf8 || eightBit === undefined)) return contentFacts(content.chunks);
  // Of a stream nothing is known before it was read: it is declared as much as the server takes.
  return { size, eightBit: eightBit ?? eightBitMime, eightBitHeader: smtpUtf8, binary: binary ?? false, longestLine: 0 };
}

/** The domain of a Message-ID: the sender's, as nobody else makes ids there. */
function domainFor(message: ClientMessage): string {
  return ("raw" in message ? undefined : domainOfAddress(firstOf(message.from))) ?? "localhost";
}

function firstOf(inputs: AddressInputs): string {
  const first = Array.isArray(inputs) ? inputs[0] : inputs;
  return typeof first === "string" ? first : ((first as { readonly address?: string } | undefined)?.address ?? "");
}
