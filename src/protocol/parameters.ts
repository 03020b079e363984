/**
 * The parameters of MAIL and RCPT, by the extension that brings each.
 *
 * Rules
 * 1. A parameter whose extension was not announced, or after HELO, is 555; one that is malformed or named twice is 501.
 * 2. Values are kept decoded; whether a value is acceptable (a size, an address) is decided by who has the limit.
 */
import type { BodyType, NotifyOn, OriginalRecipient } from "../mail/envelope.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { parseDateTime } from "./date-time.ts";
import type { Parameter } from "./path.ts";
import { decodeUtf8Address, decodeXtext } from "./xtext.ts";

/** What MAIL may say beside the reverse-path. */
export interface MailParameters {
  /** Octets, as declared (RFC 1870). */
  size?: number;
  body: BodyType;
  smtpUtf8: boolean;
  ret?: "FULL" | "HDRS";
  envelopeId?: string;
  hold?: HoldRequest;
  deliverBy?: DeliverByRequest;
  /** RFC 6710: -9 to 9. */
  priority?: number;
}

/** RFC 4865: HOLDFOR, or HOLDUNTIL in milliseconds since 1970. */
export type HoldRequest = { readonly kind: "for"; readonly seconds: number } | { readonly kind: "until"; readonly at: number };

/** How far off a message may be released (RFC 4865 3). */
export interface FutureReleaseLimits {
  /** Of HOLDFOR. */
  readonly seconds: number;
  /** Of HOLDUNTIL; milliseconds since 1970. */
  readonly until: number;
}

/** RFC 2852: BY, counted from when MAIL was said. */
export interface DeliverByRequest {
  /** Negative where the time was over on the way already. */
  readonly seconds: number;
  readonly mode: "return" | "notify";
  readonly trace: boolean;
}

export interface RcptParameters {
  notify?: readonly NotifyOn[];
  originalRecipient?: OriginalRecipient;
}

/** Which parameters may come, by keyword of EHLO. */
export interface ParameterSupport {
  readonly size: boolean;
  readonly eightBitMime: boolean;
  readonly binaryMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly auth: boolean;
  readonly futureRelease: boolean;
  readonly deliverBy: boolean;
  readonly mtPriority: boolean;
}

export const NO_PARAMETER_SUPPORT: ParameterSupport = {
  size: false,
  eightBitMime: false,
  binaryMime: false,
  smtpUtf8: false,
  dsn: false,
  auth: false,
  futureRelease: false,
  deliverBy: false,
  mtPriority: false,
};

/** RFC 3461 4.4. */
export const ENVELOPE_ID_LIMIT = 100;
/** RFC 3461 4.2. */
export const ORIGINAL_RECIPIENT_LIMIT = 500;
/** RFC 1870 3: up to 20 digits. */
const SIZE_DIGITS = 20;

type Reader<T> = { readonly needs: keyof ParameterSupport; read(target: T, value: string | undefined): boolean };

const mailReaders: Readonly<Record<string, Reader<MailParameters>>> = {
  SIZE: {
    needs: "size",
    read(target, value) {
      if (value === undefined || value.length > SIZE_DIGITS || !/^\d+$/.test(value)) return false;
      target.size = Number(value);
      return true;
    },
  },
  BODY: {
    needs: "eightBitMime",
    read(target, value) {
      const body = value?.toUpperCase();
      if (body !== "7BIT" && body !== "8BITMIME" && body !== "BINARYMIME") return false;
      target.body = body;
      return true;
    },
  },
  SMTPUTF8: {
    needs: "smtpUtf8",
    read(target, value) {
      target.smtpUtf8 = true;
      return value === undefined;
    },
  },
  RET: {
    needs: "dsn",
    read(target, value) {
      const ret = value?.toUpperCase();
      if (ret !== "FULL" && ret !== "HDRS") return false;
      target.ret = ret;
      return true;
    },
  },
  ENVID: {
    needs: "dsn",
    read(target, value) {
      if (value === undefined || value.length > ENVELOPE_ID_LIMIT) return false;
      const id = decodeXtext(value);
      if (id === undefined || !isPrintableAscii(id)) return false;
      target.envelopeId = id;
      return true;
    },
  },
  HOLDFOR: {
    needs: "futureRelease",
    read(target, value) {
      if (value === undefined || !/^[1-9]\d{0,8}$/.test(value)) return false;
      target.hold = { kind: "for", seconds: Number(value) };
      return true;
    },
  },
  HOLDUNTIL: {
    needs: "futureRelease",
    read(target, value) {
      const at = value === undefined ? undefined : parseDateTime(value);
      if (at === undefined) return false;
      target.hold = { kind: "until", at };
      return true;
    },
  },
  BY: {
    needs: "deliverBy",
    read(target, value) {
      const [, seconds, mode, trace] = /^([+-]?\d{1,9});([NR])(T?)$/i.exec(value ?? "") ?? [];
      if (seconds === undefined || mode === undefined) return false;
      target.deliverBy = { seconds: Number(seconds), mode: /r/i.test(mode) ? "return" : "notify", trace: trace !== "" };
      // RFC 2852 4.1.1: what is over already could only be returned.
      return target.deliverBy.mode === "notify" || target.deliverBy.seconds > 0;
    },
  },
  "MT-PRIORITY": {
    needs: "mtPriority",
    read(target, value) {
      if (value === undefined || !/^(?:0|-?[1-9])$/.test(value)) return false;
      target.priority = Number(value);
      return true;
    },
  },
  // RFC 4954 5: read and not believed: what we relay says nothing of an earlier submitter.
  AUTH: { needs: "auth", read: (_, value) => value !== undefined && (value === "<>" || decodeXtext(value) !== undefined) },
};

const rcptReaders: Readonly<Record<string, Reader<RcptParameters>>> = {
  NOTIFY: {
    needs: "dsn",
    read(target, value) {
      const words = value?.toLowerCase().split(",") ?? [];
      if (words.length === 1 && words[0] === "never") {
        target.notify = [];
        return true;
      }
      if (words.length === 0 || new Set(words).size !== words.length || !words.every(isNotifyOn)) return false;
      target.notify = words.filter(isNotifyOn);
      return true;
    },
  },
  ORCPT: {
    needs: "dsn",
    read(target, value) {
      if (value === undefined || value.length > ORIGINAL_RECIPIENT_LIMIT) return false;
      const at = value.indexOf(";");
      const type = value.slice(0, at);
      // RFC 6533 3: utf-8-addr-xtext may hold UTF-8 as it is, which xtext does not; both decode to the address.
      const address = /^utf-8$/i.test(type) ? decodeUtf8Address(value.slice(at + 1)) : decodeXtext(value.slice(at + 1));
      if (at < 1 || !/^[A-Za-z0-9-]+$/.test(type) || !address || /[\x00-\x1f\x7f]/.test(address)) return false;
      target.originalRecipient = { type, address };
      return true;
    },
  },
};

const isNotifyOn = (word: string): word is NotifyOn => word === "success" || word === "failure" || word === "delay";
const isPrintableAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** The parameters of MAIL, or the reply that refuses them. */
export function readMailParameters(parameters: readonly Parameter[], support: ParameterSupport): MailParameters | Reply {
  const target: MailParameters = { body: "7BIT", smtpUtf8: false };
  const refusal = readAll(mailReaders, target, parameters, support);
  if (refusal !== undefined) return refusal;
  const holds = parameters.filter(({ keyword }) => keyword === "HOLDFOR" || keyword === "HOLDUNTIL");
  if (holds.length > 1) return reply(501, "5.5.4", "HOLDFOR or HOLDUNTIL, not both"); // RFC 4865 4.1
  if (target.body === "BINARYMIME" && !support.binaryMime) return reply(555, "5.5.4", "BODY=BINARYMIME is not supported");
  return target;
}

/** The parameters of RCPT, or the reply that refuses them. */
export function readRcptParameters(parameters: readonly Parameter[], support: ParameterSupport): RcptParameters | Reply {
  const target: RcptParameters = {};
  return readAll(rcptReaders, target, parameters, support) ?? target;
}

/** Tells a reply that refuses from what was read. */
export function isReply(value: object): value is Reply {
  return "code" in value;
}

function readAll<T>(
  readers: Readonly<Record<string, Reader<T>>>,
  target: T,
  parameters: readonly Parameter[],
  support: ParameterSupport,
): Reply | undefined {
  const seen = new Set<string>();
  for (const { keyword, value } of parameters) {
    const reader = Object.hasOwn(readers, keyword) ? readers[keyword] : undefined;
    if (reader === undefined || !support[reader.needs]) return reply(555, "5.5.4", `Parameter ${keyword} is not recognized`);
    if (seen.has(keyword)) return reply(501, "5.5.4", `Parameter ${keyword} is given twice`);
    seen.add(keyword);
    if (!reader.read(target, value)) return reply(501, "5.5.4", `Malformed value of ${keyword}`);
  }
  return undefined;
}
