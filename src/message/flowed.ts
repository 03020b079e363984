/**
 * Text laid out as format=flowed (RFC 3676): readers join lines that end in a space and wrap them to their window.
 *
 * Rules
 * 1. Lines are wrapped at 72 columns, so that each fits into 78 with its quote marks and its space (4.2).
 * 2. A space at the end of a line that was there before is taken off: it would join what the writer kept apart. `-- ` is the signature's and stays (4.3).
 * 3. A line that begins with a space or `From ` is stuffed with a space (4.4). Lines that begin with ">" are quotes, and stay them when wrapped (4.5).
 * 4. With DelSp the space of a wrapped line is deleted by the reader, so that a line may also be broken inside a word, between two characters (4.2).
 */

/** Columns of a line, its quote marks counted and the space that wraps it not. */
export const FLOWED_WIDTH = 72;
/** Columns that a quoted line is given at least, however deep it is quoted. */
const LEAST_WIDTH = 20;

/** The text with its long lines wrapped; lines are parted by CRLF. Any kind of line break is taken. */
export function flowText(text: string, delSp = false): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => flowLine(line, delSp))
    .join("\r\n");
}

function flowLine(line: string, delSp: boolean): string {
  let depth = 0;
  while (line[depth] === ">") depth++;
  const prefix = line.slice(0, depth);
  const rest = depth > 0 && line[depth] === " " ? line.slice(depth + 1) : line.slice(depth);
  if (rest === "-- ") return depth === 0 ? rest : `${prefix} ${rest}`;
  const width = Math.max(LEAST_WIDTH, FLOWED_WIDTH - depth - 1);
  // The space that wraps a line is the reader's to delete with DelSp: one that is the text's own stands before it.
  const wrapped = wrap(trimSpaces(rest), width, delSp).map((piece) => prefix + stuffed(piece, depth > 0));
  return wrapped.join(delSp ? " \r\n" : "\r\n");
}

function stuffed(piece: string, quoted: boolean): string {
  if (piece === "") return piece;
  return quoted || piece.startsWith(" ") || piece.startsWith("From ") || piece.startsWith(">") ? ` ${piece}` : piece;
}

function trimSpaces(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === " ") end--;
  return text.slice(0, end);
}

/** Pieces whose concatenation is the text. All but the last end in a space, or with `anywhere` wherever the width ends. */
function wrap(text: string, width: number, anywhere: boolean): string[] {
  if (text.length <= width) return [text];
  const pieces: string[] = [];
  let start = 0;
  while (text.length - start > width) {
    let space = start + width;
    while (space > start && text[space] !== " ") space--;
    const piece = text.slice(start, space + 1);
    // A piece of nothing but spaces would look like an empty paragraph, and "-- " like a signature.
    const good = space > start && piece !== "-- " && piece.trim() !== "";
    const end = good ? space + 1 : anywhere ? wholeCharacter(text, start + width) : text.indexOf(" ", start + width) + 1;
    if (end <= start || end >= text.length) break;
    pieces.push(text.slice(start, end));
    start = end;
  }
  pieces.push(text.slice(start));
  return pieces;
}

/** RFC 3676 4.2 leaves what a character is to the writer: none is parted from what belongs to it. */
function wholeCharacter(text: string, at: number): number {
  let end = at;
  while (end < text.length && isContinued(text, end)) end++;
  return end;
}

function isContinued(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  return (c >= 0xdc00 && c <= 0xdfff) || /\p{M}|\u200d|\ufe0f/u.test(text[at] as string) || text[at - 1] === "\u200d";
}
