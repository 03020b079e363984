/**
 * A ByteStream over a TCP socket that can turn into TLS in the middle.
 *
 * Rules
 * 1. `secure` takes the socket over in the same turn, so that no byte of the handshake is read as clear text.
 * 2. The other side may close its half and still hear our replies: `end` is ours to call.
 */
import type { Socket } from "node:net";
import { TLSSocket, connect as tlsConnect } from "node:tls";
import type { ByteStream, ClientStream, ClientTls, ServerStream, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { canonicalAddress } from "./address.ts";
import { type ClientContext, clientContext, type ServerContext } from "./tls-context.ts";
import { channelBindings, clientCertificate } from "./tls-facts.ts";

class SocketStream implements ByteStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  #socket: Socket;
  #handler: StreamHandler | undefined;
  #tls: TlsFacts | undefined;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = canonicalAddress(socket.remoteAddress ?? "") ?? "";
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = canonicalAddress(socket.localAddress ?? "") ?? "";
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  get tls(): TlsFacts | undefined {
    return this.#tls;
  }

  handle(handler: StreamHandler): void {
    this.#handler = handler;
    this.#socket.on("data", this.#onData);
    this.#socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.writable ? this.#socket.write(bytes) : true;
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.#socket.writable) return true;
    if (chunks.length === 1) return this.#socket.write(chunks[0] as Uint8Array);
    this.#socket.cork();
    let room = true;
    for (const chunk of chunks) room = this.#socket.write(chunk);
    this.#socket.uncork();
    return room;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Puts `make`'s TLS socket in the place of the clear one. */
  protected wrap(
    make: (socket: Socket) => TLSSocket,
    ready: "secure" | "secureConnect",
    finish: (socket: TLSSocket) => TlsFacts,
  ): Promise<TlsFacts> {
    const clear = this.#socket;
    clear.off("data", this.#onData);
    clear.off("end", this.#onEnd);
    clear.off("drain", this.#onDrain);
    const secured = make(clear);
    this.#socket = secured;
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(this.#error ?? new Error("the peer closed the connection during the TLS handshake"));
      const hungUp = (): void => {
        secured.destroy();
      };
      const succeed = (): void => {
        secured.off("close", fail);
        secured.off("end", hungUp);
        this.#tls = finish(secured);
        if (this.#handler !== undefined) secured.on("data", this.#onData);
        else secured.pause();
        resolve(this.#tls);
      };
      this.#listen(secured);
      secured.once("close", fail);
      secured.once("end", hungUp);
      secured.resume(); // without it the end of a peer that gives up is never told
      secured.once(ready, succeed);
    });
  }

  #listen(socket: Socket): void {
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  readonly #onData = (chunk: Uint8Array): void => this.#handler?.data(chunk);
  readonly #onEnd = (): void => this.#handler?.ended();
  readonly #onDrain = (): void => this.#handler?.drained();
  readonly #onError = (error: Error): void => {
    this.#error ??= error;
  };
  readonly #onClose = (): void => {
    // The clear socket closes together with the TLS one that took its place.
    const handler = this.#handler;
    this.#handler = undefined;
    this.#socket.destroy();
    handler?.closed(this.#error);
  };
}

export class ServerSocketStream extends SocketStream implements ServerStream {
  readonly #context: ServerContext | undefined;
  readonly #asks: boolean;

  /** `asksForCertificate`: of the client, where the context trusts someone for it. */
  constructor(socket: Socket, context: ServerContext | undefined, asksForCertificate = false) {
    super(socket);
    this.#context = context;
    this.#asks = asksForCertificate && context?.asksForCertificate === true;
  }

  secure(): Promise<TlsFacts> {
    const context = this.#context;
    if (context === undefined) return Promise.reject(new Error("this listener has no certificate"));
    const requestCert = this.#asks;
    return this.wrap(
      // One without a certificate, or with one of someone else, may still log in with a password.
      (socket) => new TLSSocket(socket, { isServer: true, secureContext: context.current, requestCert, rejectUnauthorized: false }),
      "secure",
      (socket) => ({ ...factsOf(socket, "server"), ...(requestCert ? clientCertificate(socket) : {}) }),
    );
  }
}

export class ClientSocketStream extends SocketStream implements ClientStream {
  secure(tls: ClientTls): Promise<TlsFacts> {
    const context = contextFor(tls);
    return this.wrap(
      (socket) => {
        // An address cannot stand in SNI (RFC 6066 3); `host` is what the certificate is compared with.
        const name = canonicalAddress(tls.host) === undefined ? { servername: tls.host } : {};
        return tlsConnect({ socket, host: tls.host, ...name, ...context });
      },
      "secureConnect", // not "secure", which comes before the certificate is judged
      (socket) => ({ ...factsOf(socket, "client"), verified: tls.verify && socket.authorized }),
    );
  }
}

const opportunistic = clientContext({ kind: "opportunistic" });
/** Contexts that are kept. */
const CONTEXT_LIMIT = 100;
const contexts = new Map<string, ClientContext>();

/** One context for each set of authorities and certificate: making one costs milliseconds. */
function contextFor({ verify, authorities, certificate }: ClientTls): ClientContext {
  if (!verify && certificate === undefined) return opportunistic;
  const name = JSON.stringify([verify, authorities, certificate?.chain, certificate?.key]);
  const known = contexts.get(name);
  if (known !== undefined) return known;
  const context = clientContext(
    verify ? { kind: "verified", ...(authorities === undefined ? {} : { authorities }) } : { kind: "opportunistic" },
    certificate,
  );
  if (contexts.size >= CONTEXT_LIMIT) contexts.clear();
  contexts.set(name, context);
  return context;
}

function factsOf(socket: TLSSocket, side: "server" | "client"): TlsFacts {
  const serverName = (socket as TLSSocket & { servername?: string | false }).servername;
  return {
    protocol: socket.getProtocol() ?? "TLS",
    cipher: socket.getCipher()?.standardName ?? "unknown",
    verified: false,
    ...(typeof serverName === "string" && serverName !== "" ? { serverName } : {}),
    channelBindings: channelBindings(socket, side),
  };
}
