/**
 * A DNS server for tests, on loopback, over UDP and TCP on one port.
 *
 * Rules
 * 1. It answers from its zone alone, which a test may change at any time; names are lower case, without a final dot.
 * 2. A name that is not there does not exist, unless something below it does (then it is there without records).
 * 3. Every question is kept, in order, so that a test can count them.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import dns, { type Answer, type DecodedPacket } from "dns-packet";

export interface ZoneEntry {
  /** A null MX is `{ preference: 0, exchange: "." }`. */
  MX?: readonly { readonly preference: number; readonly exchange: string }[];
  A?: readonly string[];
  AAAA?: readonly string[];
  /** Each record a text, or its strings of up to 255 octets. */
  TXT?: readonly (string | readonly string[])[];
  PTR?: readonly string[];
  TLSA?: readonly { usage: number; selector: number; matchingType: number; certificate: Buffer }[];
  CNAME?: string;
  /** In seconds. */
  ttl?: number;
  /** AD in the answers. */
  authenticated?: boolean;
  /** What happens instead of an answer; for one record type only where it is given as an object. */
  fault?: Fault | { readonly [type: string]: Fault };
}

/**
 * silent: nothing is sent. truncated: UDP says TC and nothing else. garbage: bytes that are no message.
 * foreign: a wrong id first, then a wrong question, then the right answer. nodata: NOERROR without records.
 * no-edns: FORMERR to a query with an OPT. no-soa: absences without SOA. alias-only: a CNAME without what it leads to.
 */
export type Fault =
  | "SERVFAIL"
  | "REFUSED"
  | "NXDOMAIN"
  | "FORMERR"
  | "silent"
  | "truncated"
  | "garbage"
  | "foreign"
  | "no-edns"
  | "nodata"
  | "no-soa"
  | "alias-only";

export type Zone = Record<string, ZoneEntry>;

export interface AskedQuestion {
  readonly name: string;
  readonly type: string;
  readonly over: "udp" | "tcp";
}

export interface DnsServer {
  readonly address: string;
  readonly port: number;
  /** `127.0.0.1:5353`, as `dns.servers` takes it. */
  readonly endpoint: string;
  readonly zone: Zone;
  readonly questions: readonly AskedQuestion[];
  /** How often this was asked for. */
  count(type?: string, name?: string): number;
  /** Once is enough; more is no error. */
  close(): Promise<void>;
}

export interface DnsServerOptions {
  /** 127.0.0.1 where absent. */
  readonly address?: string;
  /** Only for programs that can be told no port, on an address of one's own; a free one where absent. */
  readonly port?: number;
  /** In seconds, of absences: the SOA's TTL and MINIMUM. */
  readonly negativeTtl?: number;
}

const UDP_LIMIT = 1232;
const RCODES = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

/** Starts it on a free port; `close` it after the test. */
export async function startDnsServer(zone: Zone, options: DnsServerOptions = {}): Promise<DnsServer> {
  const address = options.address ?? "127.0.0.1";
  const { udp, tcp, port } = await bindBoth(address, options.port ?? 0);
  const questions: AskedQuestion[] = [];
  const open = new Set<Socket>();
  let closed = false;
  const answer = (bytes: Buffer, over: "udp" | "tcp"): Buffer[] => {
    const query = dns.decode(bytes);
    const question = query.questions?.[0];
    if (question === undefined) return [];
    questions.push({ name: question.name.toLowerCase(), type: question.type, over });
    return respond(zone, query, over, options.negativeTtl ?? 60);
  };
  udp.on("message", (bytes, from) => {
    for (const response of answer(bytes, "udp")) udp.send(response, from.port, from.address);
  });
  tcp.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
    let kept = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      kept = Buffer.concat([kept, chunk]);
      while (kept.length >= 2 && kept.length >= 2 + kept.readUInt16BE(0)) {
        const end = 2 + kept.readUInt16BE(0);
        for (const response of answer(kept.subarray(2, end), "tcp")) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(response.length);
          socket.write(Buffer.concat([length, response]));
        }
        kept = kept.subarray(end);
      }
    });
  });
  return {
    address,
    port,
    endpoint: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    zone,
    questions,
    count: (type, name) => questions.filter((q) => (type ?? q.type) === q.type && (name ?? q.name) === q.name).length,
    async close() {
      if (closed) return;
      closed = true;
      for (const socket of open) socket.destroy();
      await Promise.all([new Promise<void>((done) => udp.close(done)), new Promise<void>((done) => tcp.close(() => done()))]);
    },
  };
}

/** UDP and TCP on the same port: the one that TCP was given may be taken for UDP, so a few are tried. */
async function bindBoth(address: string, wanted: number): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (let tries = 0; ; tries++) {
    const tcp = createServer();
    tcp.listen({ host: address, port: wanted });
    await once(tcp, "listening");
    const { port } = tcp.address() as { port: number };
    const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
    try {
      udp.bind({ address, port, exclusive: true });
      await once(udp, "listening");
      return { udp, tcp, port };
    } catch (error) {
      tcp.close();
      if (tries >= 20) throw error;
    }
  }
}

function respond(zone: Zone, query: DecodedPacket, over: "udp" | "tcp", negativeTtl: number): Buffer[] {
  const question = query.questions?.[0] as { name: string; type: string };
  const asked = question.name.toLowerCase().replace(/\.$/, "");
  const entry = zone[asked];
  const given = entry?.fault;
  const fault = typeof given === "object" ? given[question.type] : given;
  const id = query.id ?? 0;
  const make = (rcode: number, answers: Answer[], extra: { flags?: number; id?: number; soa?: boolean; name?: string } = {}): Buffer =>
    dns.encode({
      type: "response",
      id: extra.id ?? id,
      flags: dns.RECURSION_DESIRED | dns.RECURSION_AVAILABLE | (entry?.authenticated ? dns.AUTHENTIC_DATA : 0) | (extra.flags ?? 0) | rcode,
      questions: [{ name: extra.name ?? question.name, type: question.type as "A" }],
      answers,
      authorities: extra.soa ? [soa(negativeTtl)] : [],
      additionals: [],
    });
  if (fault === "silent") return [];
  if (fault === "garbage") return [Buffer.concat([bytesOfId(id), Buffer.from("this is no DNS message")])];
  if (fault === "truncated" && over === "udp") return [make(0, [], { flags: dns.TRUNCATED_RESPONSE })];
  if (fault === "no-edns" && query.additionals?.some((rr) => rr.type === "OPT")) return [make(RCODES.FORMERR, [])];
  if (fault === "SERVFAIL" || fault === "REFUSED" || fault === "FORMERR") return [make(RCODES[fault], [])];
  if (fault === "nodata") return [make(0, [], { soa: true })];
  if (fault === "alias-only" && entry?.CNAME !== undefined) {
    return [make(0, [{ type: "CNAME", name: asked, ttl: entry.ttl ?? 300, data: entry.CNAME }])];
  }
  const { answers, end, exists } = collect(zone, asked, question.type);
  const rcode = exists && fault !== "NXDOMAIN" ? 0 : RCODES.NXDOMAIN;
  const empty = !answers.some((rr) => rr.type === question.type);
  const whole = make(rcode, answers, { soa: empty && end && fault !== "no-soa" });
  const right = over === "udp" && whole.length > UDP_LIMIT ? make(rcode, [], { flags: dns.TRUNCATED_RESPONSE }) : whole;
  if (fault === "foreign") return [make(0, answers, { id: id ^ 1 }), make(0, answers, { name: `x.${question.name}` }), right];
  return [right];
}

/** The records of a name and of the aliases it leads to; `end` is whether the chain ends in this zone. */
function collect(zone: Zone, asked: string, type: string): { answers: Answer[]; end: boolean; exists: boolean } {
  const answers: Answer[] = [];
  let name = asked;
  for (let hops = 0; hops < 20; hops++) {
    const entry = zone[name];
    if (entry === undefined) {
      const exists = Object.keys(zone).some((other) => other.endsWith(`.${name}`));
      return { answers, end: true, exists };
    }
    if (entry.CNAME === undefined || type === "CNAME")
      return { answers: [...answers, ...recordsOf(entry, name, type)], end: true, exists: true };
    answers.push({ type: "CNAME", name, ttl: entry.ttl ?? 300, data: entry.CNAME });
    name = entry.CNAME.toLowerCase();
  }
  return { answers, end: false, exists: true };
}

function recordsOf(entry: ZoneEntry, name: string, type: string): Answer[] {
  const base = { name, ttl: entry.ttl ?? 300 };
  switch (type) {
    case "MX":
      return (entry.MX ?? []).map((data) => ({ ...base, type, data }));
    case "TXT":
      return (entry.TXT ?? []).map((text) => ({ ...base, type, data: typeof text === "string" ? [text] : [...text] }));
    case "A":
    case "AAAA":
    case "PTR":
      return (entry[type] ?? []).map((data) => ({ ...base, type, data }));
    case "TLSA":
      return (entry.TLSA ?? []).map((data) => ({ ...base, type, data }));
    case "CNAME":
      return entry.CNAME === undefined ? [] : [{ ...base, type, data: entry.CNAME }];
    default:
      return [];
  }
}

function soa(ttl: number): Answer {
  const data = { mname: "ns.test", rname: "postmaster.test", serial: 1, refresh: 60, retry: 60, expire: 60, minimum: ttl };
  return { type: "SOA", name: "test", ttl, data };
}

function bytesOfId(id: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(id);
  return bytes;
}
