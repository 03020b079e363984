/**
 * How the client stands with the server: what is known of it, and so what it is offered and which command it may give now.
 *
 * Rules
 * 1. STARTTLS forgets all of it (RFC 3207 4.2); EHLO and HELO, the transaction alone.
 * 2. What is offered and what is then understood are told here, side by side: no extension is in one and not in the other.
 * 3. Nothing is sent and nothing is counted here: a refusal is handed back as the reply to send.
 */
import { isAddressLiteral, isDomain } from "../mail/domain.ts";
import { type Reply, reply } from "../mail/reply.ts";
import type { Command } from "./command.ts";
import { formatDateTime } from "./date-time.ts";
import type { CommandRule, Phase } from "./grammar.ts";
import { NO_PARAMETER_SUPPORT, type ParameterSupport } from "./parameters.ts";
import type { ServerSessionOptions } from "./server-options.ts";
import * as say from "./server-replies.ts";

const OPEN_SUPPORT: ParameterSupport = {
  ...NO_PARAMETER_SUPPORT,
  size: true,
  eightBitMime: true,
  binaryMime: true,
  smtpUtf8: true,
  dsn: true,
  deliverBy: true,
};

/** RFC 9422 4: six digits at most. */
const LIMIT_MOST = 999_999;

export class ServerStanding {
  readonly #options: ServerSessionOptions;
  /** After EHLO. */
  readonly #support: ParameterSupport;
  #secured: boolean;
  #extended = false;
  #clientName = "";
  #account: string | undefined;
  #phase: Phase = "start";

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.#secured = options.secured;
    const submission = options.authentication === "required";
    this.#support = {
      ...OPEN_SUPPORT,
      auth: submission,
      futureRelease: submission && options.futureRelease !== undefined,
      mtPriority: submission && options.maxPriority !== undefined,
    };
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** What EHLO or HELO named, "" before. */
  get clientName(): string {
    return this.#clientName;
  }

  /** EHLO was said, not HELO. */
  get extended(): boolean {
    return this.#extended;
  }

  get account(): string | undefined {
    return this.#account;
  }

  /** What MAIL and RCPT may say. */
  get support(): ParameterSupport {
    if (!this.#extended) return NO_PARAMETER_SUPPORT;
    return this.#support;
  }

  /** The reply that refuses a command of the grammar by its row; `length`: octets of its line, CRLF included. */
  refusalOf({ verb, argument }: Command, rule: CommandRule, length: number): Reply | undefined {
    if (length > rule.longest) return say.lineTooLong;
    if (this.#options.tls === "required" && !this.#secured && !rule.beforeTls) return say.tlsFirst;
    if (!rule.in.includes(this.#phase)) {
      const needsHello = this.#phase === "start" && rule.otherwise.code === 503;
      return needsHello ? say.helloFirst : this.#phase === "bdat" ? say.bdatUnderWay : rule.otherwise;
    }
    if (rule.argument === "required" && argument === "") return say.argumentMissing(verb);
    if (rule.argument === "none" && argument !== "") return say.argumentUnwanted(verb);
    if (this.#options.authentication === "required" && this.#account === undefined && !rule.beforeAuthentication) return say.authFirst;
    return undefined;
  }

  refusalOfStartTls(): Reply | undefined {
    if (this.#secured) return say.alreadySecured;
    return this.#options.tls === "none" ? say.notImplemented : undefined;
  }

  /** RFC 4954 4. */
  refusalOfAuth(): Reply | undefined {
    if (this.#options.authentication === "none") return say.authUnavailable;
    if (!this.#secured) return say.authNeedsTls;
    if (this.#account !== undefined) return say.alreadyAuthenticated;
    return this.#phase === "ready" ? undefined : say.authInTransaction;
  }

  /** EHLO or HELO was said with a name that `isClientName` takes; returns the reply. */
  greeted(verb: "EHLO" | "HELO", name: string, mechanisms: readonly string[]): Reply {
    this.#clientName = name;
    this.#extended = verb === "EHLO";
    this.#phase = "ready";
    return this.#extended ? this.#ehloReply(mechanisms) : say.helo(this.#options.hostname);
  }

  /** TLS begins, and all begins anew. */
  upgraded(): void {
    this.#secured = true;
    this.#phase = "start";
    this.#extended = false;
    this.#clientName = "";
    this.#account = undefined;
  }

  authenticated(account: string): void {
    this.#account = account;
  }

  /** A step within the transaction. */
  enter(phase: "mail" | "rcpt" | "bdat"): void {
    this.#phase = phase;
  }

  endTransaction(): void {
    if (this.#phase !== "start") this.#phase = "ready";
  }

  #ehloReply(mechanisms: readonly string[]): Reply {
    const { hostname, tls, authentication, maxSize } = this.#options;
    const offered = this.#offeredTimes();
    const lines = [`${hostname} at your service`, "PIPELINING", `SIZE ${maxSize}`];
    if (tls !== "none" && !this.#secured) lines.push("STARTTLS");
    if (authentication === "required" && this.#secured && mechanisms.length > 0) lines.push(`AUTH ${mechanisms.join(" ")}`);
    lines.push("8BITMIME", "SMTPUTF8", "BINARYMIME", "CHUNKING", "DSN", ...offered, "ENHANCEDSTATUSCODES", "HELP");
    return reply(250, lines.join("\n"));
  }

  /** What says when and how soon mail goes on, and what one session may bring. */
  #offeredTimes(): string[] {
    const { futureRelease, minDeliverBy, maxRecipients } = this.#options;
    const lines = [minDeliverBy > 0 ? `DELIVERBY ${minDeliverBy}` : "DELIVERBY"];
    if (this.#support.futureRelease && futureRelease !== undefined)
      lines.push(`FUTURERELEASE ${futureRelease.seconds} ${formatDateTime(futureRelease.until)}`);
    if (this.#support.mtPriority) lines.push("MT-PRIORITY MIXER");
    if (maxRecipients <= LIMIT_MOST) lines.push(`LIMITS RCPTMAX=${maxRecipients}`); // messages of a session are not limited
    return lines;
  }
}

/** A domain or address literal; and, since RFC 5321 4.1.4 forbids to refuse a client for its name, any one printable word. */
export function isClientName(name: string): boolean {
  return isDomain(name) || isAddressLiteral(name) || (name.length <= 255 && /^[^\s<>()"\\]+$/.test(name));
}
