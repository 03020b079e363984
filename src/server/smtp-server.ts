/**
 * An SMTP server: listeners, and the connections that came in through them.
 *
 * Rules
 * 1. It starts wholly or not at all.
 * 2. Stopping takes nothing new, says 421 to who is idle, lets messages under way end, and after the deadline cuts.
 */
import type { EventSink } from "../mail/event.ts";
import { reply } from "../mail/reply.ts";
import { peerKey } from "../net/address.ts";
import { type Listener, listen } from "../net/listener.ts";
import { probeListen } from "../net/probe.ts";
import type { ServerContext } from "../net/tls-context.ts";
import type { ServerStream } from "../util/byte-stream.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";
import { type ConnectionContext, ServerConnection } from "./connection.ts";
import { ConnectionCounter } from "./connection-counter.ts";
import { defaultServerOptions, type ListenAt, type ServerOptions } from "./options.ts";
import { type Credentials, type Inspector, type Intake, type Policy, type Refusal, refuse } from "./policy.ts";

export interface SmtpServerParts {
  readonly listeners: readonly ListenAt[];
  readonly policy: Policy;
  readonly credentials: Credentials;
  readonly intake: Intake;
  /** Who looks at content; absent: nobody. */
  readonly inspector?: Inspector;
  /** Absent: no STARTTLS; submission then cannot be listened for. */
  readonly certificate?: ServerContext;
  readonly events?: EventSink;
  readonly clock?: Clock;
}

/** How often idle sessions are looked for, in milliseconds, where the time-out is not shorter. */
const IDLE_CHECK = seconds(5);

export class SmtpServer {
  readonly #parts: SmtpServerParts;
  readonly #options: ServerOptions;
  readonly #context: ConnectionContext;
  readonly #counter: ConnectionCounter;
  readonly #connections = new Set<ServerConnection>();
  readonly #clock: Clock;
  #listeners: Listener[] = [];
  #sessions = 0;
  #stopIdleCheck: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(parts: SmtpServerParts, options: Pick<ServerOptions, "hostname"> & Partial<ServerOptions>) {
    this.#parts = parts;
    this.#options = { ...defaultServerOptions, ...options };
    this.#clock = parts.clock ?? systemClock;
    const { policy, credentials, intake, inspector, events = () => {} } = parts;
    this.#context = {
      options: this.#options,
      policy,
      credentials,
      intake,
      ...(inspector === undefined ? {} : { inspector }),
      events,
      clock: this.#clock,
      hasCertificate: parts.certificate !== undefined,
    };
    this.#counter = new ConnectionCounter({ total: this.#options.maxConnections, perPeer: this.#options.maxConnectionsPerAddress });
  }

  /** Where it listens, in the order of the settings; ports that were 0 are known now. */
  get addresses(): readonly { readonly kind: ListenAt["kind"]; readonly host: string; readonly port: number }[] {
    return this.#listeners.map(({ host, port }, i) => ({ kind: (this.#parts.listeners[i] as ListenAt).kind, host, port }));
  }

  /** Connections at this moment. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Throws a ListenError, in words, and then listens nowhere. */
  async start(): Promise<void> {
    try {
      for (const at of this.#parts.listeners) {
        if (at.endpoint.port !== 0) await probeListen(at.endpoint, at.kind);
        this.#listeners.push(await this.#listen(at));
      }
    } catch (error) {
      await Promise.all(this.#listeners.map((listener) => listener.close()));
      this.#listeners = [];
      throw error;
    }
    for (const { kind, host, port } of this.addresses) this.#context.events({ type: "listening", listener: kind, address: host, port });
    this.#checkIdle();
  }

  #listen(at: ListenAt): Promise<Listener> {
    const { certificate } = this.#parts;
    return listen({
      endpoint: at.endpoint,
      name: at.kind,
      ...(certificate === undefined ? {} : { context: certificate }),
      asksForCertificate: at.kind !== "smtp",
      accept: (stream) => this.#accept(stream, at),
      trouble: (error) => this.#context.events({ type: "trouble", where: `listener ${at.kind}`, why: error.message }),
    });
  }

  #accept(stream: ServerStream, at: ListenAt): void {
    const key = peerKey(stream.remoteAddress);
    const entered = this.#counter.enter(key);
    const connection = new ServerConnection(stream, at.kind, (++this.#sessions).toString(36), this.#context, () => {
      if (entered === "ok") this.#counter.leave(key);
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#onEmpty?.();
    });
    this.#connections.add(connection);
    connection.start(entered === "ok" ? undefined : this.#tooMany(entered));
  }

  #tooMany(which: "total" | "peer"): Refusal {
    if (which === "peer") return refuse(reply(421, "4.7.0", "Too many connections from your address"), "limit of connections per address");
    return refuse(reply(421, "4.3.2", "Too many connections; try again later"), "limit of connections");
  }

  #checkIdle(): void {
    const every = Math.max(10, Math.min(IDLE_CHECK, this.#options.idleTimeout / 4));
    this.#stopIdleCheck = this.#clock.after(every, () => {
      const now = this.#clock.now();
      for (const connection of this.#connections) connection.checkIdle(now);
      this.#checkIdle();
    });
  }

  /** Resolves when no connection is left; after `deadline` milliseconds those still there are cut. */
  async stop(deadline: number): Promise<void> {
    const listeners = this.#listeners.map((listener) => listener.close());
    this.#stopIdleCheck?.();
    for (const connection of this.#connections) connection.stop(reply(421, "4.3.2", "Service shutting down; closing connection"));
    if (this.#connections.size > 0) await this.#empty(deadline);
    await Promise.all(listeners);
  }

  #empty(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        for (const connection of this.#connections) connection.destroy("this server stops");
      }, deadline);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
