/**
 * Listens on one endpoint and hands out streams.
 *
 * Rules
 * 1. IPv6 sockets take IPv6 alone, so that `0.0.0.0` and `::` can both be listened on.
 * 2. What is handed out reads nothing until it has a handler.
 */
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Endpoint } from "./address.ts";
import { listenError } from "./probe.ts";
import { ServerSocketStream } from "./socket-stream.ts";
import type { ServerContext } from "./tls-context.ts";

export interface ListenOptions {
  readonly endpoint: Endpoint;
  /** What the listener is called in errors and settings, such as `submission`. */
  readonly name: string;
  readonly context?: ServerContext;
  /** Asks the client for a certificate, where the context trusts someone to issue it. */
  readonly asksForCertificate?: boolean;
  readonly backlog?: number;
  accept(stream: ServerSocketStream): void;
  /** An accept that failed, such as for want of file descriptors. */
  trouble(error: Error): void;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Accepts no more; streams that were handed out go on. */
  close(): Promise<void>;
}

/** Rejects with a ListenError in words. */
export function listen(options: ListenOptions): Promise<Listener> {
  const { endpoint, name, context, asksForCertificate = false, backlog = 1024 } = options;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    // A peer that is gone before its socket is looked at has no address any more.
    if (socket.remoteAddress === undefined) socket.destroy();
    else options.accept(new ServerSocketStream(socket, context, asksForCertificate));
  });
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, endpoint, name)));
    server.listen({ host: endpoint.host, port: endpoint.port, backlog, exclusive: true, ipv6Only: endpoint.host.includes(":") }, () => {
      server.removeAllListeners("error");
      server.on("error", options.trouble);
      resolve(describe(server));
    });
  });
}

function describe(server: Server): Listener {
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
