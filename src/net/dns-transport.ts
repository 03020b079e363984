/**
 * One DNS question to one server: over UDP, and over TCP where the answer was cut.
 *
 * Rules
 * 1. Each query has a socket of its own (the system chooses its port at random), a random id, and hears only its server (RFC 5452 9).
 * 2. What does not answer our question is ignored, never believed; a flood of it moves the question to TCP.
 * 3. Everything that went wrong is a DnsError in words; the socket is closed whatever happens.
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { DecodedPacket } from "dns-packet";
import { type Endpoint, formatEndpoint } from "./address.ts";
import { decodeResponse, encodeQuery, type Question } from "./dns-message.ts";

/** No answer from this server, for a reason in words; it may do better when asked again. */
export class DnsError extends Error {
  override readonly name = "DnsError";
}

/** Responses that are not ours before UDP is given up for TCP. */
const FOREIGN_LIMIT = 64;

/** Asks one server; `signal` ends the attempt early, `timeout` is in milliseconds for the whole of it. */
export type AskServer = (server: Endpoint, question: Question, timeout: number, signal: AbortSignal) => Promise<DecodedPacket>;

export const askServer: AskServer = async (server, question, timeout, signal) => {
  const until = performance.now() + timeout;
  let edns = true;
  for (;;) {
    let packet = await askByUdp(server, question, edns, until - performance.now(), signal);
    if (packet === undefined || packet.flag_tc) packet = await askByTcp(server, question, edns, until - performance.now(), signal);
    // RFC 6891 7: a server that does not know EDNS says FORMERR (or NOTIMP) and is asked once without.
    const rcode = (packet as DecodedPacket & { rcode?: string }).rcode;
    if (!edns || (rcode !== "FORMERR" && rcode !== "NOTIMP")) return packet;
    edns = false;
  }
};

/** The response, or `undefined` where too much came that was not ours. */
function askByUdp(server: Endpoint, question: Question, edns: boolean, timeout: number, signal: AbortSignal) {
  return new Promise<DecodedPacket | undefined>((resolve, reject) => {
    const id = randomInt(65536);
    const socket = createSocket(server.host.includes(":") ? "udp6" : "udp4");
    let foreign = 0;
    const settle = finishOnce(server, timeout, signal, () => socket.close(), resolve, reject);
    socket.on("error", (error) => settle.fail(error.message));
    socket.on("message", (bytes) => {
      const packet = decodeResponse(bytes, question, id);
      if (packet !== undefined) settle.done(packet);
      else if (++foreign >= FOREIGN_LIMIT) settle.done(undefined);
    });
    // Connected: the system drops what comes from elsewhere, and tells when nobody listens there.
    socket.connect(server.port, server.host, (error?: Error) => {
      if (settle.ended()) return;
      if (error) settle.fail(error.message);
      else socket.send(encodeQuery(question, id, edns));
    });
  });
}

function askByTcp(server: Endpoint, question: Question, edns: boolean, timeout: number, signal: AbortSignal) {
  return new Promise<DecodedPacket>((resolve, reject) => {
    const id = randomInt(65536);
    const socket = connect({ host: server.host, port: server.port });
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = finishOnce<DecodedPacket>(server, timeout, signal, () => socket.destroy(), resolve, reject);
    socket.on("error", (error) => settle.fail(error.message));
    socket.on("close", () => settle.fail("closed the connection without an answer"));
    socket.on("connect", () => {
      const query = encodeQuery(question, id, edns);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query])); // RFC 7766 8: length and message in one segment
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size < 2) return;
      if ((chunks[0] as Buffer).length < 2) chunks.splice(0, chunks.length, Buffer.concat(chunks));
      const wanted = 2 + (chunks[0] as Buffer).readUInt16BE(0); // so at most 64 KiB are kept
      if (size < wanted) return;
      const packet = decodeResponse(Buffer.concat(chunks).subarray(2, wanted), question, id);
      if (packet === undefined) settle.fail("sent what is no answer to the question");
      else settle.done(packet);
    });
  });
}

function finishOnce<T>(
  server: Endpoint,
  timeout: number,
  signal: AbortSignal,
  close: () => void,
  resolve: (value: T) => void,
  reject: (error: DnsError) => void,
) {
  let ended = false;
  const end = (): boolean => {
    if (ended) return false;
    ended = true;
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    close();
    return true;
  };
  const fail = (why: string): void => {
    if (end()) reject(new DnsError(`DNS server ${formatEndpoint(server)}: ${why}`));
  };
  const stop = (): void => fail("the question was called off");
  const timer = setTimeout(() => fail("no answer in time"), Math.max(0, timeout));
  if (signal.aborted) queueMicrotask(stop);
  else signal.addEventListener("abort", stop);
  return {
    ended: () => ended,
    fail,
    done: (value: T): void => {
      if (end()) resolve(value);
    },
  };
}
