/**
 * On which line of a TOML text each key stands; smol-toml does not say.
 *
 * Rules
 * 1. Only for telling people: it reads texts that smol-toml took already, and what it cannot tell it leaves out.
 * 2. Keys of inline tables and elements of lists have the line of the key that holds them.
 */

/** Lines from 1, by key as in `route[1].to`. */
export type KeyLines = ReadonlyMap<string, number>;

export function keyLines(text: string): KeyLines {
  const lines = new Map<string, number>();
  const arrays = new Map<string, number>();
  let table = "";
  let inside: Value = { depth: 0, quote: "" };
  for (const [i, line] of text.split("\n").entries()) {
    if (inside.depth > 0 || inside.quote !== "") {
      inside = readValue(line, inside);
      continue;
    }
    const [, open, header] = /^\s*(\[\[?)\s*([^\]]+?)\s*\]/.exec(line) ?? [];
    if (header !== undefined) {
      table = plainKey(header);
      if (open === "[[") {
        const count = arrays.get(table) ?? 0;
        arrays.set(table, count + 1);
        table = `${table}[${count}]`;
      }
      lines.set(table, i + 1);
      continue;
    }
    const [whole, key] = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(line) ?? [];
    if (key === undefined || whole === undefined) continue;
    lines.set(table === "" ? plainKey(key) : `${table}.${plainKey(key)}`, i + 1);
    inside = readValue(line.slice(whole.length), inside);
  }
  return lines;
}

/** The line of a key, or of what holds it. */
export function lineOf(lines: KeyLines, key: string): number | undefined {
  for (let at = key; at !== ""; at = at.replace(/(?:\.[^.[]+|\[\d+\]|^[^.[]+)$/, "")) {
    const line = lines.get(at);
    if (line !== undefined) return line;
    if (!/[.[]/.test(at)) return undefined;
  }
  return undefined;
}

function plainKey(key: string): string {
  return key
    .split(".")
    .map((part) => part.trim().replace(/^(["'])([\w-]+)\1$/, "$2"))
    .join(".");
}

/** What is still open at the end of a line: brackets, and a string of several lines. */
interface Value {
  readonly depth: number;
  readonly quote: string;
}

function readValue(line: string, before: Value): Value {
  let { depth, quote } = before;
  for (let i = 0; i < line.length; i++) {
    if (quote !== "") {
      if (line[i] === "\\" && quote.startsWith('"')) i++;
      else if (line.startsWith(quote, i)) {
        i += quote.length - 1;
        quote = "";
      }
      continue;
    }
    const c = line[i] as string;
    if (c === "#") break;
    if (c === '"' || c === "'") {
      quote = line.startsWith(c.repeat(3), i) ? c.repeat(3) : c;
      i += quote.length - 1;
    } else if (c === "[" || c === "{") depth++;
    else if (c === "]" || c === "}") depth--;
  }
  return { depth: Math.max(0, depth), quote: quote.length === 3 ? quote : "" };
}
