/**
 * The client on Node: its sockets, its look-ups, its host name.
 *
 * Rules
 * 1. The only file of this folder that another runtime has to replace.
 */
import { resolveMx } from "node:dns/promises";
import { hostname } from "node:os";
import { dial } from "../net/dial.ts";
import type { MxLookup } from "./mx.ts";
import { SmtpClient as PortableClient } from "./smtp-client.ts";
import type { SmtpClientOptions } from "./smtp-client-options.ts";
import { Transport } from "./transport.ts";
import type { TransportOptions } from "./transport-options.ts";
import { parseTransportUrl } from "./transport-url.ts";

type Bound = "dial" | "lookUp";
export type CreateTransportOptions = Omit<TransportOptions, Bound> & Partial<Pick<TransportOptions, Bound>>;
export type ClientOptions = Omit<SmtpClientOptions, "dial"> & Partial<Pick<SmtpClientOptions, "dial">>;

/**
 * A transport for `smtp://user:pass@mail.example.org:587?tls=starttls`, or for options; what both say, the options say.
 * Throws a TypeError for a URL or options that make no sense. Nothing is connected before the first message.
 */
export function createTransport(where: string | CreateTransportOptions, options: CreateTransportOptions = {}): Transport {
  const given = typeof where === "string" ? { ...parseTransportUrl(where), ...options } : { ...where, ...options };
  return new Transport({ dial, lookUp: byDns, name: ownName(), ...given });
}

/** A client that goes step by step, as Python's smtplib does. */
export class SmtpClient extends PortableClient {
  constructor(options: ClientOptions = {}) {
    super({ dial, localHostname: ownName(), ...options });
  }

  /** A client that is connected: the server has greeted. Rejects as `connect` does. */
  static async connect(options: ClientOptions): Promise<SmtpClient> {
    const client = new SmtpClient(options);
    await client.connect();
    return client;
  }
}

/** RFC 5321 4.1.4: the machine's full name, else the address literal that says least wrong. */
function ownName(): string {
  const name = hostname();
  return /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(name) ? name : "[127.0.0.1]";
}

/** RFC 5321 5.1: the MX by preference; without one the domain itself (RFC 7505: unless that says it takes no mail). */
const byDns: MxLookup = async (domain) => {
  try {
    const records = await resolveMx(domain);
    const named = records.filter(({ exchange }) => exchange !== "" && exchange !== ".");
    if (named.length === 0) return { kind: "none", why: "the domain accepts no mail (null MX)" };
    const order = named.map((record) => ({ ...record, chance: Math.random() }));
    order.sort((a, b) => a.priority - b.priority || a.chance - b.chance);
    return { kind: "found", hosts: order.map(({ exchange }) => exchange) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENODATA") return { kind: "found", hosts: [domain] };
    if (code === "ENOTFOUND") return { kind: "none", why: "the domain does not exist" };
    return { kind: "failed", why: `DNS did not answer (${code})` };
  }
};
