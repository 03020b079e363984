/**
 * The messages of the load: each tells who it is, and what it must hold.
 *
 * Rules
 * 1. A message's octets follow from its id and size, so that whoever meets it can tell whether it is whole.
 * 2. Small and large ones are mixed: what is above the threshold has a file of its own.
 */

/** Octets; every tenth message or so goes to a file. */
const sizes = [500, 3000, 9000, 700, 40_000, 2000, 1200, 300_000, 5000, 800, 20_000, 600_000, 4000];

export function sizeOf(n: number): number {
  return sizes[n % sizes.length] as number;
}

/** From the first field on. */
export function contentOf(id: string, size: number): Buffer {
  const header = `From: <ann@load.test>\r\nTo: <bob@crash.test>\r\nSubject: ${id}\r\nX-Crash-Id: ${id}\r\nX-Crash-Size: ${size}\r\n\r\n`;
  const lines = [header];
  for (let length = header.length, n = 0; length < size; n++) {
    const line = `${n % 7 === 3 ? "." : ""}${id} line ${n} ${"x".repeat(n % 50)}\r\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join(""), "latin1");
}

export interface Seen {
  readonly id: string;
  readonly whole: boolean;
}

/** Which message it is; `undefined` where it is none of ours. What servers put in front is left aside. */
export function recognize(content: Buffer): Seen | undefined {
  const head = content.subarray(0, 4096).toString("latin1");
  const id = /^X-Crash-Id: (\S+)\r$/m.exec(head)?.[1];
  const size = /^X-Crash-Size: (\d+)\r$/m.exec(head)?.[1];
  if (id === undefined || size === undefined) return undefined;
  const expected = contentOf(id, Number(size));
  return { id, whole: content.length >= expected.length && content.subarray(content.length - expected.length).equals(expected) };
}
