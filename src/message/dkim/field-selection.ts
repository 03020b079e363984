/**
 * Which fields of a header section a signature covers (RFC 6376 5.4.2).
 *
 * Rules
 * 1. Of fields of one name the last is taken first; a name that is left over stands for nothing, and so keeps others from being added.
 * 2. A signature never covers its own field.
 * 3. Names are looked up once for all signatures of a message: what a stranger's h= asks for stays linear.
 */
import type { HeaderField, HeaderSection } from "../header-section.ts";

/** The fields of a header section, by name in lower case. */
export class FieldIndex {
  readonly #byName = new Map<string, HeaderField[]>();

  constructor(section: HeaderSection) {
    for (const field of section.fields) {
      const name = field.name.toLowerCase();
      const others = this.#byName.get(name);
      if (others === undefined) this.#byName.set(name, [field]);
      else others.push(field);
    }
  }

  /** Every field of this name (in lower case), from the top. */
  all(name: string): readonly HeaderField[] {
    return this.#byName.get(name) ?? [];
  }

  /** The fields that these names select, in their order; `own` is never among them. */
  select(names: readonly string[], own?: HeaderField): HeaderField[] {
    const left = new Map<string, number>();
    const selected: HeaderField[] = [];
    for (const name of names) {
      const fields = this.#byName.get(name);
      if (fields === undefined) continue;
      let next = left.get(name) ?? fields.length - 1;
      if (fields[next] === own) next--;
      const field = fields[next];
      if (field !== undefined) selected.push(field);
      left.set(name, next - 1);
    }
    return selected;
  }
}

/** Fields to sign, in order, and how many more of each name to sign than there are. */
export interface SigningName {
  /** In lower case. */
  readonly name: string;
  /** always: one more than there are, so that none can be added. present: the same where there is one. never: as many as there are. */
  readonly oversign: "always" | "present" | "never";
}

const always = ["from", "reply-to", "subject", "to", "cc"];
/** A relay may add these where they are missing (RFC 6409 8), but not a second one. */
const present = ["date", "message-id", "sender", "mime-version", "content-type", "content-transfer-encoding", "in-reply-to", "references"];
const never = [
  "content-id",
  "content-description",
  "resent-date",
  "resent-from",
  "resent-sender",
  "resent-to",
  "resent-cc",
  "resent-message-id",
  "list-id",
  "list-help",
  "list-unsubscribe",
  "list-unsubscribe-post",
  "list-subscribe",
  "list-post",
  "list-owner",
  "list-archive",
  "auto-submitted",
  "feedback-id",
];

const asNames = (names: readonly string[], oversign: SigningName["oversign"]): SigningName[] => names.map((name) => ({ name, oversign }));

/** What is signed where nothing else is asked for: RFC 6376 5.4.1, and what a reader acts on. */
export const SIGNED_NAMES: readonly SigningName[] = [
  ...asNames(always, "always"),
  ...asNames(present, "present"),
  ...asNames(never, "never"),
];

/** The names for h=, each as often as it is to stand there. */
export function namesToSign(index: FieldIndex, wanted: readonly SigningName[]): string[] {
  const names: string[] = [];
  for (const { name, oversign } of wanted) {
    const count = index.all(name).length;
    const extra = oversign === "always" || (oversign === "present" && count > 0) ? 1 : 0;
    for (let i = 0; i < count + extra; i++) names.push(name);
  }
  return names;
}
