/**
 * One connection of a `ScriptedServer`: plays the server's side of a script and checks the client's.
 *
 * Rules
 * 1. The first difference ends it: the connection is closed, and the rest of the script is not played.
 * 2. Behind the script's last step the client may close, and nothing else. Where its last words were QUIT, the server closes.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { SelfSigned } from "../net/certificate.ts";
import { concat, fromLatin1, fromUtf8, latin1 } from "../util/bytes.ts";
import { ClientReader, CONTENT_LIMIT } from "./client-reader.ts";
import { matches, type Script, type Step } from "./script.ts";
import { type Difference, ScriptError } from "./script-error.ts";

export interface ScriptedConnectionParts {
  /** From 1. */
  readonly number: number;
  readonly socket: Socket;
  readonly script: Script;
  readonly certificate: SelfSigned;
  readonly keep: (content: Uint8Array) => void;
}

export class ScriptedConnection {
  readonly #parts: ScriptedConnectionParts;
  readonly #reader: ClientReader;
  readonly #said: string[] = [];
  #socket: Socket;
  #step: Step | undefined;
  /** The line that the client said last. */
  #heard = "";
  /** Chunks of BDAT before the last one. */
  #chunks: Uint8Array[] = [];
  /** The server has closed, or says nothing more: what the client says is of no interest. */
  #deaf = false;

  constructor(parts: ScriptedConnectionParts) {
    this.#parts = parts;
    this.#socket = parts.socket;
    this.#reader = new ClientReader(parts.socket);
  }

  /** Plays all steps. Rejects with a ScriptError at the first difference; the connection is then gone. */
  async play(): Promise<void> {
    try {
      const { steps } = this.#parts.script;
      for (let at = 0; at < steps.length; ) {
        const step = steps[at] as Step;
        this.#step = step;
        if (step.kind !== "say") {
          at++;
          await this.#hear(step);
          continue;
        }
        let segment = "";
        for (; steps[at]?.kind === "say"; at++) segment += (steps[at] as Step).text;
        this.#say(segment);
      }
      this.#step = undefined;
      if (/^QUIT *$/i.test(this.#heard)) this.#socket.end();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** Behind the end of the script: resolves when the client closes. Rejects with a ScriptError if it says more. */
  async rest(): Promise<void> {
    if (this.#deaf || !(await this.#reader.more())) return;
    const more = await this.#reader.line();
    this.#note("->", more ?? this.#reader.rest());
    this.destroy();
    throw this.#difference(`the client goes on: ${JSON.stringify(more ?? "")}`);
  }

  /** What is wrong with waiting no longer. */
  late(why: string): ScriptError {
    return this.#difference(`${why}; ${this.#step?.kind === "silence" ? "the client has not closed" : "the client says nothing"}`);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #say(octets: string): void {
    for (const line of octets.replace(/\r\n$/, "").split("\r\n")) this.#note("<-", line);
    if (this.#socket.writable) this.#socket.write(latin1(octets));
  }

  async #hear(step: Step): Promise<void> {
    switch (step.kind) {
      case "hear-line":
        return this.#line(step);
      case "hear-octets":
        return this.#octets(step);
      case "content":
        return this.#content();
      case "tls":
      case "tls-fails":
        return this.#tls(step.kind === "tls");
      case "close":
        this.#deaf = true;
        this.#note("<-", "(closed)");
        this.#socket.end();
        this.#socket.resume();
        return;
      case "reset":
        this.#deaf = true;
        this.#note("<-", "(reset)");
        this.#reset();
        return;
      case "silence":
        this.#deaf = true;
        return this.#reader.end();
    }
  }

  async #line({ text, source }: Step): Promise<void> {
    const line = await this.#reader.line();
    if (line === undefined) throw this.#closed();
    this.#heard = line;
    this.#note("->", line);
    if (!matches(text, line))
      throw this.#difference(`the client says ${JSON.stringify(readable(line))} instead of ${JSON.stringify(source.slice(3))}`);
  }

  async #octets({ text, source }: Step): Promise<void> {
    const octets = await this.#reader.octets(text.length);
    if (octets === undefined) throw this.#closed();
    const said = fromLatin1(octets);
    this.#note("=>", said);
    if (said !== text)
      throw this.#difference(`the client says ${JSON.stringify(readable(said))} instead of ${JSON.stringify(source.slice(3))}`);
  }

  async #content(): Promise<void> {
    const [, size, last] = /^BDAT (\d{1,15})( LAST)?$/i.exec(this.#heard) ?? [];
    if (size !== undefined && Number(size) > CONTENT_LIMIT) throw this.#difference(`the chunk is longer than ${CONTENT_LIMIT} octets`);
    const octets = size === undefined ? await this.#dataContent() : await this.#reader.octets(Number(size));
    if (octets === undefined) throw this.#closed();
    this.#note("->", `(${octets.length} octets of content)`);
    if (size !== undefined && last === undefined) {
      this.#chunks.push(octets);
      return;
    }
    this.#parts.keep(this.#chunks.length === 0 ? octets : concat([...this.#chunks, octets]));
    this.#chunks = [];
  }

  async #dataContent(): Promise<Uint8Array | undefined> {
    try {
      return await this.#reader.content();
    } catch (error) {
      throw this.#difference(error instanceof Error ? error.message : String(error));
    }
  }

  async #tls(succeeds: boolean): Promise<void> {
    if (this.#reader.unread > 0) throw this.#difference("the client says more before the handshake");
    this.#reader.detach();
    const { certificate, key } = this.#parts.certificate;
    const secured = new TLSSocket(this.#socket, { isServer: true, cert: certificate, key, minVersion: "TLSv1.2" });
    this.#socket = secured;
    const failure = await handshake(secured);
    if (succeeds && failure !== undefined) throw this.#difference(`the handshake fails: ${failure}`);
    if (!succeeds && failure === undefined) throw this.#difference("the handshake succeeds");
    this.#note("--", failure === undefined ? `(${secured.getProtocol()})` : `(the handshake fails: ${failure})`);
    if (failure === undefined) this.#reader.attach(secured);
    else this.#deaf = true;
  }

  #reset(): void {
    const { socket } = this.#parts;
    // A unix socket knows no reset.
    if (socket.remoteAddress === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }

  #note(arrow: "<-" | "->" | "=>" | "--", text: string): void {
    this.#said.push(`${arrow} ${readable(text)}`);
  }

  #closed(): ScriptError {
    return this.#difference("the client has closed the connection");
  }

  #difference(why: string): ScriptError {
    const { number, script } = this.#parts;
    const line = this.#step === undefined ? {} : { line: this.#step.line };
    const difference: Difference = { connection: number, why, script, said: this.#said, ...line };
    return new ScriptError(difference);
  }
}

/** What broke the handshake off; `undefined` where it succeeded. */
function handshake(socket: TLSSocket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let failure: string | undefined;
    socket.once("secure", () => resolve(undefined));
    socket.on("error", (error) => {
      failure ??= error.message;
    });
    socket.once("end", () => socket.destroy());
    socket.once("close", () => resolve(failure ?? "the client closes the connection"));
    socket.resume();
  });
}

/** As UTF-8 where it is, controls as escapes. */
function readable(octets: string): string {
  const text = fromUtf8(latin1(octets)) ?? octets;
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => {
    const known = { "\r": "\\r", "\n": "\\n", "\t": "\\t" }[c];
    return known ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
