/**
 * Which way each recipient goes: all to one server, or each domain to its own.
 *
 * Rules
 * 1. A domain's hosts are looked up when a connection is opened, and tried in their order; the last failure is told.
 * 2. A route without connections is forgotten: domains come and go.
 */
import { domainKey } from "../mail/domain.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { Clock } from "../util/clock.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { ConnectError, SmtpError } from "./error.ts";
import { hostsOf } from "./mx.ts";
import { defaultPool, Pool } from "./pool.ts";
import { LMTP_PORT, SMTP_PORT, SMTPS_PORT } from "./ports.ts";
import { SmtpConnection } from "./smtp-connection.ts";
import { Transcript } from "./transcript.ts";
import type { TransportOptions } from "./transport-options.ts";

export interface Route {
  readonly pool: Pool;
}

export interface RouteGroup {
  readonly route: Route;
  /** Places of the recipients that go this way. */
  readonly indices: readonly number[];
}

/** Routes of domains that are kept without a connection. */
const ROUTES_LIMIT = 1_000;
const SUBMISSION_PORT = 587;

export class Routes {
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #routes = new Map<string, Route>();

  constructor(options: TransportOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get state(): { readonly connections: number; readonly idle: number; readonly waiting: number } {
    const state = { connections: 0, idle: 0, waiting: 0 };
    for (const { pool } of this.#routes.values()) {
      state.connections += pool.connections;
      state.idle += pool.idle;
      state.waiting += pool.waiting;
    }
    return state;
  }

  groups(to: readonly Mailbox[]): readonly RouteGroup[] {
    if (this.#options.direct !== true) return [{ route: this.only(), indices: to.map((_, i) => i) }];
    const byDomain = new Map<string, { domain: string; indices: number[] }>();
    for (const [i, { domain }] of to.entries()) {
      const group = byDomain.get(domainKey(domain));
      if (group === undefined) byDomain.set(domainKey(domain), { domain, indices: [i] });
      else group.indices.push(i);
    }
    return [...byDomain].map(([key, { domain, indices }]) => ({ route: this.#route(key, () => this.#openDirect(domain)), indices }));
  }

  /** The one server of a transport that is not direct. */
  only(): Route {
    return this.#route("", () => this.#openServer());
  }

  async close(): Promise<void> {
    await Promise.all([...this.#routes.values()].map(({ pool }) => pool.close()));
  }

  #route(key: string, open: () => Promise<SmtpConnection>): Route {
    let route = this.#routes.get(key);
    if (route !== undefined) return route;
    if (this.#routes.size >= ROUTES_LIMIT) this.#forgetUnused();
    route = { pool: new Pool({ ...defaultPool, ...this.#options.pool }, this.#clock, open) };
    this.#routes.set(key, route);
    return route;
  }

  #forgetUnused(): void {
    for (const [key, { pool }] of this.#routes) if (pool.connections === 0 && pool.waiting === 0) this.#routes.delete(key);
  }

  #openServer(): Promise<SmtpConnection> {
    const { host = "", port, protocol = "smtp", tlsMode } = this.#options;
    const given = tlsMode ?? (port === SMTPS_PORT ? "implicit" : protocol === "lmtp" ? "opportunistic" : "required");
    const usual = protocol === "lmtp" ? LMTP_PORT : given === "implicit" ? SMTPS_PORT : SUBMISSION_PORT;
    return SmtpConnection.open({ ...this.#common(), host, port: port ?? usual, protocol, tls: given });
  }

  async #openDirect(domain: string): Promise<SmtpConnection> {
    const { lookUp, port = SMTP_PORT, tlsMode = "opportunistic" } = this.#options;
    const answer = lookUp === undefined ? undefined : await hostsOf(domain, lookUp);
    if (answer?.kind !== "found") throw noHost(domain, answer?.why ?? "nothing looks it up", answer?.kind === "none");
    let failure: SmtpError = noHost(domain, "it has no hosts", false);
    for (const host of answer.hosts) {
      try {
        return await this.#openOpportunistic({ ...this.#common(), host, port, tls: tlsMode });
      } catch (error) {
        if (!(error instanceof SmtpError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** RFC 7435: where TLS fails that was not demanded, clear text is better than nothing. */
  async #openOpportunistic(options: ConnectionOptions): Promise<SmtpConnection> {
    try {
      return await SmtpConnection.open(options);
    } catch (error) {
      if (options.tls !== "opportunistic" || !(error instanceof SmtpError) || error.phase !== "handshake") throw error;
      return SmtpConnection.open({ ...options, tls: "none" });
    }
  }

  #common() {
    const { dial, transcript, name = "[127.0.0.1]", tls, auth, passwordInClear, sourceAddress, timeouts } = this.#options;
    return {
      dial: transcript === undefined ? dial : new Transcript(transcript, this.#clock).over(dial),
      clock: this.#clock,
      name,
      ...(tls?.name === undefined ? {} : { tlsName: tls.name }),
      ...(tls?.verify === undefined ? {} : { verify: tls.verify }),
      ...(tls?.authorities === undefined ? {} : { authorities: tls.authorities }),
      ...(tls?.certificate === undefined ? {} : { certificate: tls.certificate }),
      ...(auth === undefined ? {} : { credentials: auth }),
      ...(passwordInClear === undefined ? {} : { passwordInClear }),
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      ...(timeouts === undefined ? {} : { timeouts }),
    };
  }
}

function noHost(domain: string, why: string, permanent: boolean): ConnectError {
  const lasting = permanent ? "permanent" : "temporary";
  return new ConnectError(domain, { state: "connect", why: `no server for ${domain}: ${why}`, lasting, about: "connection" });
}
