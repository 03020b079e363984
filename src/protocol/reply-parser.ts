/**
 * Reads replies from the bytes of a server (RFC 5321 4.2).
 *
 * Rules
 * 1. A reply is whole or it is not there yet, wherever the bytes are cut.
 * 2. Lenient in line ends and text, since a client can only lose by being strict there; strict in codes, since a wrong
 *    one could make a refusal look like a yes.
 * 3. Lines, and lines of a reply, are limited.
 * 4. Replies that came before a fault count, however the bytes were cut: a 250 behind which garbage follows is a 250.
 * 5. Controls in the text become spaces: a reply ends up in logs, terminals and bounces.
 */
import { type Reply, replyFromLines } from "../mail/reply.ts";
import { CR, concat, fromLatin1, fromUtf8, LF } from "../util/bytes.ts";

/** RFC 5321 4.5.3.1.5 says 512; servers that write more are met. */
export const REPLY_LINE_LIMIT = 4096;
export const REPLY_LINES_LIMIT = 256;

/** The server does not speak SMTP. */
export class MalformedReply extends Error {
  override readonly name = "MalformedReply";
}

export class ReplyParser {
  #partial: Uint8Array[] = [];
  #partialSize = 0;
  #code: number | undefined;
  #lines: string[] = [];
  #fault: MalformedReply | undefined;

  /** No part of an unfinished reply has been read. */
  get idle(): boolean {
    return this.#partialSize === 0 && this.#code === undefined && this.#fault === undefined;
  }

  /** Set once something came that is no reply: nothing is read from there on and the session cannot go on. */
  get fault(): MalformedReply | undefined {
    return this.#fault;
  }

  /** The replies that end in this chunk, in order, up to a fault. */
  push(chunk: Uint8Array): Reply[] {
    const replies: Reply[] = [];
    if (this.#fault !== undefined) return replies;
    try {
      let start = 0;
      for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, start)) {
        const reply = this.#line(this.#whole(chunk.subarray(start, lf)));
        if (reply !== undefined) replies.push(reply);
        start = lf + 1;
      }
      if (start < chunk.length) this.#keep(chunk.slice(start));
    } catch (error) {
      if (!(error instanceof MalformedReply)) throw error;
      this.#fault = error;
      this.#partial = [];
    }
    return replies;
  }

  #keep(rest: Uint8Array): void {
    this.#partial.push(rest);
    this.#partialSize += rest.length;
    if (this.#partialSize > REPLY_LINE_LIMIT) throw new MalformedReply(`reply line longer than ${REPLY_LINE_LIMIT} octets`);
    if (this.#partial.length > 64) this.#partial = [concat(this.#partial)];
  }

  #whole(end: Uint8Array): Uint8Array {
    if (this.#partialSize === 0) return end;
    const line = concat([...this.#partial, end]);
    this.#partial = [];
    this.#partialSize = 0;
    return line;
  }

  #line(bytes: Uint8Array): Reply | undefined {
    if (bytes.length > REPLY_LINE_LIMIT) throw new MalformedReply(`reply line longer than ${REPLY_LINE_LIMIT} octets`);
    const text = textOf(bytes);
    const [, digits, mark, rest] = /^([2-5]\d\d)(?:([ -])(.*))?$/s.exec(text) ?? [];
    if (digits === undefined) throw new MalformedReply(`not an SMTP reply: ${JSON.stringify(text.slice(0, 80))}`);
    const code = Number(digits);
    if (this.#code !== undefined && this.#code !== code) throw new MalformedReply(`reply changes its code from ${this.#code} to ${code}`);
    this.#code = code;
    this.#lines.push((rest ?? "").replace(/[\x00-\x1f\x7f-\x9f]/g, " "));
    if (this.#lines.length > REPLY_LINES_LIMIT) throw new MalformedReply(`reply has more than ${REPLY_LINES_LIMIT} lines`);
    if (mark === "-") return undefined;
    const reply = replyFromLines(code, this.#lines);
    this.#code = undefined;
    this.#lines = [];
    return reply;
  }
}

function textOf(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === CR) end--;
  const line = bytes.subarray(0, end);
  return fromUtf8(line) ?? fromLatin1(line);
}
