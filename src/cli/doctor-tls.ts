/**
 * TLS of the domain's mail servers: whether STARTTLS is offered, and what the certificate says (RFC 3207, RFC 9525).
 *
 * Rules
 * 1. Only with --connect: it is the one part that speaks to others than DNS. It says EHLO, STARTTLS and nothing else; no mail is sent.
 * 2. The certificate is looked at, not relied on: a bad one is a warning where mail would flow all the same (RFC 7435).
 */
import { connect, type Socket } from "node:net";
import { type PeerCertificate, connect as secure } from "node:tls";
import { days } from "../util/clock.ts";
import type { Finding, MailHost } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

/** For one server as a whole, in milliseconds. */
const TIMEOUT = 15_000;
/** Octets of a server's replies that are read. */
const REPLIES_LIMIT = 64 * 1024;
/** A certificate that ends sooner is a warning. */
const EXPIRES_SOON = days(14);

export interface TlsQuestion {
  readonly port: number;
  /** What to say in EHLO. */
  readonly helo: string;
  readonly now: number;
}

export async function examineTls({ name, addresses }: MailHost, { port, helo, now }: TlsQuestion): Promise<Finding> {
  const address = addresses[0] ?? "";
  const who = `${name} (${address})`;
  const socket = connect({ host: address, port });
  socket.setTimeout(TIMEOUT, () => socket.destroy(new Error(`no answer within ${TIMEOUT / 1000} s`)));
  try {
    const replies = new Replies(socket);
    const greeting = await replies.next();
    if (!greeting.startsWith("2")) return { area: "TLS", level: "problem", text: `${who} greets with ${shown(greeting)}` };
    socket.write(`EHLO ${helo}\r\n`);
    const hello = await replies.next();
    if (!/^250[ -]STARTTLS[ \t]*$/im.test(hello)) {
      const todo = "Give that server a certificate: without TLS everyone on the way reads the mail.";
      return { area: "TLS", level: "problem", text: `${who} does not offer STARTTLS`, todo };
    }
    socket.write("STARTTLS\r\n");
    const ready = await replies.next();
    if (!ready.startsWith("220")) return { area: "TLS", level: "problem", text: `${who} refuses STARTTLS: ${shown(ready)}` };
    replies.stop();
    return judged(who, name, await handshake(socket, name), now);
  } catch (error) {
    return {
      area: "TLS",
      level: "unknown",
      text: `${who}, port ${port}: ${shown(error instanceof Error ? error.message : String(error))}`,
    };
  } finally {
    socket.destroy();
  }
}

interface Handshake {
  readonly certificate: PeerCertificate;
  /** Why it is not trusted or names another; `undefined` for one that is good. */
  readonly objection: string | undefined;
  readonly protocol: string;
}

function handshake(socket: Socket, servername: string): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    const tls = secure({ socket, servername, rejectUnauthorized: false }, () => {
      const objection = tls.authorized ? undefined : String(tls.authorizationError ?? "it is not trusted");
      resolve({ certificate: tls.getPeerCertificate(), objection, protocol: tls.getProtocol() ?? "TLS" });
    });
    tls.on("error", reject);
    tls.on("close", () => reject(new Error("the connection was closed in the handshake")));
  });
}

const objections: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate does not name it",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate comes from an authority that is not known here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate comes without the ones it was issued by",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate comes from an authority that is not known here",
  CERT_HAS_EXPIRED: "its certificate has expired",
};

function judged(who: string, name: string, { certificate, objection, protocol }: Handshake, now: number): Finding {
  const until = Date.parse(certificate.valid_to);
  const day = Number.isNaN(until) ? "an unknown day" : new Date(until).toISOString().slice(0, 10);
  const names = shown(certificate.subjectaltname ?? "no name");
  if (objection !== undefined) {
    const code = /[A-Z][A-Z0-9_]{5,}/.exec(objection)?.[0] ?? objection;
    const why = until < now ? `its certificate expired on ${day}` : (objections[code] ?? shown(objection));
    const todo = "Mail arrives all the same, but senders who insist on a certificate (MTA-STS) will not deliver.";
    return { area: "TLS", level: "warning", text: `${who}: ${protocol}, but ${why} (names ${names}, until ${day})`, todo };
  }
  if (until - now < EXPIRES_SOON)
    return { area: "TLS", level: "warning", text: `${who}: its certificate ends on ${day}`, todo: "Renew it." };
  return { area: "TLS", level: "ok", text: `${who}: ${protocol}, certificate for ${name} until ${day}` };
}

/** The replies of a server, one at a time. */
class Replies {
  readonly #socket: Socket;
  #text = "";
  #waiting: { readonly resolve: (reply: string) => void; readonly reject: (error: Error) => void } | undefined;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#take);
    socket.on("error", this.#fail);
    socket.on("close", this.#close);
  }

  /** The next reply, its lines parted by LF. */
  next(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#error !== undefined) reject(this.#error);
      else this.#look();
    });
  }

  /** Reads no more: what follows is TLS. */
  stop(): void {
    this.#socket.off("data", this.#take);
    this.#socket.off("close", this.#close);
  }

  readonly #take = (chunk: Buffer): void => {
    this.#text += chunk.toString("latin1");
    if (this.#text.length > REPLIES_LIMIT) this.#socket.destroy(new Error("its replies do not end"));
    else this.#look();
  };

  readonly #fail = (error: Error): void => {
    this.#error = error;
    this.#waiting?.reject(error);
  };

  readonly #close = (): void => this.#fail(this.#error ?? new Error("it closed the connection"));

  #look(): void {
    const found = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n/.exec(this.#text);
    if (found === null || this.#waiting === undefined) return;
    this.#text = this.#text.slice(found[0].length);
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve(found[0].replaceAll("\r", "").trimEnd());
  }
}
