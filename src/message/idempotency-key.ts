/**
 * The field Idempotency-Key of a submission: a name that its sender gives the message, so that sending it again queues it once.
 *
 * Rules
 * 1. One field, printable ASCII, at most IDEMPOTENCY_KEY_LIMIT octets once unfolded and trimmed. What is anything else is refused, never ignored:
 *    who sends a key relies on it.
 * 2. It is between the client and this server: it is taken out of what is kept (message/submission.ts).
 */
import { fieldText, type HeaderSection } from "./header-section.ts";

export const IDEMPOTENCY_KEY = "Idempotency-Key";
/** Octets. */
export const IDEMPOTENCY_KEY_LIMIT = 255;

/** What is wrong with a key, as the end of a sentence that begins with the field's name; `undefined` where nothing is. */
export function idempotencyKeyProblem(key: string): string | undefined {
  if (key === "") return "is empty";
  if (key.length > IDEMPOTENCY_KEY_LIMIT) return `is longer than ${IDEMPOTENCY_KEY_LIMIT} octets`;
  return /^[\x20-\x7e]+$/.test(key) ? undefined : "holds something else than printable ASCII";
}

type FoundKey =
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly key: string }
  /** `why` is a sentence without its stop. */
  | { readonly kind: "wrong"; readonly why: string };

export function readIdempotencyKey(section: HeaderSection): FoundKey {
  const field = section.find(IDEMPOTENCY_KEY);
  if (field === undefined) return { kind: "none" };
  if (section.count(IDEMPOTENCY_KEY) > 1) return { kind: "wrong", why: `There is more than one ${IDEMPOTENCY_KEY}` };
  const key = fieldText(field);
  const problem = idempotencyKeyProblem(key);
  return problem === undefined ? { kind: "key", key } : { kind: "wrong", why: `${IDEMPOTENCY_KEY} ${problem}` };
}
