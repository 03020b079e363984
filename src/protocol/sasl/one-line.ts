/** What the other side said, as it may stand in an error: one line, printable, and not long. */

/** Characters of it. */
export const LINE_LIMIT = 200;

export function oneLine(text: string): string {
  const plain = text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  return plain.length > LINE_LIMIT ? `${plain.slice(0, LINE_LIMIT)}...` : plain;
}
