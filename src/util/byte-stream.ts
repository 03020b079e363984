/**
 * A two-way stream of bytes with TLS, as an interface: what a session runs over. `net/` has the one over sockets; tests
 * join two in memory.
 *
 * Rules
 * 1. One handler at a time; until one is set nothing is read.
 * 2. After `closed` no other call of the handler comes.
 */
export interface TlsFacts {
  /** "TLSv1.2" or "TLSv1.3". */
  readonly protocol: string;
  /** The standard (RFC) name of the cipher suite. */
  readonly cipher: string;
  /** The peer's certificate was checked and names the host that was asked for. */
  readonly verified: boolean;
  /** The server name that the client asked for (SNI), on the server's side. */
  readonly serverName?: string;
  /** What names this TLS session to both ends (RFC 5056); worked out when it is asked for. */
  readonly channelBindings?: () => TlsBindings;
  /** The certificate that the client showed, where it was asked for one and an authority that is trusted for it issued it. */
  readonly clientCertificate?: ClientCertificate;
}

/** Those that the session has. */
export interface TlsBindings {
  /** RFC 9266; TLS 1.3. */
  readonly "tls-exporter"?: Uint8Array;
  /** RFC 5929 4. */
  readonly "tls-server-end-point"?: Uint8Array;
}

/** What a client's certificate says of its holder. */
export interface ClientCertificate {
  /** The rfc822Name entries of its subjectAltName. */
  readonly mailboxes: readonly string[];
  /** Absent where it has none, or several. */
  readonly commonName?: string;
}

export interface StreamHandler {
  data(chunk: Uint8Array): void;
  /** What `write` held back has left. */
  drained(): void;
  /** The peer will send no more. */
  ended(): void;
  /** Both ways are closed; `error` where it was not on purpose. */
  closed(error: Error | undefined): void;
}

export interface ByteStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Set once inside TLS. */
  readonly tls: TlsFacts | undefined;
  handle(handler: StreamHandler): void;
  /** Hands over bytes; false asks the caller to wait for `drained`. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean;
  /** Several at once, in one system call where the system can. */
  writeAll(chunks: readonly Uint8Array[]): boolean;
  /** Stops and restarts reading: what is not read makes the peer wait. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once; nothing written is waited for. */
  destroy(): void;
}

/** How a client speaks TLS to the host it names. */
export interface ClientTls {
  /** The name for SNI and, if `verify`, for the certificate. */
  readonly host: string;
  /** Refuses a certificate that is not trusted or names another host. */
  readonly verify: boolean;
  /** PEM certificates to trust beside, or instead of, the system's. */
  readonly authorities?: string;
  /** The client's own certificate with its chain, and the key, PEM: shown where the server asks for one. */
  readonly certificate?: { readonly chain: string; readonly key: string };
}

export interface ClientStream extends ByteStream {
  /** Runs the TLS handshake over this stream; rejects with the reason, and the stream is then closed. */
  secure(tls: ClientTls): Promise<TlsFacts>;
}

export interface ServerStream extends ByteStream {
  /** Runs the server's side of the handshake; rejects with the reason, and the stream is then closed. */
  secure(): Promise<TlsFacts>;
}

export interface DialTarget {
  /** An IP address, a name for the system to resolve, or the path of a unix socket, which begins with "/". */
  readonly host: string;
  readonly port: number;
  /** The address to come from. */
  readonly localAddress?: string;
  /** Milliseconds until the attempt is given up. */
  readonly timeout: number;
  /** Calls the attempt off. */
  readonly signal?: AbortSignal;
}

/** Opens a connection; rejects with an Error whose message says what happened. */
export type Dial = (target: DialTarget) => Promise<ClientStream>;
