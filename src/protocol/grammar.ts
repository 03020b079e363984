/**
 * Which command may come when, as data; what answers a wrong turn stands beside it (RFC 5321 4.1.4).
 *
 * Rules
 * 1. The checks are made in the order of the columns: privacy, phase, argument, authentication.
 * 2. Whatever is not in the table is unknown (500).
 */
import { type Reply, reply } from "../mail/reply.ts";

/**
 * start: connected, or inside fresh TLS: nobody has said hello.
 * ready: greeted, no transaction.
 * mail: MAIL was accepted. rcpt: at least one RCPT was. bdat: a BDAT was, and it was not the last.
 */
export type Phase = "start" | "ready" | "mail" | "rcpt" | "bdat";

export interface CommandRule {
  /** Phases in which it may come. */
  readonly in: readonly Phase[];
  /** Answers it in any other phase. */
  readonly otherwise: Reply;
  readonly argument: "required" | "none" | "optional";
  /** May come before STARTTLS where TLS is required (RFC 3207 4). */
  readonly beforeTls: boolean;
  /** May come before AUTH where it is required (RFC 6409 4.3, RFC 4954 6). */
  readonly beforeAuthentication: boolean;
  /** Octets of the line with its CRLF: RFC 5321 4.5.3.1.4 and what the extensions add. */
  readonly longest: number;
}

const always: readonly Phase[] = ["start", "ready", "mail", "rcpt", "bdat"];
const greeted: readonly Phase[] = ["ready", "mail", "rcpt", "bdat"];
const helloFirst = reply(503, "5.5.1", "Say EHLO first");
const never = reply(503, "5.5.1", "Bad sequence of commands");

const LINE = 512;
/**
 * SIZE 26, BODY 17 (RFC 3030: 16 + 1), SMTPUTF8 10, AUTH 500, RET 9, ENVID 107, HOLDFOR or HOLDUNTIL 36 (RFC 4865 has 34, without room for
 * a zone), BY 17 (RFC 2852), MT-PRIORITY 15 (RFC 6710)
 */
const MAIL_LINE = LINE + 26 + 17 + 10 + 500 + 9 + 107 + 36 + 17 + 15;
/** NOTIFY 28, ORCPT 7 + 500 */
const RCPT_LINE = LINE + 28 + 507;
/** RFC 4954 4: AUTH commands and responses. */
export const AUTH_LINE = 12_288;

export const grammar = {
  EHLO: { in: always, otherwise: never, argument: "required", beforeTls: true, beforeAuthentication: true, longest: LINE },
  HELO: { in: always, otherwise: never, argument: "required", beforeTls: true, beforeAuthentication: true, longest: LINE },
  STARTTLS: {
    in: ["ready", "mail", "rcpt"],
    otherwise: helloFirst,
    argument: "none",
    beforeTls: true,
    beforeAuthentication: true,
    longest: LINE,
  },
  AUTH: { in: greeted, otherwise: helloFirst, argument: "required", beforeTls: true, beforeAuthentication: true, longest: AUTH_LINE },
  MAIL: {
    in: ["ready"],
    otherwise: reply(503, "5.5.1", "Nested MAIL command"),
    argument: "required",
    beforeTls: false,
    beforeAuthentication: false,
    longest: MAIL_LINE,
  },
  RCPT: {
    in: ["mail", "rcpt"],
    otherwise: reply(503, "5.5.1", "MAIL first"),
    argument: "required",
    beforeTls: false,
    beforeAuthentication: false,
    longest: RCPT_LINE,
  },
  DATA: {
    in: ["rcpt"],
    otherwise: reply(503, "5.5.1", "RCPT first"),
    argument: "none",
    beforeTls: false,
    beforeAuthentication: false,
    longest: LINE,
  },
  BDAT: {
    in: ["rcpt", "bdat"],
    otherwise: reply(503, "5.5.1", "RCPT first"),
    argument: "required",
    beforeTls: false,
    beforeAuthentication: false,
    longest: LINE,
  },
  RSET: { in: always, otherwise: never, argument: "none", beforeTls: true, beforeAuthentication: true, longest: LINE },
  NOOP: { in: always, otherwise: never, argument: "optional", beforeTls: true, beforeAuthentication: true, longest: LINE },
  HELP: { in: always, otherwise: never, argument: "optional", beforeTls: true, beforeAuthentication: true, longest: LINE },
  VRFY: { in: always, otherwise: never, argument: "required", beforeTls: false, beforeAuthentication: false, longest: LINE },
  EXPN: { in: always, otherwise: never, argument: "required", beforeTls: false, beforeAuthentication: false, longest: LINE },
  QUIT: { in: always, otherwise: never, argument: "none", beforeTls: true, beforeAuthentication: true, longest: LINE },
} as const satisfies Readonly<Record<string, CommandRule>>;

export type Verb = keyof typeof grammar;

/** Verbs of other standards and other times: known, and not done here (RFC 5321 4.2.4: 502). */
export const notImplemented: ReadonlySet<string> = new Set([
  "TURN",
  "ETRN",
  "ATRN",
  "SEND",
  "SOML",
  "SAML",
  "BURL",
  "LHLO",
  "XCLIENT",
  "XFORWARD",
]);

/** A browser that was made to talk to us (cross-protocol scripting); no mail program begins so. */
export const otherProtocols: ReadonlySet<string> = new Set([
  "GET",
  "POST",
  "PUT",
  "HEAD",
  "OPTIONS",
  "CONNECT",
  "DELETE",
  "PATCH",
  "TRACE",
]);

export function ruleOf(verb: string): { readonly verb: Verb; readonly rule: CommandRule } | undefined {
  return Object.hasOwn(grammar, verb) ? { verb: verb as Verb, rule: grammar[verb as Verb] } : undefined;
}
