/**
 * What is wrong with a configuration, as values.
 *
 * Rules
 * 1. A problem names the key as it would be written in the file, and the line where that is known.
 * 2. It says what was expected; what the file says is quoted, shortened.
 */

interface At {
  /** `domains.local[0]`, `route[1].to`; "" for the file as a whole. */
  readonly key: string;
  /** From 1. */
  readonly line?: number;
}

export type ConfigProblem =
  | (At & { readonly kind: "syntax"; readonly column: number; readonly text: string })
  | (At & { readonly kind: "unknown-key"; readonly suggestion?: string })
  | (At & { readonly kind: "value"; readonly expected: string; readonly got: string })
  /** Values that are good by themselves, but not together. */
  | (At & { readonly kind: "conflict"; readonly text: string })
  /** The file itself, or one that it names, cannot be read or used. */
  | (At & { readonly kind: "file"; readonly text: string });

/** `domains.local[0]` for `["domains", "local", 0]`. */
export function keyText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else {
      const name = /^[\w-]+$/.test(String(part)) ? String(part) : JSON.stringify(part);
      text += text === "" ? name : `.${name}`;
    }
  }
  return text;
}

const QUOTED_LIMIT = 60;

/** The value as a person would write it, shortened. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (value instanceof Date) return "a date";
  if (typeof value === "object" && value !== null) return "a table";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > QUOTED_LIMIT ? `${text.slice(0, QUOTED_LIMIT)}...` : text;
}

/** The known key that was probably meant: the same name elsewhere, or one with few letters changed. */
export function suggestKey(key: string, known: readonly string[]): string | undefined {
  const last = (text: string): string => text.slice(text.lastIndexOf(".") + 1);
  const name = normal(last(key));
  const table = key.slice(0, -last(key).length);
  let best: string | undefined;
  let least = Math.min(3, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    const away = candidate.slice(0, -last(candidate).length) === table ? 0 : 0.5;
    const distance = changes(name, normal(last(candidate))) + away;
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

function normal(name: string): string {
  return name.slice(0, 40).toLowerCase().replaceAll("-", "_");
}

/** Levenshtein's distance; both texts are short. */
function changes(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] as number) + 1, (row[j] as number) + 1, (row[j - 1] as number) + same));
    }
    row = next;
  }
  return row[b.length] as number;
}
