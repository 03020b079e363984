/**
 * What `createTransport` gives: Nodemailer's transporter.
 *
 * Rules
 * 1. `sendMail` rejects, or calls back, with a NodemailerError; what it is given is not changed.
 * 2. What a transport's options forbid, a message cannot allow.
 * 3. Plugins run in the order in which they were added: `compile` on the data, `stream` on what is written.
 */
import { EventEmitter } from "node:events";
import type { Carrier } from "./carrier.ts";
import { Contents } from "./contents.ts";
import { NodemailerError, toNodemailerError } from "./errors.ts";
import type { SentMessageInfo } from "./info.ts";
import type { Log } from "./logger.ts";
import { MailMessage } from "./mail-message.ts";
import type { Headers, SendMailOptions } from "./mail-options.ts";
import type { TokenEvent } from "./oauth2.ts";
import type { CommonOptions } from "./transport-options.ts";

export type PluginFunction = (mail: MailMessage, callback: (error?: Error | null) => void) => void;

/** Recipients of one message where `maxRecipients` says nothing. */
export const MAX_RECIPIENTS = 100_000;

export interface TransporterEvents {
  /** Of a pool: another message could go at once. */
  idle: [];
  /** A bearer token was got. */
  token: [TokenEvent];
  /** Kept for Nodemailer's sake: errors are those of the messages. */
  error: [Error];
}

export interface TransporterParts<T extends SentMessageInfo> {
  readonly carrier: Carrier<T>;
  readonly options: CommonOptions;
  readonly defaults: SendMailOptions;
  readonly log: Log;
}

export class Transporter<T extends SentMessageInfo = SentMessageInfo> extends EventEmitter<TransporterEvents> {
  readonly options: CommonOptions;
  readonly meta = new Map<string, unknown>();
  readonly #carrier: Carrier<T>;
  readonly #defaults: SendMailOptions;
  readonly #log: Log;
  readonly #plugins: { readonly compile: PluginFunction[]; readonly stream: PluginFunction[] } = { compile: [], stream: [] };

  constructor({ carrier, options, defaults, log }: TransporterParts<T>) {
    super();
    this.options = options;
    this.#carrier = carrier;
    this.#defaults = defaults;
    this.#log = log;
    // Who listens for it hears at once that messages can go.
    (this as EventEmitter).on("newListener", (event) => {
      if (event === "idle") setImmediate(() => this.tellIdle());
    });
  }

  /** Name and version of what brings the messages away. */
  get transporter(): { readonly name: string; readonly version: string } {
    return this.#carrier;
  }

  /** Sends a message. Rejects with a NodemailerError. */
  sendMail(data: SendMailOptions): Promise<T>;
  sendMail(data: SendMailOptions, callback: (error: Error | null, info: T) => void): void;
  sendMail(data: SendMailOptions, callback?: (error: Error | null, info: T) => void): Promise<T> | undefined {
    const sending = this.#send(this.#withDefaults(data));
    if (callback === undefined) return sending;
    // Outside the promise: what a callback throws is the caller's.
    sending.then(
      (info) => setImmediate(() => callback(null, info)),
      (error: Error) => setImmediate(() => (callback as (error: Error) => void)(error)),
    );
    return undefined;
  }

  /** Connects, logs in and says NOOP. Rejects with a NodemailerError. False where the transport has nothing to verify. */
  verify(): Promise<boolean>;
  verify(callback: (error: Error | null, success: boolean) => void): void;
  verify(callback?: (error: Error | null, success: boolean) => void): Promise<boolean> | undefined {
    const verifying = this.#verify();
    if (callback === undefined) return verifying;
    verifying.then(
      (success) => setImmediate(() => callback(null, success)),
      (error: Error) => setImmediate(() => callback(error, false)),
    );
    return undefined;
  }

  /** Of a pool: takes no more messages, lets those under way end, and says QUIT on every connection. */
  close(): void {
    this.#carrier.close?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Another message could go at once; true of a transport without a limit. */
  isIdle(): boolean {
    return this.#carrier.isIdle?.() ?? true;
  }

  /** Adds a plugin. Throws a NodemailerError for a step that is neither `compile` nor `stream`. */
  use(step: string, plugin: PluginFunction): this {
    if (step !== "compile" && step !== "stream")
      throw new NodemailerError("ECONFIG", `plugins are for compile or stream, not ${JSON.stringify(step)}`);
    this.#plugins[step].push(plugin);
    return this;
  }

  /** `oauth2_provision_cb` is where tokens come from; all else is kept for plugins. */
  set(key: string, value: unknown): Map<string, unknown> {
    if (/^proxy_/.test(key)) throw new NodemailerError("ECONFIG", `${key} is not supported: connections go straight to the server`);
    return this.meta.set(key, value);
  }

  get(key: string): unknown {
    return this.meta.get(key);
  }

  getVersionString(): string {
    return `postrider/nodemailer (${this.#carrier.name}/${this.#carrier.version})`;
  }

  /** Emits `idle` where it is so. Used by what brings messages away. */
  tellIdle(): void {
    if (this.isIdle()) this.emit("idle");
  }

  /** The contents of a message, with what it may read. Used by what reads them a second time. */
  contentsOf(data: SendMailOptions): Contents {
    const { disableFileAccess, disableUrlAccess, allowUrlAccess } = this.options;
    const files = disableFileAccess !== true && data.disableFileAccess !== true && this.#defaults.disableFileAccess !== true;
    const urls = disableUrlAccess !== true && data.disableUrlAccess !== true && this.#defaults.disableUrlAccess !== true;
    // What is signed is read twice.
    return new Contents({ files, urls: urls && allowUrlAccess === true }, data.dkim !== undefined);
  }

  async #send(data: SendMailOptions): Promise<T> {
    const contents = this.contentsOf(data);
    try {
      checkSignal(data.signal);
      return await orAborted(this.#deliver(data, contents), data.signal);
    } catch (error) {
      contents.release();
      const told = contents.failure ?? toNodemailerError(error);
      this.#log.error("send", told);
      throw told;
    }
  }

  async #deliver(data: SendMailOptions, contents: Contents): Promise<T> {
    const mail = new MailMessage(data, contents);
    await this.#run("compile", mail);
    await mail.compile();
    if (this.#plugins.stream.length > 0 || this.#carrier.composes === true) await mail.compose();
    await this.#run("stream", mail);
    this.#checkRecipients(mail);
    this.#log.info("send", `sending a message by ${this.#carrier.name}`);
    const info = await this.#carrier.send(mail);
    this.#log.info("send", `sent ${info.messageId}`, { messageId: info.messageId });
    return info;
  }

  async #verify(): Promise<boolean> {
    if (this.#carrier.verify === undefined) return false;
    await this.#carrier.verify();
    return true;
  }

  async #run(step: "compile" | "stream", mail: MailMessage): Promise<void> {
    for (const plugin of this.#plugins[step]) {
      if (mail.data.signal?.aborted === true) throw aborted(mail.data.signal.reason);
      await new Promise<void>((resolve, reject) => {
        plugin(mail, (error) => (error ? reject(error) : resolve()));
      });
    }
  }

  #checkRecipients({ data }: MailMessage): void {
    const limit = this.options.maxRecipients ?? data.maxRecipients ?? MAX_RECIPIENTS;
    const { to, cc, bcc } = data.envelope ?? data;
    const count = countOf([to, cc, bcc]);
    if (limit === 0 || count <= limit) return;
    throw new NodemailerError("EMAXRECIPIENTS", `the message has ${count} recipients, maxRecipients is ${limit}`);
  }

  /** Each header by itself has a default; what the transport's options force is forced. */
  #withDefaults(data: SendMailOptions): SendMailOptions {
    const merged: SendMailOptions = { ...this.#defaults, ...withoutUndefined(data ?? {}) };
    const headers = mergedHeaders(this.#defaults.headers, data?.headers);
    if (headers !== undefined) merged.headers = headers;
    const { normalizeHeaderKey, attachDataUrls, dkim } = this.options;
    if (normalizeHeaderKey !== undefined) merged.normalizeHeaderKey = normalizeHeaderKey;
    if (attachDataUrls !== undefined) merged.attachDataUrls ??= attachDataUrls;
    if (dkim !== undefined) merged.dkim ??= dkim;
    return merged;
  }
}

function withoutUndefined(data: SendMailOptions): SendMailOptions {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
}

function mergedHeaders(defaults: Headers | undefined, own: Headers | undefined): Headers | undefined {
  if (defaults === undefined || own === undefined) return own ?? defaults;
  const pairs = (headers: Headers) =>
    Array.isArray(headers)
      ? headers.map(({ key, value }) => ({ key, value }))
      : Object.entries(headers).map(([key, value]) => ({ key, value }));
  const given = pairs(own);
  const names = new Set(given.map(({ key }) => key.toLowerCase()));
  return [...pairs(defaults).filter(({ key }) => !names.has(key.toLowerCase())), ...given] as Headers;
}

/** Addresses as they are given: a text counts its commas. */
function countOf(given: unknown): number {
  if (typeof given === "string") return given.trim() === "" ? 0 : given.split(",").length;
  if (Array.isArray(given)) return given.reduce((sum: number, one: unknown) => sum + countOf(one), 0);
  return given === undefined || given === null || given === false ? 0 : 1;
}

function checkSignal(signal: unknown): void {
  if (signal === undefined || signal === null) return;
  if (!(signal instanceof AbortSignal)) throw new NodemailerError("ECONFIG", "signal is no AbortSignal", { command: "API" });
  if (signal.aborted) throw aborted(signal.reason);
}

/** What the work comes to, or the abort, if that is first: nothing that is waited for holds it up. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined || signal === null) return work;
  let stop = (): void => {};
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([abort, work]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function aborted(reason: unknown): NodemailerError {
  return new NodemailerError("EABORT", "the sending was called off", { command: "API", cause: reason });
}
