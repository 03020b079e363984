/** Opens connections. */
import { connect } from "node:net";
import type { Dial } from "../util/byte-stream.ts";
import { ClientSocketStream } from "./socket-stream.ts";

/** What `connect` failed with, in words. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to its network",
  ETIMEDOUT: "no answer",
  ENOTFOUND: "the name does not exist",
  EAI_AGAIN: "the name could not be looked up",
  EADDRNOTAVAIL: "the address to come from is not one of this machine",
  EMFILE: "too many open files",
  EACCES: "not permitted",
  ENOENT: "there is no such socket",
  ECANCELED: "called off",
};

/** The message says what happened; who dialled knows where to. */
export class DialError extends Error {
  override readonly name = "DialError";
  /** The system's name of it, such as ECONNREFUSED. */
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Rejects with a DialError. */
export const dial: Dial = ({ host, port, localAddress, timeout, signal }) =>
  new Promise((resolve, reject) => {
    const from = localAddress === undefined ? {} : { localAddress };
    const socket = connect(host.startsWith("/") ? { path: host } : { host, port, noDelay: true, ...from });
    const timer = setTimeout(() => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })), timeout);
    const stop = (): void => {
      socket.destroy(Object.assign(new Error("called off"), { code: "ECANCELED" }));
    };
    signal?.addEventListener("abort", stop, { once: true });
    const settled = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      settled();
      const code = innermostCode(error);
      reject(new DialError(code, words[code] ?? error.message, { cause: error }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      settled();
      socket.off("error", fail);
      socket.pause();
      resolve(new ClientSocketStream(socket));
    });
  });

/** A name with several addresses fails with an AggregateError of one error each. */
function innermostCode(error: NodeJS.ErrnoException): string {
  if (error instanceof AggregateError && error.errors.length > 0) return innermostCode(error.errors[0] as NodeJS.ErrnoException);
  return error.code ?? "EUNKNOWN";
}
