/**
 * What brings a message away: by SMTP, as a stream, as JSON, or by a transport of the caller's.
 *
 * Rules
 * 1. A transport of the caller's is an object with `send(mail, callback)`, as Nodemailer knows them; here it becomes a promise.
 */
import type { SentMessageInfo } from "./info.ts";
import type { MailMessage } from "./mail-message.ts";

export interface Carrier<T extends SentMessageInfo> {
  readonly name: string;
  readonly version: string;
  /** It looks at `mail.message`, or hands it on. */
  readonly composes?: boolean;
  send(mail: MailMessage): Promise<T>;
  /** Rejects where it would not work. Absent: nothing can be verified. */
  verify?(): Promise<void>;
  close?(): void;
  /** Another message could go at once. */
  isIdle?(): boolean;
}

/** A transport of the caller's. */
export interface TransportPlugin<T extends SentMessageInfo = SentMessageInfo> {
  name: string;
  version: string;
  send(mail: MailMessage, callback: (error: Error | null, info: T) => void): void;
  verify?(callback?: (error: Error | null, success?: true) => void): Promise<unknown> | unknown;
  close?(): void;
  isIdle?(): boolean;
}

export function carrierOf<T extends SentMessageInfo>(plugin: TransportPlugin<T>): Carrier<T> {
  return {
    name: plugin.name,
    version: plugin.version,
    composes: true,
    send: (mail) =>
      new Promise((resolve, reject) => {
        plugin.send(mail, (error, info) => (error ? reject(error) : resolve(info)));
      }),
    ...(plugin.verify === undefined ? {} : { verify: () => verified(plugin) }),
    ...(plugin.close === undefined ? {} : { close: () => plugin.close?.() }),
    ...(plugin.isIdle === undefined ? {} : { isIdle: () => plugin.isIdle?.() === true }),
  };
}

/** Some give a promise, others call back. */
function verified<T extends SentMessageInfo>(plugin: TransportPlugin<T>): Promise<void> {
  return new Promise((resolve, reject) => {
    const given = plugin.verify?.((error) => (error ? reject(error) : resolve()));
    if (given instanceof Promise) given.then(() => resolve(), reject);
  });
}
