/**
 * One DNS question, and what an answering message says to it. Pure: bytes in, values out.
 *
 * Rules
 * 1. A message counts only if it is a response to our id and our question (RFC 5452 4).
 * 2. Only NXDOMAIN says that a name does not exist. SERVFAIL, REFUSED and whatever else is not NOERROR is a failure.
 * 3. Aliases are followed inside the message; one that leads out of it is handed back to be asked for.
 */
import dns, { type DecodedPacket, type Answer as Rr, type SoaData } from "dns-packet";

export type RecordType = "A" | "AAAA" | "MX" | "TXT" | "PTR" | "TLSA" | "CNAME";

export interface Question {
  /** A-labels in lower case, no final dot. */
  readonly name: string;
  readonly type: RecordType;
}

/** RFC 9715: what passes everywhere without being fragmented. */
export const UDP_PAYLOAD = 1232;
/** RFC 2308 5: we trust an absence for no longer than this, in seconds. */
const NEGATIVE_TTL_LIMIT = 300;
/** An alias in the same message is followed this often; then the message is taken for broken. */
export const ALIAS_LIMIT = 8;

const WIRE_NAME_LIMIT = 253;
const WIRE_LABEL_LIMIT = 63;

/** Whether DNS can carry the name at all; one that it cannot carry does not exist. */
export function isAskable(name: string): boolean {
  if (name === "" || name.length > WIRE_NAME_LIMIT) return false;
  return name.split(".").every((label) => label !== "" && label.length <= WIRE_LABEL_LIMIT && /^[\x21-\x7e]+$/.test(label));
}

/** The query; AD set asks for the AD bit of the answer without the weight of signatures (RFC 6840 5.7). */
export function encodeQuery(question: Question, id: number, edns: boolean): Buffer {
  const additionals: Rr[] = edns
    ? [{ type: "OPT", name: ".", udpPayloadSize: UDP_PAYLOAD, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }]
    : [];
  return dns.encode({
    type: "query",
    id,
    flags: dns.RECURSION_DESIRED | dns.AUTHENTIC_DATA,
    questions: [{ name: question.name, type: question.type }],
    additionals,
  });
}

/** The message, if it is a well-formed response to this question; `undefined` for anything else. */
export function decodeResponse(bytes: Buffer, question: Question, id: number): DecodedPacket | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return undefined;
  let packet: DecodedPacket;
  try {
    packet = dns.decode(bytes);
  } catch {
    return truncatedHeader(bytes, question);
  }
  const asked = packet.questions?.[0];
  if (packet.type !== "response") return undefined;
  if (asked === undefined) return isComplaint(packet) ? packet : undefined;
  return asked.type === question.type && sameName(asked.name, question.name) ? packet : undefined;
}

/** A server that could not read the question may leave it out of its answer. */
function isComplaint(packet: DecodedPacket): boolean {
  const rcode = rcodeOf(packet);
  return rcode === "FORMERR" || rcode === "NOTIMP";
}

/** A server may cut a truncated message anywhere; its header and question are enough to go on by TCP. */
function truncatedHeader(bytes: Buffer, question: Question): DecodedPacket | undefined {
  const head = Buffer.from(bytes);
  head.fill(0, 6, 12); // no records
  try {
    const packet = dns.decode(head);
    const asked = packet.questions?.[0];
    const ours = packet.type === "response" && asked?.type === question.type && sameName(asked.name, question.name);
    return ours && packet.flag_tc ? packet : undefined;
  } catch {
    return undefined;
  }
}

/** What a response says. Times to live are in seconds. */
export type Reading =
  | { readonly kind: "found"; readonly records: readonly unknown[]; readonly ttl: number }
  | { readonly kind: "alias"; readonly to: string; readonly ttl: number }
  /** `ttl` is 0 where no SOA came along: not to be kept (RFC 2308 5). */
  | { readonly kind: "no-data" | "no-domain"; readonly ttl: number }
  | { readonly kind: "failed"; readonly why: string; readonly rcode: string };

/** Reads a response; `records` are dns-packet's data for the type asked for. */
export function readResponse(packet: DecodedPacket, question: Question): Reading {
  const rcode = rcodeOf(packet);
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "failed", why: rcode, rcode };
  const aliases = new Map<string, { to: string; ttl: number }>();
  for (const rr of packet.answers ?? []) {
    if (rr.type === "CNAME") aliases.set(nameKey(rr.name), { to: nameKey(rr.data), ttl: rr.ttl ?? 0 });
  }
  let name = question.name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let hops = 0; ; hops++) {
    const alias = question.type === "CNAME" ? undefined : aliases.get(name);
    if (alias === undefined) break;
    if (hops >= ALIAS_LIMIT) return { kind: "failed", why: `more than ${ALIAS_LIMIT} aliases from ${question.name}`, rcode: "ALIASES" };
    name = alias.to;
    ttl = Math.min(ttl, alias.ttl);
  }
  const records: unknown[] = [];
  for (const rr of packet.answers ?? []) {
    if (rr.type !== question.type || nameKey(rr.name) !== name || !("data" in rr)) continue;
    records.push(rr.data);
    ttl = Math.min(ttl, "ttl" in rr ? (rr.ttl ?? 0) : 0);
  }
  if (records.length > 0) return { kind: "found", records, ttl };
  if (rcode === "NXDOMAIN") return { kind: "no-domain", ttl: Math.min(ttl, negativeTtl(packet)) };
  const soa = soaOf(packet);
  // An SOA says that the absence is known for the end of the chain (RFC 2308 2.2); without one, ask for that end.
  if (name !== question.name && soa === undefined) return { kind: "alias", to: name, ttl };
  return { kind: "no-data", ttl: Math.min(ttl, negativeTtl(packet)) };
}

/** The response code with its upper bits of RFC 6891 6.1.3; `@types` does not know dns-packet's `rcode`. */
function rcodeOf(packet: DecodedPacket): string {
  const opt = packet.additionals?.find((rr) => rr.type === "OPT");
  const upper = opt?.type === "OPT" ? opt.extendedRcode : 0;
  return upper !== 0 ? `extended response code ${upper * 16}` : ((packet as DecodedPacket & { rcode?: string }).rcode ?? "unknown");
}

function soaOf(packet: DecodedPacket): { readonly data: SoaData; readonly ttl: number } | undefined {
  for (const rr of packet.authorities ?? []) if (rr.type === "SOA") return { data: rr.data, ttl: rr.ttl ?? 0 };
  return undefined;
}

/** RFC 2308 5: the lesser of the SOA's own TTL and its MINIMUM. */
function negativeTtl(packet: DecodedPacket): number {
  const soa = soaOf(packet);
  return soa === undefined ? 0 : Math.min(soa.ttl, soa.data.minimum ?? 0, NEGATIVE_TTL_LIMIT);
}

/** Lower case without a final dot; the root is "". */
export function nameKey(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function sameName(a: string, b: string): boolean {
  return nameKey(a) === nameKey(b);
}
