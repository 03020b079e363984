/**
 * The content as the server reads it: framed by DATA, or in the chunks of BDAT (RFC 3030 2).
 *
 * Rules
 * 1. Content is passed on as slices of what came in; it is never joined here.
 * 2. Content that is refused while it still comes is read to its end and dropped: it is never read as commands.
 * 3. The end is told one call after the octets before it, so that their pieces are taken, and perhaps refused, first.
 */
import type { Reply } from "../mail/reply.ts";
import type { Fifo } from "../util/fifo.ts";
import { DataFramer } from "./data-framer.ts";
import type { LineFramer } from "./line-framer.ts";
import type { ServerEvent } from "./server-events.ts";
import * as say from "./server-replies.ts";

/** Where content can end: behind one chunk of several, behind one that was out of turn, or altogether. */
export type ContentEnd = "chunk" | "dropped-chunk" | "content";

/** RFC 3030 2: a chunk's size; 2^53 and beyond is no size that anyone sends. */
const BDAT_DIGITS = 15;

export class ContentReader {
  readonly #lines: LineFramer;
  readonly #events: Fifo<ServerEvent>;
  readonly #limit: number;
  #via: "DATA" | "BDAT" = "DATA";
  #size = 0;
  #refusal: Reply | undefined;
  /** Finds the end of DATA; `undefined` while chunks are read. */
  #data: DataFramer | undefined;
  readonly #pieces: Uint8Array[] = [];
  #chunkLeft = 0;
  #chunkIsLast = false;
  /** Answers the chunk that is being dropped. */
  #dropping: Reply | undefined;
  #end: ContentEnd | undefined;

  /** `lines` gives the octets, `events` takes the pieces; `limit`: octets of content. */
  constructor(lines: LineFramer, events: Fifo<ServerEvent>, limit: number) {
    this.#lines = lines;
    this.#events = events;
    this.#limit = limit;
  }

  get via(): "DATA" | "BDAT" {
    return this.#via;
  }

  /** Octets of content so far, dropped ones included; not those of a chunk out of turn. */
  get size(): number {
    return this.#size;
  }

  /** Set once content is refused while it still comes: this is answered at its end. */
  get refusal(): Reply | undefined {
    return this.#refusal;
  }

  /** The command that asks to send content; it is read once `begin` is called. */
  propose(via: "DATA" | "BDAT"): void {
    this.#via = via;
  }

  /** Content comes from here on; `refusal`: it is only to be dropped. */
  begin(refusal?: Reply): void {
    this.#size = 0;
    this.#refusal = refusal;
    if (this.#via === "DATA") this.#data = new DataFramer();
  }

  /** Reads the argument of BDAT; `false` where it is none, and then nobody knows what follows. */
  readChunkSize(argument: string): boolean {
    const [, digits, last] = /^(\d+)( +LAST)?$/i.exec(argument) ?? [];
    if (digits === undefined || digits.length > BDAT_DIGITS) return false;
    this.#chunkLeft = Number(digits);
    this.#chunkIsLast = last !== undefined;
    return true;
  }

  /** The chunk whose size was read is out of turn: it follows all the same, and `answer` is its reply. */
  dropChunk(answer: Reply): void {
    this.#dropping = answer;
  }

  /** The reply to the chunk that was dropped. */
  takeDropped(): Reply | undefined {
    const answer = this.#dropping;
    this.#dropping = undefined;
    this.#chunkIsLast = false;
    return answer;
  }

  /** No more of it is told; the first to refuse it gives the reply. */
  refuse(answer: Reply): void {
    this.#refusal ??= answer;
  }

  /** The transaction is over. */
  clear(): void {
    this.#refusal = undefined;
    this.#chunkLeft = 0;
    this.#chunkIsLast = false;
  }

  /** Reads on: "more" where something was read, "starved" until bytes come, or the end that was reached the call before. */
  read(): "more" | "starved" | ContentEnd {
    const end = this.#end;
    if (end === undefined) return this.#data === undefined ? this.#readChunk() : this.#readData(this.#data);
    this.#end = undefined;
    return end;
  }

  #readData(data: DataFramer): "more" | "starved" {
    const raw = this.#lines.takeRaw();
    if (raw === undefined) return "starved";
    const used = data.push(raw, this.#pieces);
    for (const piece of this.#pieces) this.#tell(piece);
    this.#pieces.length = 0;
    if (data.done) {
      this.#lines.putBack(raw.subarray(used));
      this.#data = undefined;
      this.#end = "content";
    }
    return "more";
  }

  #readChunk(): "more" | "starved" {
    if (this.#chunkLeft > 0) {
      const raw = this.#lines.takeRaw();
      if (raw === undefined) return "starved";
      const mine = raw.length > this.#chunkLeft ? raw.subarray(0, this.#chunkLeft) : raw;
      if (mine.length < raw.length) this.#lines.putBack(raw.subarray(mine.length));
      this.#chunkLeft -= mine.length;
      if (this.#dropping === undefined) this.#tell(mine);
    }
    if (this.#chunkLeft === 0) this.#end = this.#dropping !== undefined ? "dropped-chunk" : this.#chunkIsLast ? "content" : "chunk";
    return "more";
  }

  #tell(piece: Uint8Array): void {
    this.#size += piece.length;
    if (this.#size > this.#limit) this.#refusal ??= say.tooBig(this.#limit);
    if (this.#refusal === undefined) this.#events.push({ type: "content", chunk: piece });
  }
}
