/**
 * Whether we can listen somewhere, and why not.
 *
 * Rules
 * 1. `reusePort` binds a taken port without a word; so before it, an exclusive trial finds out.
 * 2. The sentence names the endpoint, the reason and what to do. Who prints it chooses the exit code by `code`.
 */
import { createServer } from "node:net";
import { type Endpoint, formatEndpoint } from "./address.ts";

/**
 * taken: another process listens there.
 * forbidden: a port below 1024 without the right to it.
 * no-address: none of this machine's interfaces has that address.
 * no-family: this machine has no IPv6 (or no IPv4).
 */
export type ListenErrorCode = "taken" | "forbidden" | "no-address" | "no-family" | "other";

export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: ListenErrorCode;
  /** What to do about it, as a second line. */
  readonly hint: string;

  constructor(code: ListenErrorCode, message: string, hint: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}

/** Listens alone for a moment. Resolves where that worked; rejects with a ListenError. `what` is the listener's name, such as `submission`. */
export function probeListen(at: Endpoint, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => reject(listenError(error, at, what)));
    server.listen({ host: at.host, port: at.port, exclusive: true, ipv6Only: at.host.includes(":") }, () => server.close(() => resolve()));
  });
}

/** The words for what `listen` failed with. */
export function listenError(error: Error, at: Endpoint, what: string): ListenError {
  const say = (code: ListenErrorCode, why: string, hint: string): ListenError =>
    new ListenError(code, `cannot listen on ${formatEndpoint(at)} (${what}): ${why}.`, hint, { cause: error });
  switch ((error as NodeJS.ErrnoException).code) {
    case "EADDRINUSE":
      return say(
        "taken",
        "another program listens there already",
        `Stop it (\`ss -ltnp 'sport = :${at.port}'\` shows which one it is), or set listen.${what} to another port.`,
      );
    case "EACCES":
      return say(
        "forbidden",
        "permission denied",
        "Ports below 1024 need CAP_NET_BIND_SERVICE: run `setcap`, use the systemd unit (docs/systemd.md), " +
          `or set listen.${what} to a port above 1023.`,
      );
    case "EADDRNOTAVAIL":
      return say(
        "no-address",
        "this machine has no such address",
        `Set listen.${what} to one that \`ip address\` shows, or to "0.0.0.0:${at.port}".`,
      );
    case "EAFNOSUPPORT":
      return say("no-family", `this machine has no ${at.host.includes(":") ? "IPv6" : "IPv4"}`, `Take the address out of listen.${what}.`);
    default:
      return say("other", error.message, `Check listen.${what}.`);
  }
}
