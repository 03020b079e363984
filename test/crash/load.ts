/**
 * The load: several connections that send message after message, and know which were accepted.
 *
 * Rules
 * 1. A message counts as accepted once all of its 250 is here, and not before.
 * 2. It ends when the connections are lost, or when there is nothing more to send.
 */
import { connect, type Socket } from "node:net";
import { contentOf, sizeOf } from "./messages.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** At most so many messages. */
  readonly messages: number;
  /** Ids begin with it. */
  readonly prefix: string;
  /** Called with the count after each acceptance. */
  readonly onAccepted?: (count: number) => void;
}

export interface LoadResult {
  /** By our ids, in their order. */
  readonly accepted: readonly string[];
  readonly tried: readonly string[];
  /** Replies to messages that were not 250. */
  readonly refusals: readonly string[];
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const accepted: string[] = [];
  const tried: string[] = [];
  const refusals: string[] = [];
  let next = 0;
  const one = async (): Promise<void> => {
    const talk = new Talk(connect(options.port, "127.0.0.1"));
    try {
      await talk.reply();
      await talk.say("EHLO load.test");
      while (next < options.messages) {
        const n = next++;
        const id = `${options.prefix}-${n}`;
        tried.push(id);
        const answer = await send(talk, id, sizeOf(n));
        if (answer.startsWith("250")) {
          accepted.push(id);
          options.onAccepted?.(accepted.length);
        } else refusals.push(answer);
      }
      await talk.say("QUIT");
    } catch {
      // Lost: what was not answered is not accepted.
    } finally {
      talk.end();
    }
  };
  await Promise.all(Array.from({ length: options.connections }, one));
  return { accepted, tried, refusals };
}

/** The reply that decided. */
async function send(talk: Talk, id: string, size: number): Promise<string> {
  for (const command of ["MAIL FROM:<ann@load.test>", "RCPT TO:<bob@crash.test>", "DATA"]) {
    const answer = await talk.say(command);
    if (!/^[23]/.test(answer)) {
      await talk.say("RSET");
      return answer;
    }
  }
  talk.write(stuffed(contentOf(id, size)));
  return talk.say(".");
}

function stuffed(content: Buffer): Buffer {
  return Buffer.from(content.toString("latin1").replace(/(^|\r\n)\./g, "$1.."), "latin1");
}

/** A dialogue, reply by reply. Rejects once the connection is lost. */
export class Talk {
  readonly #socket: Socket;
  readonly #replies: string[] = [];
  #text = "";
  #waiting: { resolve(reply: string): void; reject(error: Error): void } | undefined;
  #lost: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => this.#push(chunk));
    socket.on("error", (error) => this.#lose(error));
    socket.on("close", () => this.#lose(new Error("the connection is closed")));
  }

  reply(): Promise<string> {
    const reply = this.#replies.shift();
    if (reply !== undefined) return Promise.resolve(reply);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  say(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.destroy();
  }

  #push(chunk: string): void {
    this.#text += chunk;
    for (let found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#text); found !== null; ) {
      this.#text = this.#text.slice(found[0].length);
      const { resolve } = this.#waiting ?? {};
      this.#waiting = undefined;
      if (resolve !== undefined) resolve(found[0]);
      else this.#replies.push(found[0]);
      found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#text);
    }
  }

  #lose(error: Error): void {
    this.#lost ??= error;
    this.#waiting?.reject(this.#lost);
    this.#waiting = undefined;
  }
}
